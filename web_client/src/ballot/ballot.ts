/** Section 7: building, reading and checking one ballot. */
import { sha256 } from "@noble/hashes/sha2.js";
import {
  type Bytes, H, H512, type Json, type JsonObject, type Rng, b64u, concat, decodeScalar, encodeScalar, fromB64u, jcs, mod,
  randomScalar, scalar, u32,
} from "./encoding.ts";
import { type VotingCode, ensure, withCode } from "./errors.ts";
import { G, Point, decodePoint, mul, mulPublic } from "./group.ts";
import type { OpenManifest } from "./manifest.ts";
import { type SigningKey, verifySignature } from "./signing.ts";
import { Fields } from "./strict.ts";

const OPTION_BYTES = 288;
const SUM_BYTES = 96;
const WEIGHT = 1;
const SEQ = 1;
const MAX_COUNT = Number.MAX_SAFE_INTEGER;
const MAX_CHOICES = 64;

/** A ballot whose form is right; signature and proofs are not looked at yet. */
export interface ReadBallot {
  json: JsonObject;
  manifest: string;
  weight: number;
  seq: number;
  prev: string;
  credential: Bytes;
  choices: Bytes[];
  sig: Bytes;
}

/** α, β, A0, B0, A1, B1 of one option, decoded. */
export interface OptionProof {
  alpha: Point;
  beta: Point;
  a0: Point;
  b0: Point;
  a1: Point;
  b1: Point;
  c0: bigint;
  z0: bigint;
  z1: bigint;
}

export interface QuestionProof {
  options: OptionProof[];
  as: Point;
  bs: Point;
  zs: bigint;
}

/** Reads a ballot's form strictly. @throws VotingError `voting.ballot-malformed` */
export function readBallot(value: Json | undefined): ReadBallot {
  return withCode("voting.ballot-malformed", () => readForm(value));
}

function readForm(value: Json | undefined): ReadBallot {
  const f = new Fields(value, "A ballot", ["v", "manifest", "credential", "weight", "seq", "prev", "choices", "sig"]);
  f.exactly("v", 1);
  const place = { weight: f.int("weight", 0, MAX_COUNT), seq: f.int("seq", 0, MAX_COUNT), prev: b64u(f.bytes("prev")) };
  const choices = f.list("choices", 0, MAX_CHOICES).map((choice) => {
    ensure(typeof choice === "string", "voting.encoding", "A ballot's choices are base64url strings.");
    return fromB64u(choice);
  });
  return { json: f.json, ...place, manifest: f.b64("manifest", 32), credential: f.bytes("credential", 32), choices, sig: f.bytes("sig", 64) };
}

/** The 32-byte message that the credential signs. */
export function ballotMessage(manifestHash: Bytes, ballot: JsonObject): Bytes {
  const { sig: _sig, ...unsigned } = ballot;
  return H("fm1/ballot-sig", manifestHash, sha256(jcs(unsigned)));
}

/** The point encodings of one question's bytes, in the order of the challenge. */
export function pointBytes(choice: Bytes): Bytes[] {
  const options = Math.floor((choice.length - SUM_BYTES) / OPTION_BYTES);
  const starts = Array.from({ length: options }, (_, i) => i * OPTION_BYTES).flatMap((at) => [0, 1, 2, 3, 4, 5].map((j) => at + 32 * j));
  const sum = options * OPTION_BYTES;
  return [...starts, sum, sum + 32].map((at) => choice.slice(at, at + 32));
}

/** The one challenge e of a ballot, over every question's points. */
export function ballotChallenge(manifest: OpenManifest, credential: Bytes, points: readonly (readonly Bytes[])[]): bigint {
  const questions = points.flatMap((list, q) => [u32(q), u32((list.length - 2) / 6), ...list]);
  const head = [manifest.hash, fromB64u(manifest.trustees.key), credential, u32(WEIGHT), u32(SEQ), new Uint8Array()];
  return scalar(H512("fm1/ballot", ...head, ...questions));
}

