/** Section 11, what tellers' pages refuse: a part of the box, a second count, an early or tiny one, a swapped or wrong key. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { intentMessage } from "../../src/ballot/entries.ts";
import { type Bytes, H, type JsonObject, b64u, concat, jcs, u32 } from "../../src/ballot/encoding.ts";
import { Keygen, type KeygenMessage, ROUNDS } from "../../src/ballot/keygen.ts";
import { seedKey } from "../../src/ballot/signing.ts";
import { Keystore } from "../../src/identity/keystore.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { attemptSecrets } from "../../src/trustee/secrets.ts";
import { type CeremonyState, TellerCeremony } from "../../src/trustee/teller.ts";
import { COSIGNERS, MEETING, NOW, castAll, makeWorld, rollHash, setup, testRng } from "../ballot/world.ts";
import { CHOICES, View, refusedWith, tellerPage, tellerRecords, without } from "./cheat.ts";

const FOUR = COSIGNERS.slice(0, 4);

/** A vote of five, closed and cosigned as the server likes: `keep` says how many entries it leaves. */
async function closed(keep = 6, fields: JsonObject = {}, changes: JsonObject = {}): Promise<View> {
  const world = await makeWorld(5, changes);
  await castAll(world, CHOICES);
  return (await new View(world, world.server.entries.slice(0, keep)).close(fields)).cosign(FOUR);
}

async function outcome(view: View, trustee: number, records?: MemoryRecords): Promise<[string, string | undefined, number]> {
  const { page, posted } = await tellerPage(view, trustee, records);
  const { step, error } = await page.sync();
  return [step, error?.code, posted.length];
}

test("A18: a part of the box is refused, and after one count every other", async () => {
  const whole = await closed();
  const part = new View(whole.world, whole.entries.filter((_, i) => i !== 2));
  part.note = whole.note;
  assert.deepEqual(await outcome(part, 1), ["refused", "voting.board-differs", 0], "the cosigners signed all of it");
  const resigned = await (await new View(whole.world, whole.entries.slice(0, 3)).close()).cosign(COSIGNERS.slice(0, 2));
  assert.deepEqual((await outcome(resigned, 1)).slice(0, 1), ["waiting-for-cosigners"], "two liars are too few");

  const records = await tellerRecords(whole.world, 1);
  assert.deepEqual(await outcome(whole, 1, records), ["done", undefined, 2]);
  const lied = await (await new View(whole.world, whole.entries.slice(0, 5)).close()).cosign(FOUR);
  assert.deepEqual(await outcome(lied, 1, records), ["refused", "voting.second-aggregate", 0], "q liars do not get a second count either");

  // Control: a device that forgets what it announced opens the other box, too.
  const { page, posted, keystore } = await tellerPage(lied, 1, records);
  without(without(keystore, "decide", async (_name: string, value: JsonObject) => value), "decision", async () => null);
  assert.deepEqual([(await page.sync()).step, posted.length], ["done", 2]);
});

test("A18: an intent for another sum on the board stops every other teller", async () => {
  const view = await closed();
  const honest = await closed();
  const { world } = view;
  const sig = await seedKey(world.secrets[1]?.signSeed ?? assert.fail()).sign(intentMessage(world.manifest.hash, rollHash, rollHash, 2));
  view.entries.push({ type: "intent", trustee: 2, manifest: world.manifest.id, closing: b64u(rollHash), aggregate: b64u(rollHash), sig: b64u(sig) });
  assert.deepEqual(await outcome(view, 1), ["refused", "voting.second-aggregate", 0]);
  assert.deepEqual(await outcome(honest, 1), ["done", undefined, 2], "control");
  const { page, posted } = await tellerPage(view, 3);
  assert.deepEqual([(await without(page, "requireOneAggregate", () => undefined).sync()).step, posted.length], ["done", 2], "control: a page that does not compare");
});

