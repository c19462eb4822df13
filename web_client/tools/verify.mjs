#!/usr/bin/env node
/**
 * The verifier of the auditor's page on the command line, with the JSON and exit codes of `folkmoot-verify`:
 *   node web_client/tools/verify.mjs BUNDLE [--annex FILE] [--json]
 *   node web_client/tools/verify.mjs --batch LIST    LIST: JSON [{"bundle", "annex"?}]; prints a JSON list of reports
 */
import { open, readFile } from "node:fs/promises";
import { register } from "node:module";
import { parseArgs } from "node:util";

register("./ts_hooks.mjs", import.meta.url);
const { verify } = await import("../src/verifier/verify.ts");
const { exitCode } = await import("../src/verifier/report.ts");
const { MAX_ZIP } = await import("../src/verifier/zip.ts");

const MARKS = new Map([[true, "ok  "], [false, "FAIL"], [null, "  - "]]);

/** At most one byte more than the limit, which is then refused. */
async function readZip(path) {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.min(size, MAX_ZIP + 1));
    let at = 0;
    while (at < bytes.length) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return bytes.slice(0, at);
  } finally {
    await file.close();
  }
}

async function run(bundle, annex) {
  try {
    return await verify(await readZip(bundle), annex === undefined ? null : await readZip(annex));
  } catch (error) {
    if (typeof error?.syscall !== "string") throw error;
    console.error(`verify: ${error.message}`);
    return verify(new Uint8Array(), null);
  }
}

function print({ report, results }) {
  for (const { id, ok, title, detail } of report.checks) console.log(`${MARKS.get(ok)}  ${id}  ${title}${detail ? ` (${detail})` : ""}`);
  const passed = report.checks.filter(({ ok }) => ok === true).length;
  const skipped = report.checks.filter(({ ok }) => ok === null).length;
  console.log(`${report.verdict.toUpperCase()}${report.detail ? ` (${report.detail})` : ""}: ${passed} checks passed, ${skipped} not checked`);
  if (results === null) return;
  console.log(`\n${results.organisation}, ${results.meeting}\nserver key ${results.serverKey} (compare it with the one your organisation publishes)`);
  for (const { id, title, cast, questions } of results.elections) {
    console.log(`${id}: ${title}: ${cast} ballots`);
    for (const { text, options, counts, kind, option } of questions) {
      const winner = kind === "elected" ? ` ${options[option]}` : "";
      const votes = counts.map((n, i) => `${options[i]} ${n}`).join(", ");
      console.log(`  ${text}: ${kind}${winner}${votes ? ` (${votes})` : ""}`);
    }
  }
}

const options = { annex: { type: "string" }, json: { type: "boolean" }, batch: { type: "string" } };
const { values, positionals } = parseArgs({ options, allowPositionals: true });
if (values.batch !== undefined) {
  const reports = [];
  for (const { bundle, annex } of JSON.parse(await readFile(values.batch, "utf8"))) reports.push((await run(bundle, annex)).report);
  console.log(JSON.stringify(reports));
} else if (positionals.length !== 1) {
  console.error("usage: verify.mjs BUNDLE [--annex FILE] [--json]");
  process.exitCode = 2;
} else {
  const done = await run(positionals[0], values.annex);
  if (values.json) console.log(JSON.stringify(done.report, null, 1));
  else print(done);
  process.exitCode = exitCode(done.report);
}
