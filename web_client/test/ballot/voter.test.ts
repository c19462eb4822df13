import assert from "node:assert/strict";
import { test } from "node:test";
import { type JsonObject, b64u } from "../../src/ballot/encoding.ts";
import type { Elector } from "../../src/ballot/electorate.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { inclusionProof } from "../../src/ballot/merkle.ts";
import { rebuild, readOpening, voids } from "../../src/ballot/opening.ts";
import { PracticeVote } from "../../src/ballot/practice.ts";
import { ballotLeaf, tracker } from "../../src/ballot/receipts.ts";
import { Sealer } from "../../src/ballot/sealing.ts";
import { requireValidBallot } from "../../src/ballot/verify.ts";
import { Vote } from "../../src/ballot/voter.ts";
import { Keystore, memoryKeystore } from "../../src/identity/keystore.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { COSIGNERS, EVERY, MEETING, ONE_OF, TestServer, type World, YES_NO, electorsOf, flip, makeWorld, manifestJson, rollHash, serverKey, testRng, voterKey } from "./world.ts";
import { openManifest } from "../../src/ballot/manifest.ts";

const code = (wanted: string) => (error: unknown) => error instanceof VotingError && error.code === wanted;
const sealer = new Sealer(testRng("sealer"));
const expect = { meeting: MEETING, rollHash: b64u(rollHash), serverKey: b64u(serverKey.publicKey) };

interface Booth {
  world: World;
  records: MemoryRecords;
  electorate: Elector[];
  open(changes?: Partial<Parameters<typeof Vote.open>[0]>): Promise<Vote>;
}

/** A world whose first voter is this device. */
async function booth(changes: JsonObject = {}): Promise<Booth> {
  const records = new MemoryRecords();
  const own = await new Keystore(records, testRng("device")).credential(MEETING);
  const base = await makeWorld();
  const voters = [own, ...[1, 2, 3, 4].map(voterKey)];
  const manifestValue = manifestJson(base.keygen, voters, changes);
  const manifest = openManifest(manifestValue);
  const world = { ...base, voters, manifestValue, manifest, electors: electorsOf(voters), server: new TestServer(manifest, manifestValue, electorsOf(voters)) };
  const electorate = electorsOf(voters);
  const open: Booth["open"] = (changes = {}) =>
    Vote.open({ manifest: manifestValue, keystore: new Keystore(records, testRng("reload")), sealer, expect, electorate, ...changes });
  return { world, records, electorate, open };
}

