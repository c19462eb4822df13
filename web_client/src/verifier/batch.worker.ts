/** Web Worker: checks batches of ballots for the verifier. */
import type { Channel } from "../ballot/rpc.ts";
import { serveBatches } from "./pool.ts";

serveBatches(globalThis as unknown as Channel);
