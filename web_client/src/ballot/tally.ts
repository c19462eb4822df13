/** Section 8: aggregate, shares of the decryption, counts and the rules. */
import { type Bytes, H, H512, type Json, type JsonObject, type Rng, b64u, encodeScalar, jcs, mod, randomScalar, scalar, u32 } from "./encoding.ts";
import { ensure } from "./errors.ts";
import type { Part } from "./board.ts";
import { G, Point, decodeAnyPoint, invert, mul, mulPublic, sumOfMultiples } from "./group.ts";
import type { MajorityKind, OpenManifest, Question } from "./manifest.ts";

/** Below this number of ballots no share is made. */
export const LEAST_CAST = 3;

export interface Cipher {
  alpha: Point;
  beta: Point;
}

/** The encrypted totals, per question and option, with their hash. */
export interface Aggregate {
  ciphers: Cipher[][];
  hash: Bytes;
}

/** Groups Σα, Σβ in manifest order and hashes them. */
export function aggregate(manifest: OpenManifest, totals: readonly Point[]): Aggregate {
  let at = 0;
  const take = (): Point => totals[at++] ?? Point.ZERO;
  const ciphers = manifest.questions.map(({ options }) => options.map(() => ({ alpha: take(), beta: take() })));
  ensure(at === totals.length, "voting.tally", "The totals do not fit the questions.");
  return { ciphers, hash: H("fm1/aggregate", manifest.hash, ...totals.map((point) => point.toBytes())) };
}

function verificationKey(manifest: OpenManifest, trustee: number): Point {
  const key = manifest.verificationPoints[trustee - 1];
  ensure(key !== undefined, "voting.share", `There is no teller number ${trustee}.`);
  return key;
}

interface Place {
  trustee: number;
  question: number;
  option: number;
}

function decryptChallenge(manifest: OpenManifest, agg: Aggregate, at: Place, alpha: Point, d: Bytes, u: Bytes, w: Bytes): bigint {
  const key = verificationKey(manifest, at.trustee).toBytes();
  return scalar(
    H512("fm1/decrypt", manifest.hash, agg.hash, u32(at.trustee), u32(at.question), u32(at.option), alpha.toBytes(), d, key, u, w),
  );
}

/** A trustee's share of the decryption with proofs, as JSON. `secret` is the trustee's x_j. */
export function decryptionParts(manifest: OpenManifest, agg: Aggregate, trustee: number, secret: bigint, rng: Rng): Json[][] {
  ensure(mul(G, secret).equals(verificationKey(manifest, trustee)), "voting.share", "This device's part of the key is not the one of this vote.");
  return agg.ciphers.map((ciphers, question) =>
    ciphers.map(({ alpha }, option) => {
      const s = randomScalar(rng);
      const [d, u, w] = [mul(alpha, secret).toBytes(), mul(G, s).toBytes(), mul(alpha, s).toBytes()];
      const c = decryptChallenge(manifest, agg, { trustee, question, option }, alpha, d, u, w);
      return { d: b64u(d), u: b64u(u), w: b64u(w), z: b64u(encodeScalar(mod(s + c * secret))) };
    }),
  );
}

/** Throws unless every part is proved. @throws VotingError `voting.share`, `voting.point` */
export function requireValidParts(manifest: OpenManifest, agg: Aggregate, trustee: number, parts: readonly (readonly Part[])[]): void {
  ensure(parts.length === agg.ciphers.length, "voting.share", "A teller's share does not fit the questions.");
  for (const [question, ciphers] of agg.ciphers.entries()) {
    const list = parts[question] ?? [];
    ensure(list.length === ciphers.length, "voting.share", "A teller's share does not fit the options.");
    for (const [option, { alpha }] of ciphers.entries()) {
      const part = list[option];
      ensure(part !== undefined, "voting.share", "A teller's share does not fit the options.");
      const c = decryptChallenge(manifest, agg, { trustee, question, option }, alpha, part.d, part.u, part.w);
      const [d, u, w] = [decodeAnyPoint(part.d), decodeAnyPoint(part.u), decodeAnyPoint(part.w)];
      const onKey = mulPublic(G, part.z).equals(u.add(mulPublic(verificationKey(manifest, trustee), c)));
      const onCipher = mulPublic(alpha, part.z).equals(w.add(mulPublic(d, c)));
      ensure(onKey && onCipher, "voting.share", "The proof in a teller's share does not hold.");
    }
  }
}

