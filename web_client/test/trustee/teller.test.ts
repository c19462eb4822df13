import assert from "node:assert/strict";
import { test } from "node:test";
import { type JsonObject, b64u } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { Keygen, type KeygenMessage } from "../../src/ballot/keygen.ts";
import { Keystore } from "../../src/identity/keystore.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { type CeremonyState, TellerCeremony } from "../../src/trustee/teller.ts";
import { codeMaterial, freshCode, readCode, restoreShare, copyShare } from "../../src/trustee/teller.ts";
import { attemptSecrets, findShare } from "../../src/trustee/secrets.ts";
import { MEETING, flip, rollHash, setup, testRng } from "../ballot/world.ts";

const code = (wanted: string) => (error: unknown) => error instanceof VotingError && error.code === wanted;
const statement = { nonce: b64u(testRng("nonce")(32)), passkey: "cGFzcw", assertion: { authenticator_data: "AA", client_data_json: "AA", signature: "AA" } };

/** The server's side of the key generation: checks like the real one, and can lose answers. */
class KeygenServer {
  messages: KeygenMessage[] = [];
  loseAnswers = false;
  posts = 0;

  post(message: KeygenMessage): void {
    this.posts += 1;
    const keygen = Keygen.read(setup, this.messages);
    keygen.add(message);
    if (!this.messages.some((one) => JSON.stringify(one) === JSON.stringify(message))) this.messages.push(message);
    if (this.loseAnswers) throw new Error("the network is gone");
  }
}

interface Teller {
  records: MemoryRecords;
  open(): Promise<TellerCeremony>;
}

function teller(server: KeygenServer, trustee: number): Teller {
  const records = new MemoryRecords();
  const open = (): Promise<TellerCeremony> =>
    TellerCeremony.open({
      keystore: new Keystore(records, testRng(`teller ${trustee} ${Math.random()}`)),
      meeting: MEETING, rollHash: b64u(rollHash), attempt: 1, trustee, threshold: 2, count: 3,
      port: {
        postMessage: async (message) => server.post(message),
        messages: async () => structuredClone(server.messages),
      },
    });
  return { records, open };
}

const all = async (tellers: readonly Teller[], work: (one: TellerCeremony) => Promise<CeremonyState>): Promise<CeremonyState[]> => {
  const states: CeremonyState[] = [];
  for (const one of tellers) states.push(await work(await one.open()));
  return states;
};

test("three tellers, each reloading before every step, make one key", async () => {
  const server = new KeygenServer();
  const tellers = [1, 2, 3].map((i) => teller(server, i));
  assert.deepEqual((await all(tellers, (one) => one.advance())).map(({ step }) => step), ["register", "register", "register"]);
  await all(tellers, (one) => one.register(statement));
  for (let i = 0; i < 4; i++) await all(tellers, (one) => one.advance());
  const comparing = await all(tellers, (one) => one.advance());
  assert.deepEqual(comparing.map(({ step }) => step), ["compare", "compare", "compare"]);
  assert.equal(new Set(comparing.map(({ spokenCode }) => spokenCode)).size, 1);
  assert.equal(server.messages.filter(({ type }) => type === "certify").length, 0);
  const certified = await all(tellers, (one) => one.confirmCode());
  assert.deepEqual(certified.map(({ step }) => step), ["certify", "certify", "done"]);
  const done = await all(tellers, (one) => one.advance());
  assert.ok(done.every(({ step, key }) => step === "done" && key === done[0]?.key));
  assert.equal(server.messages.length, 18);
  for (const [i, { records }] of tellers.entries()) {
    const kept = await findShare(new Keystore(records, testRng("x")), { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee: i + 1 });
    assert.equal(kept?.share.length, 32);
  }
});

test("a lost answer leads to the same message again", async () => {
  const server = new KeygenServer();
  const tellers = [1, 2, 3].map((i) => teller(server, i));
  await all(tellers, (one) => one.register(statement));
  const [first] = tellers;
  assert.ok(first);
  const commitOf = (trustee: number): KeygenMessage | undefined =>
    server.messages.find((message) => message["type"] === "commit" && message["trustee"] === trustee);
  server.loseAnswers = true;
  await assert.rejects((await first.open()).advance(), /network/);
  const sent = commitOf(1);
  assert.ok(sent);
  server.loseAnswers = false;
  server.messages = server.messages.filter((message) => message !== sent); // the server lost it, too
  await (await first.open()).advance();
  assert.deepEqual(commitOf(1), sent);
});

test("secrets are wrapped in the store and the same after a reload", async () => {
  const server = new KeygenServer();
  const one = teller(server, 1);
  const nonce = statement.nonce;
  const [a, b] = [await (await one.open()).challenge(nonce), await (await one.open()).challenge(nonce)];
  assert.deepEqual(a, b);
  const scope = { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee: 1 };
  const secrets = await attemptSecrets(new Keystore(one.records, testRng("x")), scope, 2);
  const stored = JSON.stringify(await one.records.list(""), (_key, value: unknown) => (value instanceof Uint8Array ? b64u(value) : value));
  for (const secret of [secrets.signSeed, secrets.boxSecret, ...secrets.coefficients]) assert.ok(!stored.includes(b64u(secret)));
});

