/** The thread of `verify.mjs` that verifies; it starts others that check ballots. Its data is the program's address. */
import { openAsBlob } from "node:fs";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker, workerData } from "node:worker_threads";

const { InlineChecker, PoolChecker, exitCode, systemRng, verify } = await import(workerData);

const MARKS = new Map([[true, "ok  "], [false, "FAIL"], [null, "  - "]]);
/** Fewer ballots than this are not worth starting threads for. */
const MANY_BYTES = 4 * 2 ** 20;
const MAX_THREADS = 4;
/** A batch of ballots takes a few megabytes. */
const resourceLimits = { maxYoungGenerationSizeMb: 24, maxOldGenerationSizeMb: 512 };
const options = {
  annex: { type: "string" }, identity: { type: "string" }, json: { type: "boolean" }, strict: { type: "boolean" }, batch: { type: "string" },
  workers: { type: "string" },
};
const { values, positionals } = parseArgs({ options, allowPositionals: true });

/** A thread that speaks like a Worker of the page. */
function thread() {
  const worker = new Worker(new URL("./verify_thread.mjs", import.meta.url), { workerData, resourceLimits });
  return {
    postMessage: (message) => worker.postMessage(message),
    addEventListener: (type, listener) => {
      if (type === "message") worker.on("message", (data) => listener(new MessageEvent("message", { data })));
      if (type === "error") worker.on("error", () => listener(new Event("error")));
    },
    terminate: () => void worker.terminate(),
  };
}

function checkerFor(bundle) {
  const strict = values.strict === true;
  if (bundle.size < MANY_BYTES) return new InlineChecker(systemRng, strict);
  const count = values.workers === undefined ? Math.min(MAX_THREADS, availableParallelism() - 1) : Number(values.workers);
  return new PoolChecker(thread, Math.max(1, count), strict);
}

const isMissing = (error) => error?.code === "ENOENT" || error?.code === "EACCES" || error?.code === "EISDIR" || error?.code === "ERR_INVALID_ARG_VALUE";

async function blobOf(path) {
  try {
    return await openAsBlob(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
    console.error(`verify: ${path} cannot be read`);
    return new Blob();
  }
}

async function run(bundlePath, annexPath, identityPath) {
  const bundle = await blobOf(bundlePath);
  const checker = checkerFor(bundle);
  try {
    const identities = identityPath === undefined ? "" : await readFile(identityPath, "utf8");
    const annex = annexPath === undefined ? null : await blobOf(annexPath);
    return await verify(bundle, annex, { checker, identities });
  } finally {
    checker.stop();
  }
}

function print({ report, results }) {
  for (const { id, ok, title, detail } of report.checks) console.log(`${MARKS.get(ok)}  ${id}  ${title}${detail ? ` (${detail})` : ""}`);
  const passed = report.checks.filter(({ ok }) => ok === true).length;
  const skipped = report.checks.filter(({ ok }) => ok === null).length;
  console.log(`${report.verdict.toUpperCase()}${report.detail ? ` (${report.detail})` : ""}: ${passed} checks passed, ${skipped} not checked`);
  if (results === null) return;
  const rehearsal = results.rehearsal ? " (REHEARSAL)" : "";
  console.log(`\n${results.organisation}, ${results.meeting}${rehearsal}\nserver key ${results.serverKey} (compare it with the one your organisation publishes)`);
  for (const { election, title, cast, cast_weight: weight, questions, outcome } of results.elections) {
    console.log(`${election}: ${title}: ${cast} voters, ${weight} votes`);
    for (const [q, { text, options: names }] of questions.entries()) {
      const { kind, options: chosen, votes } = outcome[q];
      const winners = kind === "elected" ? ` ${chosen.map((o) => names[o]).join(", ")}` : "";
      const counts = votes.map((n, o) => `${names[o]} ${n}`).join(", ");
      console.log(`  ${text}: ${kind}${winners}${counts ? ` (${counts})` : ""}`);
    }
  }
}

if (values.batch !== undefined) {
  const reports = [];
  for (const { bundle, annex, identity } of JSON.parse(await readFile(values.batch, "utf8"))) reports.push((await run(bundle, annex, identity)).report);
  console.log(JSON.stringify(reports));
} else if (positionals.length !== 1) {
  console.error("usage: verify.mjs BUNDLE [--annex FILE] [--identity KEYFILE] [--json] [--strict] [--workers N]");
  process.exitCode = 2;
} else {
  const done = await run(positionals[0], values.annex, values.identity);
  if (values.json) console.log(JSON.stringify(done.report, null, 1));
  else print(done);
  process.exitCode = exitCode(done.report);
}
