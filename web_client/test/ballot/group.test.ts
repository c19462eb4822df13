/** RFC 9496, appendix A: small multiples of the generator, and encodings that must be refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { L, b64u, encodeScalar, hex, mod } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { G, Point, decodeAnyPoint, decodePoint, invert, mul, mulPublic, sumOfMultiples, withTables } from "../../src/ballot/group.ts";
import { seedKey, verifySignature } from "../../src/ballot/signing.ts";
import { lagrange } from "../../src/ballot/tally.ts";
import { testRng } from "./world.ts";

const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

// A.1
const MULTIPLES = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
  "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
  "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
];

// A.2: non-canonical field elements, negative field elements, non-square x^2, negative x*y, s = -1
const BAD = [
  "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
  "c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562",
  "c940e5a4404157cfb1628b108db051a8d439e1a421394ec4ebccb9ec92a8ac78",
  "47cfc5497c53dc8e61c91d17fd626ffb1c49e2bca94eed052281b510b1117a24",
  "f1c6165d33367351b0da8f6e4511010c68174a03b6581212c71c0e1d026c3c72",
  "87260f7a2f12495118360f02c26a470f450dadf34a413d21042b43b9d93e1309",
  "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
  "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
  "de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b",
  "bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042",
  "2a292df7e32cababbd9de088d1d1abec9fc0440f637ed2fba145094dc14bea08",
  "f4a9e534fc0d216c44b218fa0c42d99635a0127ee2e53c712f70609649fdff22",
  "8268436f8c4126196cf64b3c7ddbda90746a378625f9813dd9b8457077256731",
  "2810e5cbc2cc4d4eece54f61c6f69758e289aa7ab440b3cbeaa21995c2f4232b",
  "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
  "a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220",
  "d483fe813c6ba647ebbfd3ec41adca1c6130c2beeee9d9bf065c8d151c5f396e",
  "8a2e1d30050198c65a54483123960ccc38aef6848e1ec8f5f780e8523769ba32",
  "32888462f8b486c68ad7dd9610be5192bbeaf3b443951ac1a8118419d9fa097b",
  "227142501b9d4355ccba290404bde41575b037693cef1f438c47f8fbf35d1165",
  "5c37cc491da847cfeb9281d407efc41e15144c876e0170b499a96a22ed31e01e",
  "445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

test("small multiples of the generator", () => {
  for (const [n, encoding] of MULTIPLES.entries()) {
    assert.equal(hex(mul(G, BigInt(n)).toBytes()), encoding);
    assert.equal(hex(mulPublic(G, BigInt(n)).toBytes()), encoding);
    assert.equal(hex(decodeAnyPoint(unhex(encoding)).toBytes()), encoding);
  }
});

test("all 29 bad encodings and wrong lengths are refused, the identity by the strict decoder", () => {
  assert.equal(BAD.length, 29);
  for (const encoding of BAD) {
    assert.throws(() => decodeAnyPoint(unhex(encoding)), (error: unknown) => error instanceof VotingError && error.code === "voting.point", encoding);
  }
  for (const length of [0, 31, 33, 64]) assert.throws(() => decodeAnyPoint(new Uint8Array(length)), VotingError);
  assert.throws(() => decodePoint(new Uint8Array(32)), VotingError);
  assert.ok(decodeAnyPoint(new Uint8Array(32)).is0());
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

test("signatures: RFC 8032 accepted, torsion and unreduced S refused", async () => {
  // RFC 8032, 7.1, test 2
  const key = unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").slice();
  const message = unhex("72").slice();
  const sig = unhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  ).slice();
  assert.ok(verifySignature(key, message, sig));
  assert.ok(!verifySignature(key, unhex("73").slice(), sig));
  const s = BigInt(`0x${hex(sig.slice(32).toReversed())}`);
  const unreduced = sig.slice();
  unreduced.set(encodeScalar(s + L), 32);
  assert.ok(!verifySignature(key, message, unreduced));
  // A small-order key and R with S = 0 satisfy the cofactored equation for every message.
  const identity = new Uint8Array(32);
  identity[0] = 1;
  const forged = new Uint8Array(64);
  forged.set(identity);
  assert.ok(!verifySignature(identity, message, forged));
  // R + T (T of order 8) passes the equation with the cofactor only.
  const torsion = unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
  const { ed25519 } = await import("@noble/curves/ed25519.js");
  const { sha512 } = await import("@noble/hashes/sha2.js");
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