interface Draft {
  voted: boolean;
  r: bigint;
  w: bigint;
  fakeC: bigint;
  fakeZ: bigint;
  points: Bytes[];
}

/**
 * One option. Every point is a multiple of G or Y, so tables of both serve all of it: the branch that is
 * not true is simulated as A = (z − c·r)·G, B = (z − c·r)·Y ± c·G.
 */
function draftOption(key: Point, voted: boolean, rng: Rng): Draft {
  const [r, w, fakeC, fakeZ] = [randomScalar(rng), randomScalar(rng), randomScalar(rng), randomScalar(rng)];
  const shift = mod(fakeZ - fakeC * r);
  const [alpha, masked] = [mul(G, r), mul(key, r)];
  const [trueA, trueB] = [mul(G, w), mul(key, w)];
  const [fakeA, fakeB] = [mul(G, shift), mul(key, shift).add(mul(G, voted ? mod(-fakeC) : fakeC))];
  const order = voted ? [fakeA, fakeB, trueA, trueB] : [trueA, trueB, fakeA, fakeB];
  // Both choices take the same number of group operations; JavaScript promises no more than that.
  const beta = masked.add(voted ? G : Point.ZERO);
  return { voted, r, w, fakeC, fakeZ, points: [alpha, beta, ...order].map((point) => point.toBytes()) };
}

function finishOption(draft: Draft, e: bigint): Bytes {
  const c = mod(e - draft.fakeC);
  const z = mod(draft.w + c * draft.r);
  const [c0, z0, z1] = draft.voted ? [draft.fakeC, draft.fakeZ, z] : [c, z, draft.fakeZ];
  return concat(...draft.points, ...[c0, z0, z1].map(encodeScalar));
}

function draftQuestion(key: Point, options: number, choice: number, rng: Rng): { drafts: Draft[]; ws: bigint; points: Bytes[] } {
  const drafts = Array.from({ length: options }, (_, i) => draftOption(key, i === choice, rng));
  const ws = randomScalar(rng);
  return { drafts, ws, points: [...drafts.flatMap((draft) => draft.points), mul(G, ws).toBytes(), mul(key, ws).toBytes()] };
}

/**
 * Seals one option index per question and signs the ballot.
 * @throws VotingError `voting.choice` when a question is not answered by one of its options.
 */
export async function buildBallot(
  manifest: OpenManifest,
  choices: readonly number[],
  credential: SigningKey,
  rng: Rng,
  key: Point = manifest.trusteeKey,
): Promise<JsonObject> {
  ensure(choices.length === manifest.questions.length, "voting.choice", "Every question needs an answer.");
  const drafts = manifest.questions.map(({ options }, q) => {
    const choice = choices[q] ?? -1;
    ensure(Number.isInteger(choice) && choice >= 0 && choice < options.length, "voting.choice", "The answer is not one of the options.");
    return draftQuestion(key, options.length, choice, rng);
  });
  const e = ballotChallenge(manifest, credential.publicKey, drafts.map(({ points }) => points));
  const sealed = drafts.map(({ drafts: options, ws, points }) => {
    const sumR = options.reduce((sum, option) => sum + option.r, 0n);
    return concat(...options.map((option) => finishOption(option, e)), ...points.slice(-2), encodeScalar(mod(ws + e * sumR)));
  });
  const ballot: JsonObject = {
    v: 1, manifest: manifest.id, credential: b64u(credential.publicKey), weight: WEIGHT, seq: SEQ, prev: "", choices: sealed.map(b64u),
  };
  const sig = await credential.sign(ballotMessage(manifest.hash, ballot));
  return { ...ballot, sig: b64u(sig) };
}

