import assert from "node:assert/strict";
import { test } from "node:test";
import { checkin } from "../../src/ballot/challenges.ts";
import { b64u, fromB64u, utf8 } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { consistencyProof, leafHash, root } from "../../src/ballot/merkle.ts";
import { signCheckpoint } from "../../src/ballot/note.ts";
import { seedKey, portableSigner, verifySignature } from "../../src/ballot/signing.ts";
import { Keystore } from "../../src/identity/keystore.ts";
import { PasskeyError, passkeyError, toAssertion } from "../../src/identity/passkey.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { acceptLedger, heldLedgerSize, prepareCheckin, prepareCosigner } from "../../src/identity/statements.ts";
import { MEETING, keyFrom, rollHash, serverKey, testRng } from "../ballot/world.ts";
import { destroy, readStatement, requireDestroyed } from "../../src/trustee/destruction.ts";
import { attemptSecrets, findShare, forgetSecrets, saveShare } from "../../src/trustee/secrets.ts";

const code = (wanted: string) => (error: unknown) => error instanceof VotingError && error.code === wanted;
const ORIGIN = "localhost/ledger";
const leaves = [..."abcdefgh"].map((letter) => leafHash(utf8(letter)));
const checkpoint = (size: number, key = serverKey): Promise<string> => signCheckpoint({ origin: ORIGIN, size, root: root(leaves.slice(0, size)) }, key);
const ledger = async (size: number, from = 0) => ({
  origin: ORIGIN, key: b64u(serverKey.publicKey), checkpoint: await checkpoint(size), proof: consistencyProof(leaves.slice(0, size), from).map(b64u),
});
const nonce = b64u(testRng("nonce")(32));
const request = { meeting: MEETING, rollHash: b64u(rollHash), site: "main", nonce };

test("a credential is made once, cannot be exported, and signs in another thread's hands", async () => {
  const records = new MemoryRecords();
  const store = (): Keystore => new Keystore(records, testRng("store"));
  assert.equal(await store().findCredential(MEETING), null);
  const key = await store().credential(MEETING);
  assert.deepEqual((await store().credential(MEETING)).publicKey, key.publicKey);
  assert.notDeepEqual((await store().credential("meeting-2")).publicKey, key.publicKey);
  assert.notDeepEqual((await store().cosigner(MEETING)).publicKey, key.publicKey);
  const portable = await store().portableCredential(MEETING);
  assert.ok(portable.kind === "webcrypto" && !portable.privateKey.extractable);
  const message = utf8("m");
  assert.ok(verifySignature(key.publicKey, message, await portableSigner(structuredClone(portable)).sign(message)));
});

test("without Ed25519 in WebCrypto the seed lies wrapped in the store", async (t) => {
  const generate = crypto.subtle.generateKey.bind(crypto.subtle) as (...args: unknown[]) => Promise<unknown>;
  t.mock.method(crypto.subtle, "generateKey", (algorithm: unknown, ...rest: unknown[]) =>
    algorithm === "Ed25519" ? Promise.reject(new DOMException("no", "NotSupportedError")) : generate(algorithm, ...rest),
  );
  const records = new MemoryRecords();
  const key = await new Keystore(records, testRng("old browser")).credential(MEETING);
  const portable = await new Keystore(records, testRng("reload")).portableCredential(MEETING);
  assert.ok(portable.kind === "seed");
  assert.deepEqual(portableSigner(portable).publicKey, key.publicKey);
  const stored = JSON.stringify(await records.list(""), (_name, value: unknown) => (value instanceof Uint8Array ? b64u(value) : value));
  assert.ok(!stored.includes(b64u(portable.seed)));
  assert.ok(stored.includes(b64u(key.publicKey)), "control: stored bytes are seen by this search");
});

test("a decision is taken once", async () => {
  const records = new MemoryRecords();
  const [a, b] = await Promise.all(["first", "second"].map((value) => new Keystore(records, testRng("d")).decide("closing/x", value)));
  assert.equal(a, "first");
  assert.equal(b, "first");
  assert.equal(await new Keystore(records, testRng("d")).decision("closing/y"), null);
});

test("a trustee's key of another size or a second share is refused", async () => {
  const store = new Keystore(new MemoryRecords(), testRng("t"));
  const scope = { meeting: MEETING, roll: "r", attempt: 1, trustee: 1 };
  const { signSeed, boxSecret } = await attemptSecrets(store, scope, 2);
  assert.deepEqual((await attemptSecrets(store, scope, 2)).signSeed, signSeed);
  assert.notDeepEqual((await attemptSecrets(store, { ...scope, attempt: 2 }, 2)).signSeed, signSeed);
  await assert.rejects(attemptSecrets(store, scope, 3), code("voting.no-secrets"));
  const share = { signSeed, boxSecret, share: testRng("s")(32) };
  await saveShare(store, scope, share);
  await saveShare(store, scope, share);
  await assert.rejects(saveShare(store, scope, { ...share, share: testRng("z")(32) }), code("voting.keygen-second"));
  assert.deepEqual(await findShare(store, scope), share);
  await forgetSecrets(store, scope);
  assert.equal(await findShare(store, scope), null);
});

