/** ristretto255 (RFC 9496): canonical decoding, multiplication with and without tables. */
import { ristretto255 } from "@noble/curves/ed25519.js";
import { mulAddUnsafe } from "@noble/curves/abstract/curve.js";
import { L, mod } from "./encoding.ts";
import { VotingError, ensure } from "./errors.ts";

export const Point = ristretto255.Point;
export type Point = InstanceType<typeof Point>;
export const G: Point = Point.BASE;

const TABLE_WINDOW = 8;

/**
 * Decodes the canonical 32-byte encoding of a group element, the identity included.
 * @throws VotingError `voting.point`
 */
export function decodeAnyPoint(bytes: Uint8Array): Point {
  try {
    return Point.fromBytes(bytes);
  } catch {
    throw new VotingError("voting.point", "The bytes are not a canonical ristretto255 element.");
  }
}

/** Like `decodeAnyPoint`, but the identity is refused. */
export function decodePoint(bytes: Uint8Array): Point {
  const point = decodeAnyPoint(bytes);
  ensure(!point.is0(), "voting.point", "The identity element is refused.");
  return point;
}

/** Secret scalar times point: the library's constant-time path; 0 gives the identity. */
export const mul = (point: Point, x: bigint): Point => (x === 0n ? Point.ZERO : point.multiply(x));

/** Public scalar times point; variable time. */
export const mulPublic = (point: Point, x: bigint): Point => point.multiplyUnsafe(mod(x));

/** Sum of public multiples; variable time. */
export function sumOfMultiples(points: readonly Point[], scalars: readonly bigint[]): Point {
  const live = points.map((point, i) => [point, mod(scalars[i] ?? 0n)] as const).filter(([point, x]) => x !== 0n && !point.is0());
  return live.length === 0 ? Point.ZERO : mulAddUnsafe(Point, live.map(([p]) => p), live.map(([, x]) => x));
}

let baseHasTable = false;

/** Prepares G and the election's key for many multiplications; costs a few dozen milliseconds once per key. */
export function withTables(key: Point): Point {
  if (!baseHasTable) {
    G.precompute(TABLE_WINDOW, false);
    baseHasTable = true;
  }
  return key.precompute(TABLE_WINDOW, false);
}

/** The inverse of a scalar mod L. @throws VotingError `voting.scalar` for zero. */
export function invert(x: bigint): bigint {
  ensure(mod(x) !== 0n, "voting.scalar", "Zero has no inverse.");
  let [a, b, u, v] = [mod(x), L, 1n, 0n];
  while (a !== 0n) {
    const q = b / a;
    [a, b] = [b - q * a, a];
    [u, v] = [v - q * u, u];
  }
  return mod(v);
}