test("A19: a box closed within the grace, with two ballots, or for too few voters is not opened", async () => {
  assert.deepEqual(await outcome(await closed(6, { at: NOW + 99 }), 1), ["done", undefined, 2], "everybody has voted: no grace to wait for");
  assert.deepEqual(await outcome(await closed(5, { at: NOW + 99 }), 1), ["refused", "voting.too-early", 0]);
  assert.deepEqual(await outcome(await closed(5, { at: NOW + 100 }), 1), ["done", undefined, 2], "control: a second later");
  assert.deepEqual(await outcome(await closed(6, {}, { closes_at: NOW + 95 }), 1), ["done", undefined, 2]);
  assert.deepEqual(await outcome(await closed(5, {}, { closes_at: NOW + 95 }), 1), ["refused", "voting.too-early", 0]);
  assert.deepEqual(await outcome(await closed(3), 1), ["too-few", undefined, 0]);
  assert.deepEqual(await outcome(await closed(4), 1), ["done", undefined, 2], "control: three ballots");
  await assert.rejects(makeWorld(5, { least_electorate: 2 }), refusedWith("voting.encoding"));
  const small = await closed();
  await assert.rejects(tellerPage(small, 1, undefined, 4), refusedWith("voting.small-electorate"));
  assert.equal((await (await tellerPage(small, 1, undefined, 3)).page.sync()).step, "done", "control: the least that the vote allows");
});

/** Passes messages on among tellers, some of whom may be the server itself. */
class Relay {
  messages: KeygenMessage[] = [];

  post(message: KeygenMessage): void {
    const keygen = Keygen.read(setup, this.messages);
    keygen.add(message);
    if (!this.messages.some((one) => JSON.stringify(one) === JSON.stringify(message))) this.messages.push(message);
  }
}

interface Teller {
  keystore: Keystore;
  ceremony: TellerCeremony;
}

const statement = { nonce: b64u(testRng("nonce")(32)), passkey: "cGFzcw", assertion: { authenticator_data: "AA", client_data_json: "AA", signature: "AA" } };

async function teller(relay: Relay, trustee: number, label = "real"): Promise<Teller> {
  const keystore = new Keystore(new MemoryRecords(), testRng(`${label} ${trustee}`));
  const ceremony = await TellerCeremony.open({
    keystore, meeting: MEETING, rollHash: b64u(rollHash), attempt: 1, trustee, threshold: 2, count: 3,
    port: { postMessage: async (message) => relay.post(message), messages: async () => structuredClone(relay.messages) },
  });
  return { keystore, ceremony };
}

/** Three tellers who talk over one relay, those of `fakes` being the server. */
async function group(relay: Relay, fakes: readonly number[] = []): Promise<Teller[]> {
  const all: Teller[] = [];
  for (const trustee of [1, 2, 3]) all.push(await teller(relay, trustee, fakes.includes(trustee) ? "server" : "real"));
  for (const { ceremony } of all) await ceremony.register(statement);
  return all;
}

async function forward(tellers: readonly Teller[], rounds = 5): Promise<CeremonyState[]> {
  let states: CeremonyState[] = [];
  for (let i = 0; i < rounds; i++) {
    states = [];
    for (const { ceremony } of tellers) states.push(await ceremony.advance());
  }
  return states;
}

test("A21: a person hears that the spoken codes differ when the server sits between the tellers", async () => {
  const [one, others] = [new Relay(), new Relay()];
  const [mine, theirs] = [await group(one, [2, 3]), await group(others, [1])];
  const [a, b] = [await forward(mine), await forward(theirs)];
  assert.deepEqual([...a, ...b].map(({ step }) => step), Array(6).fill("compare"), "no page notices: every message is in order");
  const [said, heard] = [a[0]?.spokenCode, b[1]?.spokenCode];
  assert.match(said ?? "", /^[0-9A-Z]{3}-[0-9A-Z]{3}$/);
  assert.notEqual(said, heard);
  assert.equal(b[2]?.spokenCode, heard);
  assert.equal([...one.messages, ...others.messages].some(({ type }) => type === "certify"), false);
  // Control: people who do not compare certify a key of which the server holds two shares of three.
  for (const { ceremony } of mine) await ceremony.confirmCode();
  assert.equal((await forward(mine, 1))[0]?.step, "done");
  const honest = new Relay();
  assert.equal(new Set((await forward(await group(honest))).map(({ spokenCode }) => spokenCode)).size, 1, "control: one relay, one code");
});

