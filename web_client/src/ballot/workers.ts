/** Checking ballots in workers, as the tellers' and cosigners' pages use them; the booth's own worker is in `booth.ts`. */
import type { OpenManifest } from "./manifest.ts";
import { Caller, type Channel } from "./rpc.ts";
import { type BallotVerifier, type BatchResult, type Item, Sums } from "./verify.ts";

/** Ballots per message: about a quarter of a second of work on a slow phone. */
const CHUNK = 16;
const MAX_WORKERS = 4;

const verifyWorker = (): Channel => new Worker(new URL("./verify.worker.ts", import.meta.url), { type: "module" });

export type Progress = (checked: number, total: number) => void;

/** Spreads ballots over a few workers and reports progress. */
export class WorkerVerifier implements BallotVerifier {
  private readonly callers: Caller[];
  private readonly progress: Progress;
  private opened = "";

  constructor(progress: Progress = () => undefined, makeChannel: () => Channel = verifyWorker, count = usefulWorkers()) {
    this.progress = progress;
    this.callers = Array.from({ length: count }, () => new Caller(makeChannel()));
  }

  async check(manifest: OpenManifest, items: readonly Item[]): Promise<BatchResult> {
    if (this.opened !== manifest.id) {
      await Promise.all(this.callers.map((caller) => caller.call("open", manifest.bytes)));
      this.opened = manifest.id;
    }
    const starts = Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, i) => i * CHUNK);
    const results: { start: number; result: BatchResult }[] = [];
    let checked = 0;
    const work = async (caller: Caller): Promise<void> => {
      for (let start = starts.shift(); start !== undefined; start = starts.shift()) {
        const chunk = items.slice(start, start + CHUNK);
        results.push({ start, result: (await caller.call("check", chunk)) as BatchResult });
        checked += chunk.length;
        this.progress(checked, items.length);
      }
    };
    await Promise.all(this.callers.map(work));
    return merge(manifest, results);
  }

  /** Ends the workers. */
  stop(): void {
    for (const caller of this.callers) caller.stop();
  }
}

function merge(manifest: OpenManifest, results: readonly { start: number; result: BatchResult }[]): BatchResult {
  const total = new Sums(manifest);
  for (const { start, result } of [...results].sort((a, b) => a.start - b.start)) {
    const { refused } = result;
    if (refused !== null) return { sums: [], counts: [], refused: { ...refused, index: start + refused.index } };
    total.add(result);
  }
  return total.result();
}

const usefulWorkers = (): number => Math.max(1, Math.min(MAX_WORKERS, (navigator.hardwareConcurrency ?? 2) - 1));
