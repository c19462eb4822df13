import assert from "node:assert/strict";
import { type KeyObject, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { type Bytes, b64u, concat, fromB64u, utf8 } from "../../src/ballot/encoding.ts";
import { requireAssertion } from "../../src/verifier/assertion.ts";
import { coseVerifies, rawSignature, readKey } from "../../src/verifier/cose.ts";
import { CheckFailed } from "../../src/verifier/report.ts";
import { sha256 } from "@noble/hashes/sha2.js";
import { numbers } from "./files.ts";

const bytes = (...values: number[]): Bytes => new Uint8Array(values);
const string16 = (data: Uint8Array): Bytes => concat(data.length < 256 ? bytes(0x58, data.length) : bytes(0x59, data.length >> 8, data.length & 255), data);
const short = (data: Uint8Array): Bytes => concat(bytes(0x40 + data.length), data);
const part = (key: KeyObject, name: "x" | "y" | "n" | "e"): Bytes => fromB64u(String(key.export({ format: "jwk" })[name]));

const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed25519 = generateKeyPairSync("ed25519");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

const es256 = concat(bytes(0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21), string16(part(p256.publicKey, "x")), bytes(0x22), string16(part(p256.publicKey, "y")));
const eddsa = concat(bytes(0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21), string16(part(ed25519.publicKey, "x")));
const rs256 = concat(bytes(0xa4, 1, 3, 3, 0x39, 1, 0, 0x20), string16(part(rsa.publicKey, "n")), bytes(0x21), short(part(rsa.publicKey, "e")));

const message = utf8("counted");
const signed = (key: KeyObject, hash: "sha256" | null, data: Uint8Array = message): Bytes => new Uint8Array(sign(hash, data, key));
const KINDS: [string, Bytes, (data?: Uint8Array) => Bytes][] = [
  ["ES256", es256, (data) => signed(p256.privateKey, "sha256", data)],
  ["EdDSA", eddsa, (data) => signed(ed25519.privateKey, null, data)],
  ["RS256", rs256, (data) => signed(rsa.privateKey, "sha256", data)],
];

for (const [name, key, make] of KINDS) {
  test(`${name}: a signature verifies, another message or key does not`, async () => {
    assert.equal(await coseVerifies(key, message, make()), true);
    assert.equal(await coseVerifies(key, utf8("lost"), make()), false);
    const cut = make().slice(0, -1);
    assert.equal(await coseVerifies(key, message, cut), false);
  });

  test(`${name}: every damaged key is refused or is another key`, async () => {
    const signature = make();
    const random = numbers(3);
    for (let round = 0; round < 200; round++) {
      const damaged = round % 3 === 0 ? key.slice(0, random.next().value % key.length) : key.slice();
      const place = random.next().value % key.length;
      if (round % 3 !== 0) damaged[place] = (damaged[place] ?? 0) ^ (1 << (random.next().value % 8));
      try {
        assert.equal(await coseVerifies(damaged, message, signature), false);
      } catch (error) {
        if (!(error instanceof CheckFailed)) throw error;
      }
    }
  });
}

const at = (index: number, value: number): Bytes => es256.map((byte, i) => (i === index ? value : byte));
const ODD_KEYS: Record<string, Bytes> = {
  "empty": bytes(),
  "a list": at(0, 0x85),
  "a map without end": concat(bytes(0xbf), es256.slice(1), bytes(0xff)),
  "bytes after the map": concat(es256, bytes(0)),
  "nested too deeply": concat(bytes(0xa6), es256.slice(1), bytes(2, 0x81, 0x81, 0x81, 0x81, 0x81, 1)),
  "a further field without a value": concat(bytes(0xa6), es256.slice(1), bytes(2)),
  "a label twice": concat(bytes(0xa6), es256.slice(1), bytes(1, 2)),
  "a longer form of a number": concat(bytes(0xa5, 0x18, 1), es256.slice(2)),
  "another curve": at(6, 2),
  "ES256 for RSA": at(2, 3),
  "text for a coordinate": at(8, 0x78),
  "a tag": concat(bytes(0xc1), es256),
  "RSA of 1024 bits": concat(bytes(0xa4, 1, 3, 3, 0x39, 1, 0, 0x20), string16(new Uint8Array(128).fill(255)), bytes(0x21), short(bytes(1, 0, 1))),
  "RSA with zeros in front": concat(bytes(0xa4, 1, 3, 3, 0x39, 1, 0, 0x20), string16(concat(new Uint8Array(128), new Uint8Array(128).fill(255))), bytes(0x21), short(bytes(3))),
  "RSA with exponent 1": concat(rs256.slice(0, -4), short(bytes(1))),
};

for (const [name, key] of Object.entries(ODD_KEYS)) test(`refused key: ${name}`, () => assert.throws(() => readKey(key), CheckFailed));

test("further labels of a key are ignored, whatever they hold", () => {
  const further = [bytes(2, 1), bytes(0x61, 0x61, 1), bytes(0x18, 0x63, 0x82, 1, 0x61, 0x62), bytes(4, 0xf5), bytes(5, 0xa1, 1, 0x41, 0), bytes(6, 0xf9, 0, 0)];
  for (const one of further) assert.deepEqual(readKey(concat(bytes(0xa6), es256.slice(1), one)), readKey(es256));
});

test("only strict DER is a signature", () => {
  const der = signed(p256.privateKey, "sha256");
  assert.equal(rawSignature(der)?.length, 64);
  assert.equal(rawSignature(concat(der, bytes(0))), null);
  assert.equal(rawSignature(bytes(0x30, 6, 2, 1, 1, 2, 1, 0x81)), null); // negative
  assert.equal(rawSignature(bytes(0x30, 7, 2, 2, 0, 1, 2, 1, 1)), null); // not the shortest form
  assert.equal(rawSignature(bytes(0x30, 0x81, 6, 2, 1, 1, 2, 1, 1)), null); // a long length
  assert.deepEqual(rawSignature(bytes(0x30, 6, 2, 1, 1, 2, 1, 2))?.filter((byte) => byte !== 0), bytes(1, 2));
});

const rp = { id: "vote.example", origins: ["https://vote.example"] };
const challenge = sha256(utf8("challenge"));

/** An assertion by the P-256 key over these client data. */
function assertion(change: Record<string, unknown> = {}, flags = 5, rpId = rp.id) {
  const client = utf8(JSON.stringify({ type: "webauthn.get", challenge: b64u(challenge), origin: rp.origins[0], crossOrigin: false, ...change }));
  const data = concat(sha256(utf8(rpId)), bytes(flags, 0, 0, 0, 1));
  const signature = signed(p256.privateKey, "sha256", concat(data, sha256(client)));
  return { authenticator_data: b64u(data), client_data_json: b64u(client), signature: b64u(signature) };
}

test("an assertion holds for its challenge", async () => {
  await requireAssertion(rp, challenge, es256, assertion());
  await requireAssertion(rp, challenge, es256, assertion({ crossOrigin: undefined, other: [1.5, null] }));
});

const REFUSED: Record<string, ReturnType<typeof assertion>> = {
  "made at registration": assertion({ type: "webauthn.create" }),
  "another challenge": assertion({ challenge: b64u(sha256(utf8("other"))) }),
  "a foreign origin": assertion({ origin: "https://evil.example" }),
  "in a frame": assertion({ crossOrigin: true }),
  "crossOrigin null": assertion({ crossOrigin: null }),
  "in a frame of a named page": assertion({ topOrigin: "https://vote.example" }),
  "user not verified": assertion({}, 1),
  "user not present": assertion({}, 4),
  "another relying party": assertion({}, 5, "evil.example"),
  "client data that is no JSON": { ...assertion(), client_data_json: b64u(utf8("{")) },
  "client data that is a list": { ...assertion(), client_data_json: b64u(utf8("[]")) },
  "client data that is no text": { ...assertion(), client_data_json: b64u(bytes(0xff, 0xfe)) },
  "other signed data": { ...assertion(), authenticator_data: assertion({}, 0x1d).authenticator_data },
};

for (const [name, one] of Object.entries(REFUSED)) {
  test(`refused assertion: ${name}`, () => assert.rejects(requireAssertion(rp, challenge, es256, one), CheckFailed));
}
