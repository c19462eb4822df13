/** One thread of `verify.mjs`: checks batches of ballots like a worker of the auditor's page. */
import { parentPort, workerData } from "node:worker_threads";

const { serveBatches } = await import(workerData);

serveBatches({
  postMessage: (message) => parentPort.postMessage(message),
  addEventListener: (type, listener) => {
    if (type === "message") parentPort.on("message", (data) => listener(new MessageEvent("message", { data })));
  },
});