test("A21: messages exchanged after a finished round are noticed by the page itself", async () => {
  const relay = new Relay();
  const tellers = await group(relay);
  await forward(tellers, 3);
  const other = new Relay();
  await forward(await group(other, [2, 3]), 3);
  relay.messages = other.messages;
  const [first] = tellers;
  await assert.rejects((first ?? assert.fail()).ceremony.advance(), refusedWith("voting.keygen-second"));
  without((first ?? assert.fail()).ceremony, "decide", async (_name: string, value: unknown) => value);
  await (first ?? assert.fail()).ceremony.advance(); // control: a page that does not remember goes on, up to the spoken code
});

/** The first bits of a spoken code, few enough to be searched. */
const BITS = 12;
const shortened = (digest: Bytes): number => new DataView(digest.buffer).getUint32(digest.byteOffset) >>> (32 - BITS);
const ofRound = (relay: Relay, type: string): KeygenMessage[] => relay.messages.filter((message) => message["type"] === type).toSorted((a, b) => Number(a["trustee"]) - Number(b["trustee"]));
const saltOf = (relay: Relay, trustee: number): Bytes => Uint8Array.from(Buffer.from(String(ofRound(relay, "salt")[trustee - 1]?.["salt"]), "base64url"));

/** Transcripts that the server can choose from: the box that one of its tellers sends the other, which nobody else opens, varies. */
function transcripts(relay: Relay): (variant: number) => Bytes {
  const covered = ROUNDS.slice(0, 4).flatMap((round) => ofRound(relay, round));
  const [before, after] = [jcs(covered.slice(0, 10)), jcs(covered.slice(11))];
  return (variant) => H("fm1/dkg-transcript", concat(before, u32(variant), after));
}

test("A21: a search for two transcripts with one shortened code succeeds without salts and fails with them", async () => {
  const [one, others] = [new Relay(), new Relay()];
  await forward(await group(one, [2, 3]));
  await forward(await group(others, [1]));
  const [left, right] = [transcripts(one), transcripts(others)];
  const tries = 2 ** BITS;
  const unsalted = (transcript: Bytes): number => shortened(H("fm1/dkg-code", transcript));
  const target = new Map(Array.from({ length: 64 }, (_, i) => [unsalted(right(i)), i]));
  const found = Array.from({ length: tries }, (_, i) => i).filter((i) => target.has(unsalted(left(i))));
  assert.ok(found.length > 0, "control: without salts the code is matched, with 2^6 times 2^12 pairs in hand");

  // With salts: transcripts must be chosen before teller 1 shows its salt. Whatever the server guesses it to be, the
  // pair it has found for the guess is a pair for nothing else; each draw of the salt is one chance in 2^12.
  const salted = (transcript: Bytes, salts: readonly Bytes[]): number => shortened(H("fm1/dkg-code", transcript, ...salts));
  const [fakes, theirs] = [[saltOf(one, 2), saltOf(one, 3)], [1, 2, 3].map((i) => saltOf(others, i))];
  const guess = testRng("guess")(32);
  const heard = salted(right(0), theirs);
  const fits = Array.from({ length: 4 * tries }, (_, i) => i).filter((i) => salted(left(i), [guess, ...fakes]) === heard);
  assert.ok(fits.length > 0, "control: a salt known beforehand is no defence");
  const chosen = left(fits[0] ?? 0);
  const real = [saltOf(one, 1), ...Array.from({ length: 63 }, (_, i) => testRng(`salt ${i}`)(32))];
  assert.equal(real.filter((salt) => salted(chosen, [salt, ...fakes]) === heard).length, 0);

  // Once teller 1's salt is seen, another salt for a teller of the server's would do it, but all are fixed by their registers.
  const late = Array.from({ length: 4 * tries }, (_, i) => H("late", u32(i))).filter((salt) => salted(left(0), [saltOf(one, 1), salt, fakes[1] ?? assert.fail()]) === heard);
  assert.ok(late.length > 0, "control: uncommitted salts are searched as easily as transcripts");
  const secrets = await attemptSecrets(new Keystore(new MemoryRecords(), testRng("server 2")), { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee: 2 }, 2);
  const keygen = Keygen.read(setup, one.messages.filter(({ type }) => type !== "salt"));
  for (const salt of late) {
    const message = await keygen.salt(2, { ...secrets, salt });
    assert.throws(() => keygen.add(message), refusedWith("voting.keygen"));
  }
  keygen.add(await keygen.salt(2, secrets)); // control: the salt that was announced
});

