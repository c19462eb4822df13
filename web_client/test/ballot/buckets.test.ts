import assert from "node:assert/strict";
import { test } from "node:test";
import { signedDigits, sumOfMany } from "../../src/ballot/buckets.ts";
import { L, mod, randomScalar } from "../../src/ballot/encoding.ts";
import { G, Point, mulPublic, sumOfMultiples } from "../../src/ballot/group.ts";
import { systemRng } from "../../src/ballot/signing.ts";

/** Scalars at the edges of digits, and random ones of 128 and 252 bits. */
function scalars(count: number): bigint[] {
  const edges = [0n, 1n, L - 1n, L, L + 5n, 2n ** 252n, 2n ** 128n - 1n, 2n ** 127n, 15n, 16n, 17n, 31n, 32n, 33n, -1n, -(2n ** 200n)];
  return Array.from({ length: count }, (_, i) => edges[i] ?? (i % 3 === 0 ? randomScalar(systemRng) : randomScalar(systemRng) >> 124n));
}

/** Different points, with the identity and a repeated one among them. */
function points(count: number): Point[] {
  const all = [mulPublic(G, randomScalar(systemRng))];
  while (all.length < count) all.push((all.at(-1) ?? G).add(G));
  all[3] = Point.ZERO;
  all[count - 1] = all[0] ?? G;
  return all;
}

test("digits add up to their scalar", () => {
  for (const bits of [2, 5, 8, 9, 12]) {
    for (const x of scalars(60).map(mod)) {
      const digits = signedDigits(x, bits);
      assert.ok(digits.every((digit) => Math.abs(digit) <= 2 ** (bits - 1)));
      assert.equal(digits.reduceRight((sum, digit) => (sum << BigInt(bits)) + BigInt(digit), 0n), x);
    }
  }
});

test("many multiples have the sum that they have one by one", () => {
  for (const count of [0, 5, 127, 128, 129, 700]) {
    const [some, factors] = [count === 0 ? [] : points(count), scalars(count)];
    const sum = sumOfMany(some, factors);
    assert.ok(sum.equals(some.reduce((all, point, i) => all.add(mulPublic(point, factors[i] ?? 0n)), Point.ZERO)), `${count} points`);
    assert.ok(sum.equals(sumOfMultiples(some, factors)));
    if (count === 0) continue;
    factors[count - 1] = (factors[count - 1] ?? 0n) + 1n;
    assert.ok(!sumOfMany(some, factors).equals(sum), "another factor gives another sum");
  }
});

test("a sum of nothing but zeros is the identity", () => {
  assert.ok(sumOfMany(points(200), points(200).map(() => 0n)).is0());
  const some = points(200).map((_, i) => (i % 2 === 0 ? G : G.negate()));
  assert.ok(sumOfMany(some, some.map(() => 7n)).is0());
});
