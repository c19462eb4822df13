/** Section 7: building, reading and checking one ballot. */
import { sha256 } from "@noble/hashes/sha2.js";
import { type Constraint, type Layout, allowed, rangeBytes, sumOf } from "./cells.ts";
import {
  type Bytes, H, H512, type Json, type JsonObject, type Rng, b64u, concat, fromB64u, jcs, mod, randomScalar, scalar, u32,
} from "./encoding.ts";
import { type VotingCode, ensure, withCode } from "./errors.ts";
import { G, Point, decodePoint, mul, sumOfMultiples } from "./group.ts";
import type { OpenManifest } from "./manifest.ts";
import { type Cipher, type Range, decodeRange, draftRange, finishRange, rangeHolds } from "./ranges.ts";
import { type SigningKey, verifySignature } from "./signing.ts";
import { Fields } from "./strict.ts";

const MAX_COUNT = Number.MAX_SAFE_INTEGER;
const MAX_U32 = 2 ** 32 - 1;
const MAX_QUESTIONS = 8;
const FIELDS = ["v", "manifest", "credential", "weight", "seq", "prev", "choices"] as const;

/** Whose ballot it is, and the how many-th of that lineage. */
export interface Place {
  weight: number;
  /** From 1. */
  seq: number;
  /** Leaf of the lineage's ballot before, b64u; "" for the first. */
  prev: string;
}

/** A ballot whose form is right; signature and proofs are not looked at yet. */
export interface ReadBallot extends Place {
  json: JsonObject;
  manifest: string;
  credential: Bytes;
  choices: Bytes[];
  sig: Bytes;
}

/** One cell, decoded. */
export interface Cell extends Cipher {
  range: Range;
}

/** One question, decoded. */
export interface QuestionProof {
  cells: Cell[];
  constraints: Range[];
}

/** Reads a ballot's form strictly. @throws VotingError `voting.ballot-malformed` */
export function readBallot(value: Json | undefined): ReadBallot {
  return withCode("voting.ballot-malformed", () => {
    const f = new Fields(value, "A ballot", [...FIELDS, "sig"]);
    f.exactly("v", 1);
    const choices = f.list("choices", 0, MAX_QUESTIONS).map((choice) => {
      ensure(typeof choice === "string", "voting.encoding", "A ballot's choices are base64url strings.");
      return fromB64u(choice);
    });
    return {
      json: f.json, manifest: f.b64("manifest", 32), credential: f.bytes("credential", 32), weight: f.int("weight", 0, MAX_COUNT),
      seq: f.int("seq", 0, MAX_COUNT), prev: b64u(f.bytes("prev")), choices, sig: f.bytes("sig", 64),
    };
  });
}

const digestOf = (ballot: JsonObject): Bytes => {
  const { sig: _sig, ...unsigned } = ballot;
  return sha256(jcs(unsigned));
};

/** The 32-byte message that the credential signs. */
export const ballotMessage = (manifestHash: Bytes, ballot: JsonObject): Bytes => H("fm1/ballot-sig", manifestHash, digestOf(ballot));

/** What the server is told of a ballot before the voter chooses to cast or to audit it. */
export const sealedHash = (manifestHash: Bytes, ballot: JsonObject): Bytes => H("fm1/sealed", manifestHash, digestOf(ballot));

/** The point encodings of one question's bytes, in the order of the challenge: those of the cells, then of the constraints. */
export function pointBytes(layout: Layout, choice: Bytes): Bytes[] {
  const points: Bytes[] = [];
  const take = (at: number, count: number): void => {
    for (let i = 0; i < count; i++) points.push(choice.subarray(at + 32 * i, at + 32 * i + 32));
  };
  const m = layout.most + 1;
  let at = 0;
  for (let cell = 0; cell < layout.cells; cell++, at += 64 + rangeBytes(m)) take(at, 2 + 2 * m);
  for (const { lo, hi } of layout.constraints) {
    take(at, 2 * (hi - lo + 1));
    at += rangeBytes(hi - lo + 1);
  }
  return points;
}

