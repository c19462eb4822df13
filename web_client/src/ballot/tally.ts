/** Section 8: aggregate, shares of the decryption, counts, and the tally that they give. */
import { type Bytes, H, H512, type Json, type JsonObject, type Rng, b64u, decodeScalar, encodeScalar, hex, jcs, mod, randomScalar, scalar, u32 } from "./encoding.ts";
import type { Part } from "./entries.ts";
import { ensure } from "./errors.ts";
import { G, Point, decodeAnyPoint, invert, mul, mulPublic, sumOfMultiples } from "./group.ts";
import type { OpenManifest } from "./manifest.ts";
import type { Cipher } from "./ranges.ts";
import { evaluate, quorumOf } from "./rules.ts";
import { Fields } from "./strict.ts";

/** Up to this count the search just counts. */
const SHORT_SEARCH = 64;

/** The encrypted totals, per question and cell, with their hash. */
export interface Aggregate {
  ciphers: Cipher[][];
  hash: Bytes;
}

/** Groups Σα, Σβ in manifest order and hashes them. */
export function aggregate(manifest: OpenManifest, totals: readonly Point[]): Aggregate {
  let at = 0;
  const take = (): Point => totals[at++] ?? Point.ZERO;
  const ciphers = manifest.layouts.map(({ cells }) => Array.from({ length: cells }, () => ({ alpha: take(), beta: take() })));
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
  cell: number;
}

function decryptChallenge(manifest: OpenManifest, agg: Aggregate, at: Place, alpha: Point, d: Bytes, u: Bytes, w: Bytes): bigint {
  const key = verificationKey(manifest, at.trustee).toBytes();
  return scalar(
    H512("fm1/decrypt", manifest.hash, agg.hash, u32(at.trustee), u32(at.question), u32(at.cell), alpha.toBytes(), d, key, u, w),
  );
}

/** A trustee's share of the decryption with proofs, as JSON. `secret` is the trustee's x_j. */
export function decryptionParts(manifest: OpenManifest, agg: Aggregate, trustee: number, secret: bigint, rng: Rng): Json[][] {
  ensure(mul(G, secret).equals(verificationKey(manifest, trustee)), "voting.share", "This device's part of the key is not the one of this vote.");
  return agg.ciphers.map((ciphers, question) =>
    ciphers.map(({ alpha }, cell) => {
      const s = randomScalar(rng);
      const [d, u, w] = [mul(alpha, secret).toBytes(), mul(G, s).toBytes(), mul(alpha, s).toBytes()];
      const c = decryptChallenge(manifest, agg, { trustee, question, cell }, alpha, d, u, w);
      return { d: b64u(d), u: b64u(u), w: b64u(w), z: b64u(encodeScalar(mod(s + c * secret))) };
    }),
  );
}