/** A ceremony up to the shares, with teller 3's replaced by what `make` gives. */
async function upToShares(relay: Relay, bad: (keygen: Keygen) => Promise<KeygenMessage>): Promise<Teller[]> {
  const tellers = await group(relay);
  await forward(tellers, 1);
  await tellers[0]?.ceremony.advance();
  const keygen = Keygen.read(setup, relay.messages.filter(({ type }) => type !== "shares" && type !== "salt"));
  const kept = (message: KeygenMessage): boolean => message["type"] !== "salt" && (message["type"] !== "shares" || message["trustee"] !== 3);
  relay.messages = [...relay.messages.filter(kept), await bad(keygen)];
  return tellers;
}

const secretsOf = (tellers: Teller | undefined, trustee: number) =>
  attemptSecrets((tellers ?? assert.fail()).keystore, { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee }, 2);

test("A23: a wrong share ends the attempt with evidence that names its sender", async () => {
  const relay = new Relay();
  const third = new Keystore(new MemoryRecords(), testRng("real 3"));
  const wrong = async (keygen: Keygen): Promise<KeygenMessage> => {
    const secrets = await attemptSecrets(third, { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee: 3 }, 2);
    return keygen.shares(3, { ...secrets, coefficients: secrets.coefficients.map(() => secrets.proofNonce) });
  };
  const [first, second] = await upToShares(relay, wrong);
  const state = await (second ?? assert.fail()).ceremony.advance();
  assert.deepEqual([state.step, state.atFault, state.key], ["broken", 3, null]);
  assert.deepEqual([(await (first ?? assert.fail()).ceremony.advance()).atFault], [3], "everybody opens the box and sees the same");
  assert.equal(relay.messages.some(({ type }) => type === "certify" || type === "salt"), false);

  // Control: pages that do not look go on to the code; the share would fail them only when they certify.
  const look = Object.getOwnPropertyDescriptor(Keygen.prototype, "wrongPart") ?? assert.fail();
  Object.defineProperty(Keygen.prototype, "wrongPart", { ...look, value: async () => null });
  try {
    const blind = new Relay();
    const tellers = await upToShares(blind, wrong);
    assert.equal((await forward(tellers, 2))[0]?.step, "compare");
    await assert.rejects((tellers[0] ?? assert.fail()).ceremony.confirmCode(), refusedWith("voting.box"));
  } finally {
    Object.defineProperty(Keygen.prototype, "wrongPart", look);
  }
});

test("A23: who complains of a good share is named instead", async () => {
  const relay = new Relay();
  const tellers = await group(relay);
  await forward(tellers, 2);
  relay.messages = relay.messages.filter(({ type }) => type !== "salt");
  const keygen = Keygen.read(setup, relay.messages);
  assert.ok(keygen.complete("shares"));
  relay.messages.push(await keygen.complain(2, await secretsOf(tellers[1], 2), 3));
  const state = await (tellers[0] ?? assert.fail()).ceremony.advance();
  assert.deepEqual([state.step, state.atFault], ["broken", 2]);
});
