/** Sealing a ballot for the booth: tables kept per key, every finished ballot checked before it is handed out. */
import { type Place, sealBallot, seededDraws } from "./ballot.ts";
import type { Bytes, JsonObject, Rng } from "./encoding.ts";
import { withTables } from "./group.ts";
import type { OpenManifest } from "./manifest.ts";
import { requireSound } from "./verify.ts";

export interface SealRequest {
  credential: Bytes;
  place: Place;
  /** Values of the cells, per question. */
  choices: readonly (readonly number[])[];
  /** 32 fresh bytes; whoever has them can open the ballot. */
  seed: Bytes;
}

/** Makes unsigned ballots. */
export class Sealer {
  private readonly rng: Rng;

  constructor(rng: Rng) {
    this.rng = rng;
  }

  /** Prepares the tables of an election's key; optional, but the first ballot waits less. */
  warm(manifest: OpenManifest): void {
    if (manifest.secret) withTables(manifest.trusteeKey);
  }

  /** @throws VotingError `voting.choice` */
  seal(manifest: OpenManifest, { credential, place, choices, seed }: SealRequest): JsonObject {
    this.warm(manifest);
    const ballot = sealBallot(manifest, credential, place, choices, seededDraws(seed));
    requireSound(manifest, ballot, this.rng); // a fault of this device must not cost the vote
    return ballot;
  }
}
