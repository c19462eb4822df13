/** One thread of `verify.mjs`: checks batches of ballots like a worker of the auditor's page. */
import { register } from "node:module";
import { parentPort } from "node:worker_threads";

register("./ts_hooks.mjs", import.meta.url);
const { serveBatches } = await import("../src/verifier/pool.ts");

serveBatches({
  postMessage: (message) => parentPort.postMessage(message),
  addEventListener: (type, listener) => {
    if (type === "message") parentPort.on("message", (data) => listener(new MessageEvent("message", { data })));
  },
});
