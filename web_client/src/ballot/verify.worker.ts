/** Web Worker: checks batches of ballots; keeps the last election's manifest so that batches stay small. */
import type { Bytes } from "./encoding.ts";
import { ensure } from "./errors.ts";
import { type OpenManifest, openManifest } from "./manifest.ts";
import { type Channel, type Methods, serve } from "./rpc.ts";
import { systemRng } from "./signing.ts";
import { type Item, checkBallots } from "./verify.ts";

let manifest: OpenManifest | null = null;
const methods: Methods = {
  open: async (bytes: Bytes) => {
    manifest = openManifest(bytes);
  },
  check: async (items: Item[]) => {
    ensure(manifest !== null, "voting.worker", "No vote was opened.");
    return checkBallots(manifest, items, systemRng);
  },
};
serve(globalThis as unknown as Channel, methods);
