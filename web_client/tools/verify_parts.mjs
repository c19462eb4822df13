/** What the verifier on the command line is made of; `verify_program.mjs` makes one module of it. */
export { InlineChecker } from "../src/verifier/batch.ts";
export { PoolChecker, serveBatches } from "../src/verifier/pool.ts";
export { exitCode } from "../src/verifier/report.ts";
export { verify } from "../src/verifier/verify.ts";
export { systemRng } from "../src/ballot/signing.ts";
