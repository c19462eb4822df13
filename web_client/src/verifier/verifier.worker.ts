/** Web Worker: runs the verifier on chosen files, tells its progress, stops when asked. Needs no network. */
import type { Bytes } from "../ballot/encoding.ts";
import type { News, Order } from "./protocol.ts";
import { verify } from "./verify.ts";
import { Stopped } from "./work.ts";
import { MAX_ZIP } from "./zip.ts";

interface Scope {
  location: { href: string };
  postMessage(news: News): void;
  addEventListener(type: "message", listener: (event: MessageEvent<Order>) => void): void;
}

const scope = globalThis as unknown as Scope;
let asked = 0;

/** The file's bytes; of a larger one only so much that it is refused for its size. */
async function bytesOf(file: Blob): Promise<Bytes> {
  return new Uint8Array(await file.slice(0, MAX_ZIP + 1).arrayBuffer());
}

async function run(order: Extract<Order, { type: "run" }>): Promise<News> {
  const mine = ++asked;
  try {
    const verification = await verify(await bytesOf(order.bundle), order.annex === null ? null : await bytesOf(order.annex), {
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
  }
}

scope.addEventListener("message", ({ data }) => {
  if (data.type === "stop") asked += 1;
  else void run(data).then((news) => scope.postMessage(news));
});
scope.postMessage({ type: "ready", script: scope.location.href });