test("choose, review, change, cast, and find the ballot on the board", async () => {
  const { world, open } = await booth();
  const vote = await open();
  assert.equal(vote.stage, "choosing");
  const first = await vote.prepare([[0, 1, 0]]);
  assert.equal(vote.stage, "sealed");
  vote.change();
  assert.equal(vote.stage, "choosing");
  const sealed = await vote.prepare([[1, 0, 0]]);
  assert.notEqual(sealed.code, first.code);
  assert.match(sealed.code, /^(?:[0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}$/);

  const sent: JsonObject[] = [];
  await assert.rejects(vote.cast(async (ballot) => {
    sent.push(ballot);
    throw new Error("no answer");
  }), /no answer/);
  const reloaded = await open();
  assert.equal(reloaded.stage, "sending");
  assert.throws(() => reloaded.prepare([[0, 0, 1]]), code("voting.already-cast"));
  const record = await reloaded.cast(async (ballot) => {
    sent.push(ballot);
    return { promise: await world.server.promise(ballotLeaf(ballot)) };
  });
  assert.deepEqual(sent[0], sent[1]);
  requireValidBallot(world.manifest, sent[0] ?? {});
  assert.deepEqual([record.state, record.tracker, reloaded.stage], ["promised", tracker(ballotLeaf(sent[0] ?? {})), "promised"]);
  await reloaded.cast(() => assert.fail("a promised ballot is not sent again"));

  world.server.add({ type: "ballot", ballot: sent[0] ?? {} });
  const { leaves, size } = world.server.board;
  const inclusion = { index: 1, size, proof: inclusionProof(leaves, 1).map(b64u), checkpoint: await world.server.signCheckpoint() };
  await assert.rejects(reloaded.checkInclusion({ ...inclusion, index: 0 }), code("voting.not-on-the-board"));
  await assert.rejects(reloaded.checkInclusion({ ...inclusion, proof: [] }), code("voting.not-on-the-board"));
  await reloaded.checkInclusion(inclusion);
  assert.equal((await open()).stage, "included");
  const kept = JSON.stringify(record);
  assert.ok(!/choice|option|"yes"/.test(kept.replaceAll("choices", "")), "the receipt does not hold the choice");
});

test("a refused ballot lets the voter choose again; a false promise is noticed", async () => {
  const { world, open } = await booth();
  const vote = await open();
  vote.prepare([[1, 0, 0]]);
  let first: JsonObject = {};
  await assert.rejects(vote.cast(async (ballot) => {
    first = ballot;
    return { refused: "voting.ballot-bytes" };
  }), code("voting.ballot-refused"));
  await assert.rejects(vote.cast(async () => ({ refused: "voting.ballot-bytes" })), code("voting.nothing-to-cast"));
  assert.equal(vote.stage, "choosing");
  await vote.prepare([[0, 1, 0]]);
  await assert.rejects(vote.cast(async () => ({ promise: await world.server.promise(ballotLeaf(first)) })), code("voting.promise"));
  assert.equal((await open()).stage, "sending");
});

test("two tabs send one and the same ballot", async () => {
  const { world, open } = await booth();
  const [a, b] = [await open(), await open()];
  await a.prepare([[1, 0, 0]]);
  await b.prepare([[0, 1, 0]]);
  const sent: JsonObject[] = [];
  const lose = async (ballot: JsonObject): Promise<never> => {
    sent.push(ballot);
    throw new Error("no answer");
  };
  await assert.rejects(a.cast(lose), /no answer/);
  await assert.rejects(b.cast(lose), /no answer/);
  assert.deepEqual(sent[0], sent[1]);
  assert.ok(world.manifest.id);
});

test("a manifest that is not the one promised is refused", async () => {
  const { world, electorate, open } = await booth();
  await assert.rejects(open({ expect: { ...expect, rollHash: flip(expect.rollHash, 0) } }), code("voting.manifest"));
  await assert.rejects(open({ expect: { ...expect, serverKey: flip(expect.serverKey, 0) } }), code("voting.manifest"));
  await assert.rejects(open({ expect: { ...expect, meeting: "other" } }), code("voting.manifest"));
  await assert.rejects(open({ electorate: electorate.slice(1) }), code("voting.manifest"));
  await assert.rejects(open({ keystore: memoryKeystore(testRng("stranger")) }), code("voting.not-in-the-electorate"));
  const bad: [JsonObject, string][] = [
    [{ secrecy: "server" }, "voting.encoding"], [{ protocol: "fm0" }, "voting.encoding"], [{ cosign_quorum: 3 }, "voting.manifest"], [{ electorate_size: 2 }, "voting.encoding"], [{ least_electorate: 2 }, "voting.encoding"],
    [{ voting_again: "last" }, "voting.encoding"], [{ extra: 1 }, "voting.encoding"], [{ title: "a\u0007" }, "voting.encoding"], [{ questions: [] }, "voting.encoding"],
    [{ cosigners: COSIGNERS.map((name) => ({ name, key: b64u(rollHash) })) }, "voting.manifest"], [{ present: 101 }, "voting.encoding"], [{ time_limit: 5 }, "voting.encoding"],
  ];
  for (const [change, wanted] of bad) await assert.rejects(open({ manifest: { ...world.manifestValue, ...change } }), code(wanted), JSON.stringify(change));
  const keyed = { ...(world.manifestValue["trustees"] as JsonObject), key: b64u(new Uint8Array(32)) };
  await assert.rejects(open({ manifest: { ...world.manifestValue, trustees: keyed } }), code("voting.point"));
});

test("practice: the real sealing of every type, a key of its own, and the box opens", () => {
  const choices = [[0, 0, 1], [1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0, 1], [1, 1, 0], [4, 0, 2], [0, 1, 0, 0, 1, 0]];
  const vote = new PracticeVote({ questions: EVERY, title: "Practice", sealer, rng: testRng("practice") });
  assert.throws(() => vote.cast(), code("voting.nothing-to-cast"));
  assert.equal(vote.prepare(choices).code.length, 23);
  assert.throws(() => vote.open(), code("voting.nothing-to-cast"));
  vote.cast();
  assert.deepEqual(vote.open(), choices);
});

test("an audited vote is never signed, and a second device builds the same", async () => {
  const { world, open } = await booth({ questions: [{ ...YES_NO }, { ...ONE_OF }] });
  const vote = await open();
  await assert.rejects(vote.audit(), code("voting.nothing-to-cast"));
  const sealed = vote.prepare([[0, 1, 0], [0, 0, 1]]);
  const audit = await vote.audit();
  assert.deepEqual([audit.sealed, audit.code, vote.stage], [sealed.sealed, sealed.code, "choosing"]);
  const opening = readOpening(audit.fragment);
  assert.deepEqual(opening.choices, [[0, 1, 0], [0, 0, 1]]);
  const rebuilt = rebuild(world.manifest, opening);
  assert.deepEqual(rebuilt, sealed);
  assert.ok(voids(world.manifest, opening, rebuilt, audit.entry));
  assert.ok(!JSON.stringify(audit).includes("sig\":\"\""));
  // Another choice than the page claims gives another code.
  assert.notEqual(rebuild(world.manifest, { ...opening, choices: [[1, 0, 0], [0, 0, 1]] }).code, sealed.code);
  world.server.add(audit.entry);
  await assert.rejects(vote.begin(), code("voting.nothing-to-cast"));
  assert.notEqual(vote.prepare([[0, 1, 0], [0, 0, 1]]).sealed, sealed.sealed);
});

test("where the last vote counts, a second one follows the first; where once counts, none does", async () => {
  const once = await booth();
  const first = await once.open();
  first.prepare([[1, 0, 0]]);
  await first.cast(async (ballot) => ({ promise: await once.world.server.promise(ballotLeaf(ballot)) }));
  assert.throws(() => first.again(), code("voting.already-cast"));

  const { world, open } = await booth({ voting_again: "last-counts" });
  const vote = await open();
  const cast = async (choice: number[]): Promise<string> => {
    vote.prepare([choice]);
    const { leaf, ballot } = await vote.cast(async (one) => ({ promise: await world.server.promise(ballotLeaf(one)) }));
    world.server.add({ type: "ballot", ballot });
    return leaf;
  };
  const leaf = await cast([1, 0, 0]);
  vote.again();
  await cast([0, 1, 0]);
  assert.deepEqual([vote.record?.seq, vote.record?.ballot["prev"], world.server.board.ballots, world.server.board.cast], [2, leaf, 2, 1]);
  assert.equal((await open()).record?.seq, 2);
});

test("after a replacement this device's key votes in the lineage's place", async () => {
  const { world, open } = await booth({ voting_again: "last-counts" });
  const [, other] = world.voters;
  assert.ok(other);
  const stranger = new MemoryRecords();
  const key = await new Keystore(stranger, testRng("new phone")).credential(MEETING);
  const vote = await open({ keystore: new Keystore(stranger, testRng("new")), place: { weight: 1, seq: 1, prev: "" } });
  const asked = vote.replacement(b64u(other.publicKey), b64u(testRng("nonce")(32)), false);
  assert.deepEqual([asked.new, asked.challenge.length], [b64u(key.publicKey), 32]);
  world.server.add({ type: "replacement", old: b64u(other.publicKey), new: asked.new, kiosk: false, statement: b64u(rollHash) });
  vote.prepare([[0, 0, 1]]);
  const { ballot } = await vote.cast(async (one) => ({ promise: await world.server.promise(ballotLeaf(one)) }));
  world.server.add({ type: "ballot", ballot });
  assert.equal(world.server.board.cast, 1);
});
