/** Sealing a ballot for the booth: tables kept per key, every finished ballot checked before it is handed out. */
import { buildBallot } from "./ballot.ts";
import type { Bytes, JsonObject, Rng } from "./encoding.ts";
import { type Point, withTables } from "./group.ts";
import { type OpenManifest, openManifest } from "./manifest.ts";
import { type PortableKey, portableSigner } from "./signing.ts";
import { requireValidBallot } from "./verify.ts";

export interface Sealer {
  /** Prepares the tables of an election's key; optional, but the first ballot waits less. */
  warm(manifest: Bytes): Promise<void>;
  /** Builds and signs a ballot. @throws VotingError */
  seal(manifest: Bytes, choices: readonly number[], key: PortableKey): Promise<JsonObject>;
}

/** Seals in the calling thread: what the worker runs, and what tests use. */
export class InlineSealer implements Sealer {
  private readonly rng: Rng;
  private ready: { manifest: OpenManifest; key: Point } | null = null;

  constructor(rng: Rng) {
    this.rng = rng;
  }

  private open(bytes: Bytes): { manifest: OpenManifest; key: Point } {
    const manifest = openManifest(bytes);
    if (this.ready?.manifest.id === manifest.id) return this.ready;
    this.ready = { manifest, key: withTables(manifest.trusteeKey) };
    return this.ready;
  }

  async warm(manifest: Bytes): Promise<void> {
    this.open(manifest);
  }

  async seal(bytes: Bytes, choices: readonly number[], key: PortableKey): Promise<JsonObject> {
    const { manifest, key: trusteeKey } = this.open(bytes);
    const ballot = await buildBallot(manifest, choices, portableSigner(key), this.rng, trusteeKey);
    requireValidBallot(manifest, ballot); // a fault of this device must not cost the vote
    return ballot;
  }
}