/** Throws unless every part is proved. @throws VotingError `voting.share`, `voting.point`, `voting.scalar` */
export function requireValidParts(manifest: OpenManifest, agg: Aggregate, trustee: number, parts: readonly (readonly Part[])[]): void {
  ensure(parts.length === agg.ciphers.length, "voting.share", "A teller's share does not fit the questions.");
  for (const [question, ciphers] of agg.ciphers.entries()) {
    const list = parts[question] ?? [];
    ensure(list.length === ciphers.length, "voting.share", "A teller's share does not fit the questions.");
    for (const [cell, { alpha }] of ciphers.entries()) {
      const part = list[cell];
      ensure(part !== undefined, "voting.share", "A teller's share does not fit the questions.");
      const c = decryptChallenge(manifest, agg, { trustee, question, cell }, alpha, part.d, part.u, part.w);
      const [d, u, w] = [decodeAnyPoint(part.d), decodeAnyPoint(part.u), decodeAnyPoint(part.w)];
      const z = decodeScalar(part.z);
      const onKey = mulPublic(G, z).equals(u.add(mulPublic(verificationKey(manifest, trustee), c)));
      const onCipher = mulPublic(alpha, z).equals(w.add(mulPublic(d, c)));
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

/** Finds n with n·G = point and 0 ≤ n ≤ most, by baby steps and giant steps. @throws VotingError `voting.tally` beyond */
export function smallLogarithm(point: Point, most: number): number {
  const width = most <= SHORT_SEARCH ? most + 1 : Math.ceil(Math.sqrt(most + 1));
  const steps = new Map<string, number>();
  let baby = Point.ZERO;
  for (let n = 0; n < width; n++) {
    if (baby.equals(point)) return n;
    if (width <= most) steps.set(hex(baby.toBytes()), n);
    baby = baby.add(G);
  }
  let rest = point.subtract(baby);
  for (let n = width; n <= most; n += width) {
    const found = steps.get(hex(rest.toBytes()));
    if (found !== undefined && n + found <= most) return n + found;
    rest = rest.subtract(baby);
  }
  ensure(false, "voting.tally", "The tellers' shares do not give a count.");
}

export interface TrusteeParts {
  trustee: number;
  parts: readonly (readonly Part[])[];
}

/** The counts per question and cell from `threshold` of the verified shares, any of which give the same; `castWeight` bounds them. */
export function combine(manifest: OpenManifest, agg: Aggregate, verified: readonly TrusteeParts[], castWeight: number): number[][] {
  const { threshold } = manifest.trustees;
  const shares = [...verified].sort((a, b) => a.trustee - b.trustee).slice(0, threshold);
  const indices = shares.map(({ trustee }) => trustee);
  ensure(indices.length === threshold && new Set(indices).size === threshold, "voting.tally", "The count needs the right number of shares.");
  const weights = lagrange(indices);
  return agg.ciphers.map((ciphers, q) =>
    ciphers.map(({ beta }, cell) => {
      const factors = shares.map(({ parts }) => {
        const part = parts[q]?.[cell];
        ensure(part !== undefined, "voting.share", "A teller's share does not fit the questions.");
        return decodeAnyPoint(part.d);
      });
      return smallLogarithm(beta.subtract(sumOfMultiples(factors, weights)), castWeight * (manifest.layouts[q]?.most ?? 1));
    }),
  );
}

export interface TallyInput {
  /** checkpoint_hash of the closing checkpoint. */
  closing: Bytes;
  /** Null in plain votes and with too few. */
  aggregate: Bytes | null;
  ballots: number;
  cast: number;
  castWeight: number;
  replacements: number;
  kiosk: number;
  voids: number;
  counts: number[][];
  rejected: { trustee: number; hash: string }[];
  /** Options by question, as the chair decided ties. */
  castings: ReadonlyMap<number, readonly number[]>;
  /** What the server says of halls that were cut off. */
  halls: readonly TallyHall[];
  countedAt: number;
}

/** A hall that was cut off at the end of a vote, and how many ballots it brought too late. */
export interface TallyHall {
  site: string;
  name: string;
  state: "unreachable" | "late";
  ballots: number;
}

/** Reads the halls of a core; nobody but the server knows whether they are true. @throws VotingError `voting.tally` */
export function tallyHalls(value: Json | undefined): TallyHall[] {
  ensure(Array.isArray(value), "voting.tally", "The result does not say which halls were cut off.");
  const halls = value.map((one) => {
    const f = new Fields(one, "A hall", ["site", "name", "state", "ballots"]);
    const name = f.raw("name") === "" ? "" : f.text("name");
    return { site: f.id("site"), name, state: f.one("state", ["unreachable", "late"]), ballots: f.int("ballots", 0, Number.MAX_SAFE_INTEGER) };
  });
  const fits = halls.every(({ site, state, ballots }, i) => (i === 0 || site > (halls[i - 1]?.site ?? "")) && ballots > 0 === (state === "late"));
  ensure(fits, "voting.tally", "The halls that were cut off are listed in a wrong way.");
  return halls;
}

/** The tally core of section 8, every field recomputed. */
export function tallyCore(manifest: OpenManifest, input: TallyInput): JsonObject {
  return {
    v: 1,
    election: manifest.election,
    manifest: manifest.id,
    closing: b64u(input.closing),
    aggregate: input.aggregate === null ? "" : b64u(input.aggregate),
    ballots: input.ballots,
    cast: input.cast,
    cast_weight: input.castWeight,
    replacements: input.replacements,
    kiosk: input.kiosk,
    voids: input.voids,
    counts: input.counts,
    rejected: input.rejected,
    quorum: { ...quorumOf(manifest, input) },
    outcome: evaluate(manifest, input, input.counts, input.castings).map((outcome) => ({ ...outcome })),
    exceptions: manifest.exceptions,
    halls: input.halls.map((hall) => ({ ...hall })),
    counted_at: input.countedAt,
  };
}

export const tallyHash = (core: JsonObject): Bytes => H("fm1/tally", jcs(core));
