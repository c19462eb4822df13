/** Web Worker: builds and signs ballots. */
import { type Channel, type Methods, serve } from "./rpc.ts";
import { InlineSealer } from "./sealing.ts";
import { systemRng } from "./signing.ts";

const sealer = new InlineSealer(systemRng);
const methods: Methods = {
  warm: (manifest: Parameters<InlineSealer["warm"]>[0]) => sealer.warm(manifest),
  seal: (...args: Parameters<InlineSealer["seal"]>) => sealer.seal(...args),
};
serve(globalThis as unknown as Channel, methods);