test("what the server changes after a finished round is noticed", async () => {
  const server = new KeygenServer();
  const tellers = [1, 2, 3].map((i) => teller(server, i));
  await all(tellers, (one) => one.register(statement));
  for (let i = 0; i < 3; i++) await all(tellers, (one) => one.advance());
  const [first] = tellers;
  assert.ok(first);
  const genuine = server.messages;
  const strangers = [2, 3].map((i) => teller(new KeygenServer(), i));
  const register = genuine.find(({ type }) => type === "register");
  // The server replaces the other two tellers by its own from the registration on.
  const fake = new KeygenServer();
  fake.messages = register ? [register] : [];
  for (const [i, stranger] of strangers.entries()) {
    const secrets = await attemptSecrets(new Keystore(stranger.records, testRng(`s${i}`)), { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee: i + 2 }, 2);
    fake.messages.push(await new Keygen(setup).register(i + 2, secrets));
  }
  server.messages = fake.messages;
  await assert.rejects((await first.open()).advance(), code("voting.keygen-second"));
  server.messages = genuine.filter(({ type }) => type === "register").map((message, i) => (i === 0 ? { ...message, sig: flip(String(message["sig"]), 1) } : message));
  await assert.rejects((await first.open()).advance(), VotingError);
});

test("a register from another device is not taken for one's own", async () => {
  const server = new KeygenServer();
  await (await teller(server, 1).open()).register(statement);
  await assert.rejects((await teller(server, 1).open()).advance(), code("voting.no-secrets"));
});

test("nothing is certified before the person has compared the code", async () => {
  const server = new KeygenServer();
  const tellers = [1, 2, 3].map((i) => teller(server, i));
  const [first] = tellers;
  assert.ok(first);
  await (await first.open()).register(statement);
  await assert.rejects((await first.open()).confirmCode(), code("voting.code-not-confirmed"));
  await all(tellers.slice(1), (one) => one.register(statement));
  for (let i = 0; i < 5; i++) await all(tellers, (one) => one.advance());
  assert.equal(server.messages.filter(({ type }) => type === "certify").length, 0);
});

test("a sender whose part does not fit is named and nothing is certified", async () => {
  const server = new KeygenServer();
  const tellers = [1, 2, 3].map((i) => teller(server, i));
  await all(tellers, (one) => one.register(statement));
  // The third round is complete, the fourth not: teller 3 sends boxes of another polynomial.
  await all(tellers, (one) => one.advance());
  await all(tellers.slice(0, 1), (one) => one.advance());
  const keygen = Keygen.read(setup, server.messages.filter(({ type }) => type !== "shares" && type !== "salt"));
  assert.ok(keygen.complete("reveal"));
  const [, , third] = tellers;
  assert.ok(third);
  const secrets = await attemptSecrets(new Keystore(third.records, testRng("x")), { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee: 3 }, 2);
  const bad = await keygen.shares(3, { ...secrets, coefficients: secrets.coefficients.map(() => secrets.proofNonce) });
  const kept = (message: JsonObject): boolean => message["type"] !== "salt" && (message["type"] !== "shares" || message["trustee"] !== 3);
  server.messages = [...server.messages.filter(kept), bad];
  const [first, second] = tellers;
  assert.ok(first && second);
  const state = await (await second.open()).advance();
  assert.deepEqual([state.step, state.atFault, state.spokenCode], ["broken", 3, null]);
  assert.deepEqual((await all([first, third], (one) => one.advance())).map(({ step, atFault }) => [step, atFault]), [["broken", 3], ["broken", 3]]);
  assert.equal(server.messages.filter(({ type }) => type === "complaint").length, 1);
  assert.equal(server.messages.filter(({ type }) => type === "certify" || type === "salt").length, 0);
});

test("a copy by code brings the share to another device, and only the right code and teller", async () => {
  const server = new KeygenServer();
  const tellers = [1, 2, 3].map((i) => teller(server, i));
  await all(tellers, (one) => one.register(statement));
  for (let i = 0; i < 4; i++) await all(tellers, (one) => one.advance());
  await all(tellers, (one) => one.confirmCode());
  const keygen = Keygen.read(setup, server.messages);
  const scope = { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee: 1 };
  const old = new Keystore(tellers[0]?.records ?? new MemoryRecords(), testRng("old"));
  const drawn = freshCode(testRng("code"));
  const copy = await copyShare(old, scope, "code", (salt) => codeMaterial(readCode(drawn), salt));
  const expected = { verificationKey: b64u(keygen.verificationKeys()[0] ?? new Uint8Array()), signKey: b64u(keygen.keysOf(1).signKey) };
  const fresh = new Keystore(new MemoryRecords(), testRng("new"));
  const open = (text: string, place = scope) => restoreShare(fresh, place, copy, (salt) => codeMaterial(readCode(text), salt), expected);
  await assert.rejects(open(drawn.startsWith("0") ? `1${drawn.slice(1)}` : `0${drawn.slice(1)}`), code("voting.copy"));
  await assert.rejects(open(drawn.slice(1)), code("voting.copy"));
  await assert.rejects(open(drawn, { ...scope, trustee: 2 }), code("voting.copy"));
  assert.equal(await findShare(fresh, scope), null);
  await open(drawn);
  assert.deepEqual(await findShare(fresh, scope), await findShare(old, scope));
});
