/** Section 7: a proof that a ciphertext seals one of lo..hi. */
import { type Bytes, type Rng, concat, decodeScalar, encodeScalar, mod, randomScalar } from "./encoding.ts";
import { G, Point, decodePoint, mul, mulPublic } from "./group.ts";

export interface Cipher {
  alpha: Point;
  beta: Point;
}

/** The sealed value with its randomness: what a proof is about, while it is made. */
export interface Secret {
  value: number;
  r: bigint;
}

interface Draft extends Secret {
  lo: number;
  w: bigint;
  /** c and z of each branch; those of the true one come last, from the challenge. */
  c: bigint[];
  z: bigint[];
  points: Bytes[];
}

/**
 * The commitments. Every point is a multiple of G or Y, so tables of both serve all of it: a branch that is not
 * true is simulated as A = (z − c·r)·G, B = (z − c·r)·Y + c·(v − v*)·G. The number of group operations is the same
 * for every value; JavaScript promises no more than that.
 */
export function draftRange(key: Point, { value, r }: Secret, lo: number, hi: number, rng: Rng): Draft {
  const w = randomScalar(rng);
  const draft: Draft = { value, r, lo, w, c: [], z: [], points: [] };
  for (let v = lo; v <= hi; v++) {
    const [c, z] = v === value ? [0n, 0n] : [randomScalar(rng), randomScalar(rng)];
    const t = v === value ? w : mod(z - c * r);
    const b = mul(key, t);
    draft.c.push(c);
    draft.z.push(z);
    draft.points.push(mul(G, t).toBytes(), (v === value ? b : b.add(mul(G, mod(c * BigInt(v - value))))).toBytes());
  }
  return draft;
}

/** Points and scalars of the finished proof. */
export function finishRange({ value, r, lo, w, c, z, points }: Draft, e: bigint): Bytes {
  const rest = mod(e - c.reduce((all, one) => all + one, 0n));
  const [cs, zs] = [[...c], [...z]];
  cs[value - lo] = rest;
  zs[value - lo] = mod(w + rest * r);
  return concat(...points, ...[...cs.slice(0, -1), ...zs].map(encodeScalar));
}

export interface Range {
  lo: number;
  a: Point[];
  b: Point[];
  /** One less than z: the last follows from the challenge. */
  c: bigint[];
  z: bigint[];
}

/** Reads the proof for lo..hi from exactly its bytes. @throws VotingError `voting.point`, `voting.scalar` */
export function decodeRange(bytes: Bytes, lo: number, hi: number): Range {
  const m = hi - lo + 1;
  const at = (i: number): Bytes => bytes.subarray(32 * i, 32 * i + 32);
  const range: Range = { lo, a: [], b: [], c: [], z: [] };
  for (let i = 0; i < m; i++) {
    range.a.push(decodePoint(at(2 * i)));
    range.b.push(decodePoint(at(2 * i + 1)));
  }
  for (let i = 2 * m; i < 3 * m - 1; i++) range.c.push(decodeScalar(at(i)));
  for (let i = 3 * m - 1; i < 4 * m - 1; i++) range.z.push(decodeScalar(at(i)));
  return range;
}

/** The challenges of all branches. */
export const branches = ({ c }: Range, e: bigint): bigint[] => [...c, mod(e - c.reduce((all, one) => all + one, 0n))];

/** Checks each equation by itself. */
export function rangeHolds(key: Point, { alpha, beta }: Cipher, range: Range, e: bigint): boolean {
  return branches(range, e).every((c, i) => {
    const [a, b, z] = [range.a[i] ?? Point.ZERO, range.b[i] ?? Point.ZERO, range.z[i] ?? 0n];
    const shifted = beta.subtract(mulPublic(G, BigInt(range.lo + i)));
    return mulPublic(G, z).equals(a.add(mulPublic(alpha, c))) && mulPublic(key, z).equals(b.add(mulPublic(shifted, c)));
  });
}
