/** The arithmetic under the protocol against vectors made by others (tests/vectors/external). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { type Bytes, L, b64u, encodeScalar, fromUtf8, hex, jcs, mod, parseCanonical, utf8 } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { G, Point, decodeAnyPoint, decodePoint, invert, mul, mulPublic, sumOfMultiples, withTables } from "../../src/ballot/group.ts";
import { evaluatePolynomial } from "../../src/ballot/keygen.ts";
import { consistencyProof, inclusionProof, leafHash, root, verifyConsistency, verifyInclusion } from "../../src/ballot/merkle.ts";
import { seedKey, verifySignature } from "../../src/ballot/signing.ts";
import { lagrange } from "../../src/ballot/tally.ts";
import { testRng } from "./world.ts";

const unhex = (text: string): Bytes => new Uint8Array(Buffer.from(text, "hex"));
const external = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../../tests/vectors/external/${name}.json`, import.meta.url), "utf8")) as T;

test("RFC 9496: multiples of the generator, and the 29 encodings that must be refused", () => {
  const { multiples, bad } = external<{ multiples: string[]; bad: string[] }>("ristretto255_rfc9496");
  for (const [n, encoding] of multiples.entries()) {
    assert.equal(hex(mul(G, BigInt(n)).toBytes()), encoding);
    assert.equal(hex(mulPublic(G, BigInt(n)).toBytes()), encoding);
    assert.equal(hex(decodeAnyPoint(unhex(encoding)).toBytes()), encoding);
  }
  assert.equal(bad.length, 29);
  for (const encoding of bad) {
    assert.throws(() => decodeAnyPoint(unhex(encoding)), (error: unknown) => error instanceof VotingError && error.code === "voting.point", encoding);
  }
  for (const length of [0, 31, 33, 64]) assert.throws(() => decodeAnyPoint(new Uint8Array(length)), VotingError);
  assert.throws(() => decodePoint(new Uint8Array(32)), VotingError);
});

test("RFC 9591: sharing of a secret, 2 of 3", () => {
  const v = external<{ secret: string; public: string; coefficients: string[]; shares: string[] }>("frost_rfc9591");
  const coefficients = [v.secret, ...v.coefficients].map(unhex);
  const shares = [1, 2, 3].map((i) => evaluatePolynomial(coefficients, i));
  assert.deepEqual(shares.map((share) => hex(encodeScalar(share))), v.shares);
  assert.equal(hex(mul(G, evaluatePolynomial(coefficients, 0)).toBytes()), v.public);
  const restored = lagrange([1, 3]).reduce((sum, weight, k) => sum + weight * (shares[[0, 2][k] ?? 0] ?? 0n), 0n);
  assert.equal(hex(encodeScalar(mod(restored))), v.secret);
});

test("RFC 8032 and Wycheproof: every verdict on Ed25519", async () => {
  interface Case {
    id: number; seed: string; key: string; msg: string; sig: string; result: string;
  }
  for (const one of external<{ tests: Case[] }>("rfc8032_ed25519").tests) {
    const key = seedKey(unhex(one.seed));
    assert.equal(hex(key.publicKey), one.key);
    assert.equal(hex(await key.sign(unhex(one.msg))), one.sig);
  }
  const { tests } = external<{ tests: Case[] }>("ed25519_wycheproof");
  assert.ok(tests.length > 100 && tests.some(({ result }) => result === "invalid"));
  for (const { id, key, msg, sig, result } of tests) {
    assert.equal(verifySignature(unhex(key), unhex(msg), unhex(sig)), result === "valid", `${id}`);
  }
});

test("RFC 6962: the reference tree, its proofs", () => {
  const v = external<{
    leaves: string[]; roots: string[]; inclusion: { index: number; size: number; proof: string[] }[]; consistency: { old: number; new: number; proof: string[] }[];
  }>("rfc6962_merkle");
  const leaves = v.leaves.map((leaf) => leafHash(unhex(leaf)));
  for (const [n, expected] of v.roots.entries()) assert.equal(hex(root(leaves.slice(0, n))), expected);
  for (const { index, size, proof } of v.inclusion) {
    assert.deepEqual(inclusionProof(leaves.slice(0, size), index).map(hex), proof);
    assert.ok(verifyInclusion(leaves[index] ?? leaves[0] ?? new Uint8Array(), index, size, proof.map(unhex), unhex(v.roots[size] ?? "")));
  }
  for (const { old, new: size, proof } of v.consistency) {
    assert.deepEqual(consistencyProof(leaves.slice(0, size), old).map(hex), proof);
    const heads = [old, size].map((n) => ({ size: n, root: unhex(v.roots[n] ?? "") }));
    assert.ok(heads[0] && heads[1] && verifyConsistency(heads[0], heads[1], proof.map(unhex)));
  }
});

test("RFC 8785: canonical JSON", () => {
  for (const { input, output } of external<{ cases: { input: string; output: string }[] }>("rfc8785_jcs").cases) {
    assert.equal(fromUtf8(jcs(JSON.parse(input))), output);
    assert.deepEqual(parseCanonical(utf8(output)), JSON.parse(input));
  }
});

test("tables, sums and inverses agree with plain multiplication", () => {
  const key = mul(G, 12345n);
  const rng = testRng("tables");
  const tabled = withTables(mul(G, 12345n));
  for (const x of [0n, 1n, 2n, L - 1n, mod(BigInt(`0x${hex(rng(32))}`))]) {
    assert.ok(mul(tabled, x).equals(mulPublic(key, x)));
    if (x !== 0n) assert.equal(mod(invert(x) * x), 1n);
  }
  assert.ok(sumOfMultiples([G, key, Point.ZERO], [5n, L - 1n, 7n]).equals(mul(G, 5n).subtract(key)));
  assert.ok(sumOfMultiples([], []).is0());
  assert.throws(() => invert(0n), VotingError);
});

test("Lagrange coefficients restore a polynomial's value at zero", () => {
  const f = (x: bigint): bigint => mod(7n + 11n * x + 13n * x * x);
  for (const indices of [[1, 2, 3], [2, 5, 9], [3, 1, 2]]) {
    const weights = lagrange(indices);
    assert.equal(mod(indices.reduce((sum, i, k) => sum + f(BigInt(i)) * (weights[k] ?? 0n), 0n)), 7n);
  }
});

test("signatures that only lenient verifiers accept are refused", async () => {
  const message = utf8("message");
  // A small-order key and R with S = 0 satisfy the cofactored equation for every message.
  const identity = new Uint8Array(32);
  identity[0] = 1;
  const forged = new Uint8Array(64);
  forged.set(identity);
  assert.ok(!verifySignature(identity, message, forged));
  // R + T (T of order 8) passes the equation with the cofactor only.
  const torsion = unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
  const seed = testRng("torsion")(32);
  const secret = ed25519.utils.getExtendedPublicKey(seed);
  const r = 987654321n;
  const shifted = ed25519.Point.BASE.multiply(r).add(ed25519.Point.fromBytes(torsion)).toBytes();
  const hashed = sha512(new Uint8Array([...shifted, ...secret.pointBytes, ...message]));
  const k = mod(BigInt(`0x${hex(hashed.toReversed())}`));
  const mixed = new Uint8Array([...shifted, ...encodeScalar(mod(r + k * secret.scalar))]);
  assert.ok(ed25519.verify(mixed, message, secret.pointBytes, { zip215: false }), "control: the cofactored check accepts it");
  assert.ok(!verifySignature(new Uint8Array(secret.pointBytes), message, mixed));
  const own = seedKey(seed);
  assert.ok(verifySignature(own.publicKey, message, await own.sign(message)));
  assert.equal(b64u(own.publicKey).length, 43);
});
