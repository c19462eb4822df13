/** Web Worker: runs the verifier on chosen files, tells its progress, stops when asked. Needs no network. */
import type { Channel } from "../ballot/rpc.ts";
import { systemRng } from "../ballot/signing.ts";
import { type BatchChecker, InlineChecker } from "./batch.ts";
import { PoolChecker } from "./pool.ts";
import type { News, Order } from "./protocol.ts";
import { verify } from "./verify.ts";
import { Stopped } from "./work.ts";

interface Scope {
  postMessage(news: News): void;
  addEventListener(type: "message", listener: (event: MessageEvent<Order>) => void): void;
}

const scope = globalThis as unknown as Scope;
let asked = 0;

/** Zips smaller than this are done before workers would have started. */
const MANY_BYTES = 2 ** 20;
const MAX_WORKERS = 8;

/** Several workers for a large record; this thread alone for a small one, or where a worker cannot start others. */
function checkerFor(bundle: Blob): BatchChecker {
  const count = Math.min(MAX_WORKERS, (navigator.hardwareConcurrency ?? 2) - 1);
  if (count < 2 || bundle.size < MANY_BYTES || typeof Worker === "undefined") return new InlineChecker(systemRng);
  const batchWorker = (): Channel => new Worker(new URL("./batch.worker.ts", import.meta.url), { type: "module" });
  return new PoolChecker(batchWorker, count);
}

async function run(order: Extract<Order, { type: "run" }>): Promise<News> {
  const mine = ++asked;
  const checker = checkerFor(order.bundle);
  try {
    const verification = await verify(order.bundle, order.annex, {
      checker,
      identities: order.identities,
      now: () => performance.now(),
      breathe: () => new Promise((resolve) => setTimeout(resolve)),
      stopped: () => asked !== mine,
      onStart: (id) => scope.postMessage({ type: "start", id }),
      onProgress: (id, done, total) => scope.postMessage({ type: "progress", id, done, total }),
      onCheck: (check) => scope.postMessage({ type: "check", check }),
    });
    return { type: "done", verification };
  } catch (error) {
    if (error instanceof Stopped) return { type: "stopped" };
    return { type: "broken", message: error instanceof Error ? error.message : "unknown" };
  } finally {
    checker.stop();
  }
}

scope.addEventListener("message", ({ data }) => {
  if (data.type === "stop") asked += 1;
  else void run(data).then((news) => scope.postMessage(news));
});
