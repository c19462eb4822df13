/** Section 7, audit: what a second device needs to build a sealed ballot anew, and what it finds. */
import { type Place, sealBallot, sealedHash, seededDraws } from "./ballot.ts";
import { type Json, type JsonObject, b64u, fromB64u, jcs, parseCanonical } from "./encoding.ts";
import { ensure, withCode } from "./errors.ts";
import type { OpenManifest } from "./manifest.ts";
import { auditCode, voidMessage } from "./receipts.ts";
import { verifySignature } from "./signing.ts";
import { Fields } from "./strict.ts";

const PREFIX = "#a=";
const MAX_COUNT = Number.MAX_SAFE_INTEGER;

export interface Opening extends Place {
  /** Hash, b64u. */
  manifest: string;
  credential: string;
  seed: string;
  /** Values of the cells, per question. */
  choices: number[][];
}

/** The fragment of the second device's address; whoever sees it sees the choice. */
export const openingFragment = (opening: Opening): string => PREFIX + b64u(jcs(opening));

/** @throws VotingError `voting.audit` */
export function readOpening(fragment: string): Opening {
  return withCode("voting.audit", () => {
    ensure(fragment.startsWith(PREFIX), "voting.audit", "The address holds no sealed vote.");
    const f = new Fields(parseCanonical(fromB64u(fragment.slice(PREFIX.length))), "The opening", ["manifest", "credential", "weight", "seq", "prev", "seed", "choices"]);
    const numbers = (list: Json): number[] => new Fields({ list }, "The choices", ["list"]).list("list", 1, 128).map((n) => (typeof n === "number" ? n : -1));
    return {
      manifest: f.b64("manifest", 32), credential: f.b64("credential", 32), weight: f.int("weight", 1, MAX_COUNT), seq: f.int("seq", 1, MAX_COUNT),
      prev: b64u(f.bytes("prev")), seed: f.b64("seed", 32), choices: f.list("choices", 1, 8).map(numbers),
    };
  });
}

export interface Rebuilt {
  /** b64u */
  sealed: string;
  /** To be compared with the code on the voter's device. */
  code: string;
}

/** Builds the ballot anew. @throws VotingError `voting.audit` when the opening is of another vote, `voting.choice` */
export function rebuild(manifest: OpenManifest, opening: Opening): Rebuilt {
  ensure(opening.manifest === manifest.id, "voting.audit", "The sealed vote belongs to another manifest.");
  const { weight, seq, prev } = opening;
  const rng = seededDraws(fromB64u(opening.seed, 32));
  const ballot = sealBallot(manifest, fromB64u(opening.credential, 32), { weight, seq, prev }, opening.choices, rng);
  const sealed = sealedHash(manifest.hash, ballot);
  return { sealed: b64u(sealed), code: auditCode(sealed) };
}

/** True when this board entry is the void of the rebuilt ballot, signed by its credential. */
export function voids(manifest: OpenManifest, opening: Opening, { sealed }: Rebuilt, entry: JsonObject): boolean {
  const { type, credential, sealed: named, sig } = entry;
  if (type !== "void" || credential !== opening.credential || named !== sealed || typeof sig !== "string") return false;
  return verifySignature(fromB64u(credential, 32), voidMessage(manifest.hash, fromB64u(sealed, 32)), fromB64u(sig, 64));
}
