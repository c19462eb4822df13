#!/usr/bin/env node
/**
 * The verifier of the auditor's page on the command line, with the JSON and exit codes of `folkmoot-verify`:
 *   node web_client/tools/verify.mjs BUNDLE [--annex FILE] [--identity KEYFILE] [--json] [--strict]
 *   node web_client/tools/verify.mjs --batch LIST    LIST: JSON [{"bundle", "annex"?, "identity"?}]; prints a JSON list of reports
 * An annex that is an age file is opened with the identities of KEYFILE (lines AGE-SECRET-KEY-1…).
 * --strict checks each proof by itself; --workers N spreads the ballots of a large record over N threads (default: one
 * less than there are, at most 4; each takes some 50 MB).
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";

/** The compiler has a process of its own: what it takes is given back before anything is verified. */
async function program() {
  const compile = fileURLToPath(new URL("./verify_program.mjs", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", compile], { maxBuffer: 16 * 2 ** 20 });
  return `data:text/javascript;base64,${Buffer.from(stdout).toString("base64")}`;
}

// A heap that may grow to gigabytes is cleaned too late: V8 lets it grow to a multiple of what is alive in it.
const resourceLimits = { maxYoungGenerationSizeMb: 12, maxOldGenerationSizeMb: 1024 };
const run = new Worker(new URL("./verify_run.mjs", import.meta.url), { argv: process.argv.slice(2), workerData: await program(), resourceLimits });
run.on("error", (error) => console.error(error));
run.on("exit", (code) => {
  process.exitCode = code;
});