function decodeOption(bytes: Bytes): OptionProof {
  const point = (i: number): Point => decodePoint(bytes.subarray(32 * i, 32 * i + 32));
  const number = (i: number): bigint => decodeScalar(bytes.subarray(192 + 32 * i, 224 + 32 * i));
  return {
    alpha: point(0), beta: point(1), a0: point(2), b0: point(3), a1: point(4), b1: point(5),
    c0: number(0), z0: number(1), z1: number(2),
  };
}

/** Throws unless the ballot names this vote, the only weight and the first place. @throws VotingError `voting.ballot-foreign` */
export function requireNative(manifest: OpenManifest, { manifest: named, weight, seq, prev }: ReadBallot): void {
  const native = named === manifest.id && weight === WEIGHT && seq === SEQ && prev === "";
  ensure(native, "voting.ballot-foreign", "The ballot belongs to another vote.");
}

/** Throws unless number and lengths of the questions' bytes are the manifest's. @throws VotingError `voting.ballot-bytes` */
export function requireLengths(manifest: OpenManifest, ballot: ReadBallot): void {
  const fits = manifest.questions.every(({ options }, q) => ballot.choices[q]?.length === options.length * OPTION_BYTES + SUM_BYTES);
  ensure(fits && ballot.choices.length === manifest.questions.length, "voting.ballot-bytes", "The ballot does not fit the questions.");
}

function decodeQuestion(bytes: Bytes): QuestionProof {
  const end = bytes.length - SUM_BYTES;
  return {
    options: Array.from({ length: end / OPTION_BYTES }, (_, i) => decodeOption(bytes.subarray(i * OPTION_BYTES, (i + 1) * OPTION_BYTES))),
    as: decodePoint(bytes.subarray(end, end + 32)),
    bs: decodePoint(bytes.subarray(end + 32, end + 64)),
    zs: decodeScalar(bytes.subarray(end + 64)),
  };
}

/** Decodes every point and scalar canonically. @throws VotingError `voting.ballot-bytes` */
export function decodeProofs(manifest: OpenManifest, ballot: ReadBallot): QuestionProof[] {
  requireLengths(manifest, ballot);
  return withCode("voting.ballot-bytes", () => ballot.choices.map(decodeQuestion));
}

/** True when the ballot's credential signed it for this manifest. */
export function ballotSigned(manifest: OpenManifest, ballot: ReadBallot): boolean {
  return verifySignature(ballot.credential, ballotMessage(manifest.hash, ballot.json), ballot.sig);
}

export const challengeOf = (manifest: OpenManifest, ballot: ReadBallot): bigint =>
  ballotChallenge(manifest, ballot.credential, ballot.choices.map(pointBytes));

/** Checks every equation of one ballot by itself, options before sums; null when all hold. */
export function proofFault(manifest: OpenManifest, proofs: readonly QuestionProof[], e: bigint): VotingCode | null {
  const key = manifest.trusteeKey;
  const holds = (base: Point, z: bigint, commitment: Point, c: bigint, statement: Point): boolean =>
    mulPublic(base, z).equals(commitment.add(mulPublic(statement, c)));
  const optionHolds = ({ alpha, beta, a0, b0, a1, b1, c0, z0, z1 }: OptionProof): boolean => {
    const c1 = mod(e - c0);
    return (
      holds(G, z0, a0, c0, alpha) && holds(key, z0, b0, c0, beta) &&
      holds(G, z1, a1, c1, alpha) && holds(key, z1, b1, c1, beta.subtract(G))
    );
  };
  const sumHolds = ({ options, as, bs, zs }: QuestionProof): boolean => {
    const alpha = options.reduce((sum, option) => sum.add(option.alpha), Point.ZERO);
    const beta = options.reduce((sum, option) => sum.add(option.beta), Point.ZERO);
    return holds(G, zs, as, e, alpha) && holds(key, zs, bs, e, beta.subtract(G));
  };
  if (!proofs.every(({ options }) => options.every(optionHolds))) return "voting.ballot-option-proof";
  return proofs.every(sumHolds) ? null : "voting.ballot-sum-proof";
}