/** Lagrange coefficients at zero for distinct indices. */
export function lagrange(indices: readonly number[]): bigint[] {
  return indices.map((i) => {
    const others = indices.filter((j) => j !== i).map(BigInt);
    const top = others.reduce((product, j) => mod(product * j), 1n);
    const bottom = others.reduce((product, j) => mod(product * (j - BigInt(i))), 1n);
    return mod(top * invert(bottom));
  });
}

/** Finds n with n·G = point by counting up. @throws VotingError `voting.tally` beyond `most`. */
function smallLogarithm(point: Point, most: number): number {
  let candidate = Point.ZERO;
  for (let n = 0; n <= most; n++) {
    if (candidate.equals(point)) return n;
    candidate = candidate.add(G);
  }
  ensure(false, "voting.tally", "The tellers' shares do not give a count.");
}

export interface TrusteeParts {
  trustee: number;
  parts: readonly (readonly Part[])[];
}

/** The counts per question and option from exactly `threshold` verified shares. */
export function combine(manifest: OpenManifest, agg: Aggregate, shares: readonly TrusteeParts[], cast: number): number[][] {
  const indices = shares.map(({ trustee }) => trustee);
  ensure(indices.length === manifest.trustees.threshold && new Set(indices).size === indices.length, "voting.tally", "The count needs the right number of shares.");
  const weights = lagrange(indices);
  return agg.ciphers.map((ciphers, q) =>
    ciphers.map(({ beta }, o) => {
      const factors = shares.map(({ parts }) => {
        const part = parts[q]?.[o];
        ensure(part !== undefined, "voting.share", "A teller's share does not fit the questions.");
        return decodeAnyPoint(part.d);
      });
      return smallLogarithm(beta.subtract(sumOfMultiples(factors, weights)), cast);
    }),
  );
}

export interface Outcome {
  kind: "carried" | "rejected" | "elected" | "none" | "no-quorum" | "too-few";
  option: number;
}

export const quorumMet = ({ rules, present, rollSize }: OpenManifest): boolean =>
  BigInt(present) * BigInt(rules.quorum.den) >= BigInt(rules.quorum.num) * BigInt(rollSize);

const REACHES: Readonly<Record<MajorityKind, (votes: number, base: number) => boolean>> = {
  simple: () => true,
  absolute: (votes, base) => 2 * votes > base,
  "two-thirds": (votes, base) => 3 * votes >= 2 * base,
  "three-quarters": (votes, base) => 4 * votes >= 3 * base,
};

function decide(manifest: OpenManifest, question: Question, counts: readonly number[], cast: number): Outcome {
  const { kind, of } = manifest.rules.majority;
  const base = { cast, present: manifest.present, roll: manifest.rollSize }[of];
  const reaches = (votes: number): boolean => REACHES[kind](votes, base);
  if (question.type === "yes-no-abstain") {
    const [yes = 0, no = 0] = counts;
    return yes > no && reaches(yes) ? { kind: "carried", option: 0 } : { kind: "rejected", option: -1 };
  }
  const most = Math.max(...counts);
  const winner = counts.indexOf(most);
  const alone = counts.lastIndexOf(most) === winner;
  return alone && reaches(most) ? { kind: "elected", option: winner } : { kind: "none", option: -1 };
}

/** The outcome of each question by the manifest's rules; `counts` is empty when too few voted. */
export function evaluate(manifest: OpenManifest, counts: readonly (readonly number[])[], cast: number): Outcome[] {
  return manifest.questions.map((question, q) => {
    if (cast < LEAST_CAST) return { kind: "too-few", option: -1 };
    if (!quorumMet(manifest)) return { kind: "no-quorum", option: -1 };
    return decide(manifest, question, counts[q] ?? [], cast);
  });
}

export interface TallyInput {
  /** Hash of the closing checkpoint's body. */
  closing: Bytes;
  aggregate: Bytes | null;
  cast: number;
  counts: number[][];
  trustees: number[];
  countedAt: number;
}

/** The tally core of section 8, every field recomputed. */
export function tallyCore(manifest: OpenManifest, input: TallyInput): JsonObject {
  return {
    v: 1,
    election: manifest.election,
    manifest: manifest.id,
    closing: b64u(input.closing),
    aggregate: input.aggregate === null ? "" : b64u(input.aggregate),
    cast: input.cast,
    counts: input.counts,
    trustees: input.trustees,
    quorum: { met: quorumMet(manifest), present: manifest.present, roll: manifest.rollSize },
    outcome: evaluate(manifest, input.counts, input.cast).map(({ kind, option }) => ({ kind, option })),
    exceptions: manifest.exceptions,
    counted_at: input.countedAt,
  };
}

export const tallyHash = (core: JsonObject): Bytes => H("fm1/tally", jcs(core));