/** The one challenge e of a ballot, over every question's points. */
function challenge(manifest: OpenManifest, credential: Bytes, { weight, seq, prev }: Place, points: readonly (readonly Bytes[])[]): bigint {
  const questions = points.flatMap((list, q) => [u32(q), u32(manifest.layouts[q]?.cells ?? 0), ...list]);
  return scalar(H512("fm1/ballot", manifest.hash, fromB64u(manifest.trustees.key), credential, u32(weight), u32(seq), fromB64u(prev), ...questions));
}

const rOf = ({ terms }: Constraint, rs: readonly bigint[]): bigint => mod(terms.reduce((all, [cell, weight]) => all + BigInt(weight) * (rs[cell] ?? 0n), 0n));

function draftQuestion(key: Point, layout: Layout, values: readonly number[], rng: Rng) {
  const cells = values.map((value) => {
    const r = randomScalar(rng);
    // Both values take the same number of group operations but for this addition's operand.
    const beta = mul(key, r).add(value === 0 ? Point.ZERO : mul(G, BigInt(value)));
    return { r, bytes: [mul(G, r).toBytes(), beta.toBytes()], draft: draftRange(key, { value, r }, 0, layout.most, rng) };
  });
  const rs = cells.map(({ r }) => r);
  const constraints = layout.constraints.map((one) => draftRange(key, { value: sumOf(one, values), r: rOf(one, rs) }, one.lo, one.hi, rng));
  return {
    points: [...cells.flatMap(({ bytes, draft }) => [...bytes, ...draft.points]), ...constraints.flatMap(({ points }) => points)],
    finish: (e: bigint): Bytes =>
      concat(...cells.flatMap(({ bytes, draft }) => [...bytes, finishRange(draft, e)]), ...constraints.map((draft) => finishRange(draft, e))),
  };
}

/** The draws of a ballot that a second device can repeat: the i-th 64 bytes are H512("fm1/draw", seed, u32(i)). */
export function seededDraws(seed: Bytes): Rng {
  let i = 0;
  return (n) => {
    ensure(n === 64, "voting.scalar", "A ballot draws 64 bytes at a time.");
    return H512("fm1/draw", seed, u32(i++));
  };
}

/**
 * Seals the values of every question's cells; the ballot is not signed yet.
 * @param key the trustees' key, with tables where there are any
 * @throws VotingError `voting.choice` when an answer is missing or not allowed
 */
export function sealBallot(
  manifest: OpenManifest, credential: Bytes, place: Place, choices: readonly (readonly number[])[], rng: Rng, key = manifest.trusteeKey,
): JsonObject {
  const answered = choices.length === manifest.layouts.length && manifest.layouts.every((layout, q) => allowed(layout, choices[q] ?? []));
  ensure(answered, "voting.choice", "Every question needs an answer that it allows.");
  let sealed = choices.map((values) => Uint8Array.from(values));
  if (manifest.secret) {
    const drafts = manifest.layouts.map((layout, q) => draftQuestion(key, layout, choices[q] ?? [], rng));
    const e = challenge(manifest, credential, place, drafts.map(({ points }) => points));
    sealed = drafts.map(({ finish }) => finish(e));
  }
  return { v: 1, manifest: manifest.id, credential: b64u(credential), ...place, choices: sealed.map(b64u) };
}

export async function signBallot(manifest: OpenManifest, ballot: JsonObject, credential: SigningKey): Promise<JsonObject> {
  return { ...ballot, sig: b64u(await credential.sign(ballotMessage(manifest.hash, ballot))) };
}

/** Throws unless the ballot names this vote, and weight and seq fit the challenge. @throws VotingError `voting.ballot-foreign` */
export function requireNative(manifest: OpenManifest, { manifest: named, weight, seq }: ReadBallot): void {
  ensure(named === manifest.id && weight <= MAX_U32 && seq <= MAX_U32, "voting.ballot-foreign", "The ballot belongs to another vote.");
}

