/** Sums of thousands of public multiples: Pippenger's buckets with signed digits (Bernstein, Doumen, Lange, Oosterwijk 2012); variable time. */
import { mod } from "./encoding.ts";
import { Point, sumOfMultiples } from "./group.ts";

/** With fewer points, tables of their multiples are faster. */
const MANY = 128;

/** Bits of a digit that cost least for so many points: each adds one point per digit, each bucket two. */
const width = (points: number): number => Math.min(12, Math.floor(Math.log2(points)) - 2);

/** Digits of a scalar below L, least first: Σ digit · 2^(bits·i), each from −2^(bits−1) + 1 to 2^(bits−1). */
export function signedDigits(x: bigint, bits: number): number[] {
  const [full, step] = [2 ** bits, BigInt(bits)];
  const mask = BigInt(full - 1);
  const digits: number[] = [];
  let carry = 0;
  for (let rest = x; rest > 0n || carry > 0; rest >>= step) {
    const value = Number(rest & mask) + carry;
    carry = value > full / 2 ? 1 : 0;
    digits.push(value - carry * full);
  }
  return digits;
}

const plus = (sum: Point | undefined, point: Point): Point => (sum === undefined ? point : sum.add(point));

/** Σ k · buckets[k], by adding up from the top what stands in the buckets so far. */
function weighted(buckets: readonly (Point | undefined)[]): Point {
  let [running, sum]: (Point | undefined)[] = [];
  for (let k = buckets.length - 1; k > 0; k--) {
    const point = buckets[k];
    if (point !== undefined) running = plus(running, point);
    if (running !== undefined) sum = plus(sum, running);
  }
  return sum ?? Point.ZERO;
}

/** Σ scalar · point. */
export function sumOfMany(points: readonly Point[], scalars: readonly bigint[]): Point {
  if (points.length < MANY) return sumOfMultiples(points, scalars);
  const bits = width(points.length);
  const digits = points.map((_, i) => signedDigits(mod(scalars[i] ?? 0n), bits));
  let total = Point.ZERO;
  for (let place = digits.reduce((most, { length }) => Math.max(most, length), 0) - 1; place >= 0; place--) {
    if (!total.is0()) for (let i = 0; i < bits; i++) total = total.double();
    const buckets = Array.from<Point | undefined>({ length: 2 ** (bits - 1) + 1 });
    for (const [i, point] of points.entries()) {
      const digit = digits[i]?.[place] ?? 0;
      if (digit !== 0) buckets[Math.abs(digit)] = plus(buckets[Math.abs(digit)], digit < 0 ? point.negate() : point);
    }
    total = total.add(weighted(buckets));
  }
  return total;
}
