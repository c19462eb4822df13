import assert from "node:assert/strict";
import { test } from "node:test";
import { type JsonObject, b64u, fromB64u } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import type { Question } from "../../src/ballot/manifest.ts";
import { inclusionProof } from "../../src/ballot/merkle.ts";
import { PracticeVote } from "../../src/ballot/practice.ts";
import { InlineSealer } from "../../src/ballot/sealing.ts";
import { requireValidBallot } from "../../src/ballot/verify.ts";
import { Vote } from "../../src/ballot/voter.ts";
import { Keystore, memoryKeystore } from "../../src/identity/keystore.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { COSIGNERS, MEETING, type World, flip, makeWorld, manifestJson, rollHash, serverKey, testRng, voterKey } from "./world.ts";
import { TestServer } from "./world.ts";
import { openManifest } from "../../src/ballot/manifest.ts";

const code = (wanted: string) => (error: unknown) => error instanceof VotingError && error.code === wanted;
const sealer = new InlineSealer(testRng("sealer"));
const expect = { meeting: MEETING, rollHash: b64u(rollHash), serverKey: b64u(serverKey.publicKey) };

interface Booth {
  world: World;
  records: MemoryRecords;
  electorate: { credential: string; weight: 1 }[];
  open(changes?: Partial<Parameters<typeof Vote.open>[0]>): Promise<Vote>;
}

/** A world whose first voter is this device. */
async function booth(): Promise<Booth> {
  const records = new MemoryRecords();
  const own = await new Keystore(records, testRng("device")).credential(MEETING);
  const base = await makeWorld();
  const voters = [own, ...[1, 2, 3, 4].map(voterKey)];
  const manifestValue = manifestJson(base.keygen, voters);
  const manifest = openManifest(manifestValue);
  const world = { ...base, voters, manifestValue, manifest, server: new TestServer(manifest, manifestValue) };
  const electorate = voters
    .map(({ publicKey }) => ({ credential: b64u(publicKey), weight: 1 as const }))
    .toSorted((a, b) => (a.credential < b.credential ? -1 : 1));
  const open: Booth["open"] = (changes = {}) =>
    Vote.open({ manifest: manifestValue, keystore: new Keystore(records, testRng("reload")), sealer, expect, electorate, ...changes });
  return { world, records, electorate, open };
}

test("choose, review, change, cast, and find the ballot on the board", async () => {
  const { world, open } = await booth();
  const vote = await open();
  assert.equal(vote.stage, "choosing");
  const first = await vote.prepare([1]);
  assert.equal(vote.stage, "sealed");
  vote.change();
  assert.equal(vote.stage, "choosing");
  const sealed = await vote.prepare([0]);
  assert.notEqual(sealed.tracker, first.tracker);
  assert.match(sealed.tracker, /^(?:[0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}$/);

  const sent: JsonObject[] = [];
  await assert.rejects(vote.cast(async (ballot) => {
    sent.push(ballot);
    throw new Error("no answer");
  }), /no answer/);
  const reloaded = await open();
  assert.equal(reloaded.stage, "sending");
  await assert.rejects(reloaded.prepare([2]), code("voting.already-cast"));
  const record = await reloaded.cast(async (ballot) => {
    sent.push(ballot);
    return { promise: await world.server.promise(fromB64u(sealed.leaf)) };
  });
  assert.deepEqual(sent[0], sent[1]);
  requireValidBallot(world.manifest, sent[0] ?? {});
  assert.deepEqual([record.state, record.tracker, reloaded.stage], ["promised", sealed.tracker, "promised"]);
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
  const first = await vote.prepare([0]);
  await assert.rejects(vote.cast(async () => ({ refused: "voting.ballot-bytes" })), code("voting.ballot-refused"));
  assert.equal(vote.stage, "choosing");
  await vote.prepare([1]);
  await assert.rejects(vote.cast(async () => ({ promise: await world.server.promise(fromB64u(first.leaf)) })), code("voting.promise"));
  assert.equal((await open()).stage, "sending");
});

test("two tabs send one and the same ballot", async () => {
  const { world, open } = await booth();
  const [a, b] = [await open(), await open()];
  await a.prepare([0]);
  await b.prepare([1]);
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
    [{ secrecy: "server" }, "voting.encoding"], [{ protocol: "fm0" }, "voting.encoding"], [{ cosign_quorum: 3 }, "voting.manifest"], [{ electorate_size: 2 }, "voting.encoding"],
    [{ voting_again: "last" }, "voting.encoding"], [{ extra: 1 }, "voting.encoding"], [{ title: "a\u0007" }, "voting.encoding"], [{ questions: [] }, "voting.encoding"],
    [{ cosigners: COSIGNERS.map((name) => ({ name, key: b64u(rollHash) })) }, "voting.manifest"], [{ present: 9 }, "voting.encoding"], [{ time_limit: 5 }, "voting.manifest"],
  ];
  for (const [change, wanted] of bad) await assert.rejects(open({ manifest: { ...world.manifestValue, ...change } }), code(wanted), JSON.stringify(change));
  const keyed = { ...(world.manifestValue["trustees"] as JsonObject), key: b64u(new Uint8Array(32)) };
  await assert.rejects(open({ manifest: { ...world.manifestValue, trustees: keyed } }), code("voting.point"));
});

test("practice: the real sealing, a key of its own, and the box opens", async () => {
  const questions: Question[] = [{ type: "yes-no-abstain", text: "Practice?", options: ["yes", "no", "abstain"] }, { type: "one-of-n", text: "Which?", options: ["a", "b"] }];
  const vote = PracticeVote.make({ questions, title: "Practice", sealer });
  assert.throws(() => vote.cast(), code("voting.nothing-to-cast"));
  const { tracker } = await vote.prepare([2, 0]);
  assert.equal(tracker.length, 23);
  assert.throws(() => vote.open(), code("voting.nothing-to-cast"));
  vote.cast();
  assert.deepEqual(vote.open(), [[0, 0, 1], [1, 0]]);
});