test("what was destroyed is gone, and said once, not before its time", async () => {
  const store = new Keystore(new MemoryRecords(), testRng("t"));
  const scope = { meeting: MEETING, roll: "r", attempt: 1, trustee: 2 };
  const { signSeed, boxSecret } = await attemptSecrets(store, scope, 2);
  const transcript = testRng("transcript")(32);
  const order = { keystore: store, scope, transcript: b64u(transcript), notBefore: 100 };
  await assert.rejects(destroy({ ...order, now: 100 }), code("voting.no-secrets"));
  await saveShare(store, scope, { signSeed, boxSecret, share: testRng("s")(32) });
  await assert.rejects(destroy({ ...order, now: 99 }), code("voting.too-early"));
  assert.notEqual(await findShare(store, scope), null);
  const statement = await destroy({ ...order, now: 100 });
  requireDestroyed(readStatement(statement), transcript, seedKey(signSeed).publicKey);
  assert.equal(await findShare(store, scope), null);
  assert.deepEqual(await destroy({ ...order, now: 200 }), statement);
});

test("check-in binds this device's credential and the ledger it has seen", async () => {
  const store = new Keystore(new MemoryRecords(), testRng("c"));
  const draft = await prepareCheckin(store, { ...request, ledger: await ledger(3) });
  const credential = (await store.credential(MEETING)).publicKey;
  assert.equal(draft.credential, b64u(credential));
  assert.equal(draft.checkpoint, await checkpoint(3));
  const expected = checkin({ meeting: MEETING, rollHash, site: "main", credential, checkpoint: draft.checkpoint, nonce: fromB64u(nonce) });
  assert.deepEqual(draft.challenge, expected);
  assert.equal(await heldLedgerSize(store, ORIGIN), 3);
  assert.equal(await heldLedgerSize(store, ORIGIN, await checkpoint(2)), 0);
  await prepareCheckin(store, { ...request, ledger: await ledger(7, 3) });
  assert.equal(await heldLedgerSize(store, ORIGIN, await checkpoint(8)), 7);
  const cosigner = await prepareCosigner(store, { meeting: MEETING, rollHash: b64u(rollHash), name: "chair", nonce });
  assert.equal(cosigner.key, b64u((await store.cosigner(MEETING)).publicKey));
});

test("a ledger that forgets, forks, is not signed or changes its key is refused", async () => {
  const store = new Keystore(new MemoryRecords(), testRng("l"));
  await acceptLedger(store, await ledger(5));
  await assert.rejects(acceptLedger(store, await ledger(4)), code("voting.ledger"));
  await assert.rejects(acceptLedger(store, await ledger(7, 4)), code("voting.ledger"));
  const fork = await signCheckpoint({ origin: ORIGIN, size: 5, root: root(leaves.slice(1, 6)) }, serverKey);
  await assert.rejects(acceptLedger(store, { ...(await ledger(5)), checkpoint: fork, proof: [] }), code("voting.ledger"));
  await assert.rejects(acceptLedger(store, { ...(await ledger(6, 5)), checkpoint: await checkpoint(6, keyFrom("thief")) }), code("voting.note"));
  const anew = { origin: ORIGIN, key: b64u(keyFrom("new").publicKey), checkpoint: await checkpoint(1, keyFrom("new")), proof: [] };
  await assert.rejects(acceptLedger(store, anew), code("voting.server-key-changed"));
  assert.equal(await heldLedgerSize(store, ORIGIN), 5, "nothing refused is remembered");
  await acceptLedger(store, { ...anew, acceptNewKey: true });
  assert.equal(await heldLedgerSize(store, ORIGIN), 1);
});

test("what browsers throw becomes a plain code", () => {
  const named = (name: string): DOMException => new DOMException("text of the browser", name);
  const cases: [string, number, string][] = [
    ["NotAllowedError", 500, "passkey.cancelled"], ["NotAllowedError", 59_900, "passkey.timed-out"], ["AbortError", 1, "passkey.cancelled"],
    ["InvalidStateError", 1, "passkey.already-registered"], ["NotSupportedError", 1, "passkey.not-supported"],
    ["ConstraintError", 1, "passkey.not-supported"], ["SecurityError", 1, "passkey.insecure"], ["SomethingNewError", 1, "passkey.failed"],
  ];
  for (const [name, elapsed, wanted] of cases) assert.equal(passkeyError(named(name), elapsed, 60_000).code, wanted, name);
  const own = new PasskeyError("passkey.unknown", "x");
  assert.equal(passkeyError(own, 0, 1), own);
  const response = { clientDataJSON: "c", authenticatorData: "a", signature: "s" };
  const assertion = toAssertion({ id: "i", rawId: "i", type: "public-key", response, clientExtensionResults: {} });
  assert.deepEqual(assertion, { authenticator_data: "a", client_data_json: "c", signature: "s" });
});