/** Throws unless number and lengths of the questions' bytes are the manifest's. @throws VotingError `voting.ballot-bytes` */
export function requireLengths({ layouts, secret }: OpenManifest, { choices }: ReadBallot): void {
  const fits = choices.length === layouts.length && layouts.every(({ bytes, cells }, q) => choices[q]?.length === (secret ? bytes : cells));
  ensure(fits, "voting.ballot-bytes", "The ballot does not fit the questions.");
}

function decodeQuestion(layout: Layout, bytes: Bytes): QuestionProof {
  let at = 0;
  const take = (n: number): Bytes => bytes.subarray(at, (at += n));
  const cells = Array.from({ length: layout.cells }, () => ({
    alpha: decodePoint(take(32)), beta: decodePoint(take(32)), range: decodeRange(take(rangeBytes(layout.most + 1)), 0, layout.most),
  }));
  return { cells, constraints: layout.constraints.map(({ lo, hi }) => decodeRange(take(rangeBytes(hi - lo + 1)), lo, hi)) };
}

/** Decodes every point and scalar canonically. @throws VotingError `voting.ballot-bytes` */
export function decodeProofs(manifest: OpenManifest, ballot: ReadBallot): QuestionProof[] {
  requireLengths(manifest, ballot);
  return withCode("voting.ballot-bytes", () => manifest.layouts.map((layout, q) => decodeQuestion(layout, ballot.choices[q] ?? new Uint8Array())));
}

/** True when every value of a plain ballot is within its cell; the sums are another matter. */
export const plainInRange = ({ layouts }: OpenManifest, { choices }: ReadBallot): boolean =>
  layouts.every(({ most }, q) => choices[q]?.every((value) => value <= most));

/** True when the values of a plain ballot are answers that the questions allow. */
export const plainAllowed = ({ layouts }: OpenManifest, { choices }: ReadBallot): boolean =>
  layouts.every((layout, q) => allowed(layout, [...(choices[q] ?? [])]));

/** True when the ballot's credential signed it for this manifest. */
export function ballotSigned(manifest: OpenManifest, ballot: ReadBallot): boolean {
  return verifySignature(ballot.credential, ballotMessage(manifest.hash, ballot.json), ballot.sig);
}

export const challengeOf = (manifest: OpenManifest, ballot: ReadBallot): bigint =>
  challenge(manifest, ballot.credential, ballot, manifest.layouts.map((layout, q) => pointBytes(layout, ballot.choices[q] ?? new Uint8Array())));

/** The ciphertext of a constraint's sum. */
export function sumCipher({ terms }: Constraint, cells: readonly Cipher[]): Cipher {
  const weights = terms.map(([, weight]) => BigInt(weight));
  const total = (part: "alpha" | "beta"): Point => sumOfMultiples(terms.map(([cell]) => cells[cell]?.[part] ?? Point.ZERO), weights);
  return { alpha: total("alpha"), beta: total("beta") };
}

/** Which proofs of a ballot are looked at. */
export interface Which {
  cells: boolean;
  constraints: boolean;
}
export const BOTH: Which = { cells: true, constraints: true };

/** Checks every equation of one ballot by itself, cells before constraints; null when all hold. */
export function proofFault(manifest: OpenManifest, proofs: readonly QuestionProof[], e: bigint, which = BOTH): VotingCode | null {
  const key = manifest.trusteeKey;
  if (which.cells && !proofs.every(({ cells }) => cells.every((cell) => rangeHolds(key, cell, cell.range, e)))) return "voting.ballot-option-proof";
  const sumsHold = !which.constraints || proofs.every(({ cells, constraints }, q) =>
    constraints.every((range, i) => {
      const constraint = manifest.layouts[q]?.constraints[i];
      return constraint !== undefined && rangeHolds(key, sumCipher(constraint, cells), range, e);
    }),
  );
  return sumsHold ? null : "voting.ballot-sum-proof";
}
