/** Batches of ballots checked in several workers or threads. */
import type { Bytes } from "../ballot/encoding.ts";
import { type OpenManifest, openManifest } from "../ballot/manifest.ts";
import { Caller, type Channel, serve } from "../ballot/rpc.ts";
import { systemRng } from "../ballot/signing.ts";
import { type Batch, type BatchChecker, type BatchOutcome, checkBatch } from "./batch.ts";

/** The worker's side. */
export function serveBatches(channel: Channel): void {
  let open: OpenManifest | null = null;
  serve(channel, {
    check: async (manifest: Bytes, batch: Batch, strict: boolean): Promise<BatchOutcome> => {
      if (open === null || open.bytes.length !== manifest.length || !open.bytes.every((byte, i) => byte === manifest[i])) open = openManifest(manifest);
      return checkBatch(open, batch, systemRng, strict);
    },
  });
}

/** Hands each batch to the worker with the least to do. */
export class PoolChecker implements BatchChecker {
  readonly lanes: number;
  private readonly workers: { caller: Caller; busy: number }[];
  private readonly strict: boolean;

  constructor(makeChannel: () => Channel, count: number, strict = false) {
    this.lanes = count;
    this.strict = strict;
    this.workers = Array.from({ length: count }, () => ({ caller: new Caller(makeChannel()), busy: 0 }));
  }

  /** @throws VotingError `voting.worker` when a worker has stopped */
  async check(manifest: OpenManifest, batch: Batch): Promise<BatchOutcome> {
    const worker = this.workers.reduce((least, one) => (one.busy < least.busy ? one : least));
    worker.busy += 1;
    try {
      return (await worker.caller.call("check", manifest.bytes, batch, this.strict)) as BatchOutcome;
    } finally {
      worker.busy -= 1;
    }
  }

  /** Ends the workers. */
  stop(): void {
    for (const { caller } of this.workers) caller.stop();
  }
}
