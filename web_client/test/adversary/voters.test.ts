/** Section 11, what voters' and cosigners' pages notice: dropped ballots, split views, borrowed trackers, rewound ledgers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type JsonObject, b64u } from "../../src/ballot/encoding.ts";
import { repeatsOf } from "../../src/ballot/electorate.ts";
import { judgePromise } from "../../src/ballot/evidence.ts";
import { requireInBox, requireIncluded } from "../../src/ballot/inclusion.ts";
import { Board } from "../../src/ballot/board.ts";
import { openManifest } from "../../src/ballot/manifest.ts";
import { consistencyProof, leafHash, root } from "../../src/ballot/merkle.ts";
import { signCheckpoint } from "../../src/ballot/note.ts";
import { readOpening, rebuild, voids } from "../../src/ballot/opening.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { pinManifest } from "../../src/ballot/pinned.ts";
import { ballotLeaf, tracker } from "../../src/ballot/receipts.ts";
import { Sealer } from "../../src/ballot/sealing.ts";
import { Vote } from "../../src/ballot/voter.ts";
import { Keystore } from "../../src/identity/keystore.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { acceptLedger } from "../../src/identity/statements.ts";
import { Cosigner } from "../../src/trustee/cosigner.ts";
import { COSIGNERS, MEETING, NOW, TestServer, type World, castAll, electorsOf, makeWorld, manifestJson, rollHash, serverKey, testRng, voterKey } from "../ballot/world.ts";
import { CHOICES, View, cosignersWith, refusedWith, tellerPage, without } from "./cheat.ts";

const expect = { meeting: MEETING, rollHash: b64u(rollHash), serverKey: b64u(serverKey.publicKey) };

interface Voting {
  world: World;
  vote: Vote;
  /** The board with the four other ballots. */
  others: JsonObject[];
  mine: JsonObject;
  leaf: string;
  promise: JsonObject;
}

/** One voter's real page has cast and holds a promise; four others have voted, too. */
async function promised(label = "device", changes: JsonObject = {}): Promise<Voting> {
  const keystore = new Keystore(new MemoryRecords(), testRng(label));
  const own = await keystore.credential(MEETING);
  const base = await makeWorld();
  const voters = [1, 2, 3, 4].map(voterKey);
  const all = [...voters, own];
  const manifestValue = manifestJson(base.keygen, all, changes);
  const manifest = openManifest(manifestValue);
  const electors = electorsOf(all);
  const world: World = { ...base, voters, manifestValue, manifest, electors, server: new TestServer(manifest, manifestValue, electors) };
  await castAll(world, CHOICES.slice(0, 4));
  const vote = await Vote.open({ manifest: manifestValue, keystore, sealer: new Sealer(testRng(`sealer ${label}`)), expect, electorate: electors });
  vote.prepare([[1, 0, 0]]);
  const { ballot, leaf, promise } = await vote.cast(async (sent) => ({ promise: await world.server.promise(ballotLeaf(sent)) }));
  assert.ok(promise);
  return { world, vote, others: world.server.entries, mine: { type: "ballot", ballot }, leaf, promise };
}

function boardOf({ world, entries }: View): Board {
  const board = new Board(world.manifest, world.electors);
  for (const entry of entries) board.add(entry);
  return board;
}

/** A world in which these cosigners have real devices. */
async function realCosigners(names: readonly string[]): Promise<{ stores: Map<string, Keystore>; cosigners: JsonObject[] }> {
  const stores = new Map(names.map((name) => [name, new Keystore(new MemoryRecords(), testRng(`cosigner ${name}`))]));
  return { stores, cosigners: await cosignersWith(names, stores) };
}

const cosignerPage = (view: View, keystore: Keystore, name: string): Cosigner =>
  new Cosigner({ keystore, name, manifest: view.world.manifest.bytes, electorate: view.world.electors });
const request = (view: View) => ({ entries: view.entries, closing: view.note, time: NOW + 150 });

test("A10: a ballot dropped after its promise has no proof, and the promise shown to a teller stops the cosigning", async () => {
  const { stores, cosigners } = await realCosigners(["teller-1"]);
  const { world, vote, others, mine, promise } = await promised("dropped", { cosigners });
  const [honest, cheat] = [await new View(world, [...others, mine]).close(), await new View(world, others).close()];
  for (let index = 0; index < cheat.entries.length; index++) {
    await assert.rejects(vote.checkInclusion(await cheat.inclusion(index)), refusedWith("voting.not-on-the-board"));
  }
  await assert.rejects(vote.checkInclusion({ ...(await cheat.inclusion(4)), proof: (await honest.inclusion(5)).proof }), refusedWith("voting.not-on-the-board"));
  assert.equal(vote.stage, "promised");
  assert.deepEqual([judgePromise(boardOf(cheat), promise), judgePromise(boardOf(honest), promise)], ["broken", "kept"]);

  const teller = (): Cosigner => cosignerPage(cheat, stores.get("teller-1") ?? assert.fail(), "teller-1");
  await assert.rejects(teller().cosign({ ...request(cheat), promises: [promise] }), refusedWith("voting.not-on-the-board"));
  await vote.checkInclusion(await honest.inclusion(5));
  assert.equal(vote.stage, "included", "control: the honest board");
  assert.match(await teller().cosign(request(cheat)), /^— teller-1 /, "control: nobody showed the promise");
});

test("A11: cosigners of a hall whose ballots are held back do not sign, and without them no box opens", async () => {
  const hall = ["teller-2", "teller-3"];
  const { stores, cosigners } = await realCosigners(hall);
  const world = await makeWorld(5, { cosigners });
  const ballots = await castAll(world, CHOICES);
  const cheat = await new View(world, world.server.entries.slice(0, 4)).close();
  for (const [i, name] of hall.entries()) {
    const keystore = stores.get(name) ?? assert.fail();
    const ballot = ballots[3 + i] ?? assert.fail();
    const leaf = ballotLeaf(ballot);
    await keystore.beginCast({ manifest: world.manifest.id, meeting: MEETING, election: "e1", title: "t", seq: 1, ballot, tracker: tracker(leaf), leaf: b64u(leaf), state: "promised", promise: null });
    await assert.rejects(cosignerPage(cheat, keystore, name).cosign(request(cheat)), refusedWith("voting.not-on-the-board"));
  }
  await cheat.cosign(["chair", "secretary", "teller-1"]);
  const shut = await tellerPage(cheat, 1);
  assert.deepEqual([(await shut.page.sync()).step, shut.posted], ["waiting-for-cosigners", []]);

  for (const name of hall) {
    const careless = without(cosignerPage(cheat, stores.get(name) ?? assert.fail(), name), "requireOwnBallot", async () => undefined);
    cheat.note += await careless.cosign(request(cheat));
  }
  assert.equal((await (await tellerPage(cheat, 1)).page.sync()).step, "done", "control: cosigners' pages that do not look for their own ballot");
});

test("A13: of two views only one gets enough cosignatures, and the voter's proof holds against that one alone", async () => {
  const [liars, honest] = [COSIGNERS.slice(0, 2), COSIGNERS.slice(2)];
  const { stores, cosigners } = await realCosigners(honest);
  const { world, vote, others, mine, leaf } = await promised("split", { cosigners });
  const shown = await new View(world, [...others, mine]).close();
  const counted = await new View(world, others).close();
  // Every way of showing the honest cosigners one view or the other: at most one view can open.
  const quorum = world.manifest.cosignQuorum;
  for (let split = 0; split < 8; split++) {
    const there = honest.filter((_, i) => (split >> i) % 2 === 1).length;
    assert.ok([there, honest.length - there].filter((some) => some + liars.length >= quorum).length <= 1);
  }
  // This one: two of the three honest cosigners see the tellers' view, one the voters'.
  for (const view of [shown, counted]) await view.cosign(liars);
  for (const [i, name] of honest.entries()) {
    const [first, second] = i === 0 ? [shown, counted] : [counted, shown];
    const keystore = stores.get(name) ?? assert.fail();
    first.note += await cosignerPage(first, keystore, name).cosign(request(first));
    await assert.rejects(cosignerPage(second, keystore, name).cosign(request(second)), refusedWith("voting.second-closing"));
  }
  assert.equal((await (await tellerPage(shown, 1)).page.sync()).step, "waiting-for-cosigners");
  const opened = await tellerPage(counted, 2);
  assert.equal((await opened.page.sync()).step, "done", "the other view opens: the voter must notice");
  const proof = await shown.inclusion(5);
  assert.throws(() => requireInBox(world.manifest, leaf, proof), refusedWith("voting.cosignatures"));
  const other = { ...proof, checkpoint: counted.note };
  assert.throws(() => requireInBox(world.manifest, leaf, other), refusedWith("voting.not-on-the-board"));
  // Controls: a page that asks for the server's signature alone is content; so is this one with the quorum's.
  requireIncluded(world.manifest, leaf, proof);
  await vote.checkInclusion(proof);
  const all = await makeWorld();
  const ballots = await castAll(all, CHOICES);
  const box = await (await new View(all, all.server.entries).close()).cosign(COSIGNERS.slice(0, 4));
  requireInBox(all.manifest, b64u(ballotLeaf(ballots[2] ?? assert.fail())), await box.inclusion(3));
});

test("A14: a ledger that is forked or rewound is refused before the next check-in", async () => {
  const origin = "localhost/ledger";
  const key = b64u(serverKey.publicKey);
  const leaves = [1, 2, 3, 4, 5, 6].map((n) => leafHash(Uint8Array.of(n)));
  const forked = [...leaves.slice(0, 2), ...[7, 8, 9, 10].map((n) => leafHash(Uint8Array.of(n)))];
  const view = async (of: readonly Uint8Array<ArrayBuffer>[], size: number, from: number) => ({
    origin, key, checkpoint: await signCheckpoint({ origin, size, root: root(of.slice(0, size)) }, serverKey), proof: consistencyProof(of.slice(0, size), from).map(b64u),
  });
  const keystore = new Keystore(new MemoryRecords(), testRng("ledger"));
  await acceptLedger(keystore, { ...(await view(leaves, 4, 4)), proof: [] });
  await assert.rejects(acceptLedger(keystore, await view(forked, 6, 4)), refusedWith("voting.ledger"));
  await assert.rejects(acceptLedger(keystore, { ...(await view(forked, 4, 4)), proof: [] }), refusedWith("voting.ledger"));
  await assert.rejects(acceptLedger(keystore, { ...(await view(leaves, 3, 3)), proof: [] }), refusedWith("voting.ledger"));
  await acceptLedger(keystore, await view(leaves, 6, 4));
  const forgetful = new Keystore(new MemoryRecords(), testRng("fresh"));
  await acceptLedger(forgetful, await view(forked, 6, 4)); // control: a page that remembers nothing
});

test("A15: a voter who is shown another voter's tracker, promise or proof is told", async () => {
  const { world, vote, others, mine, leaf } = await promised("tracker");
  const [first] = others.slice(1);
  const theirs = ballotLeaf((first?.["ballot"] ?? assert.fail()) as JsonObject);
  assert.notEqual(vote.record?.tracker, tracker(theirs));
  const honest = new View(world, [...others, mine]);
  await assert.rejects(vote.checkInclusion(await honest.inclusion(1)), refusedWith("voting.not-on-the-board"));
  const second = await Vote.open({
    manifest: world.manifestValue, keystore: new Keystore(new MemoryRecords(), testRng("tracker")), sealer: new Sealer(testRng("other")), expect, electorate: world.electors,
  }).catch((error: unknown) => error);
  assert.ok(refusedWith("voting.not-in-the-electorate")(second));
  await assert.rejects(vote.settle({ promise: await world.server.promise(theirs) }), refusedWith("voting.promise"));
  await vote.checkInclusion(await honest.inclusion(5));
  requireIncluded(world.manifest, b64u(theirs), await honest.inclusion(1)); // control: a page that took the leaf from the server
  assert.equal(vote.record?.leaf, leaf);
});

test("A20: the chair's page names an earlier vote of almost the same people", () => {
  const people = Array.from({ length: 10 }, (_, i) => `person ${i}`);
  const questions = [{ type: "yes-no-abstain", options: ["yes", "no", "abstain"] }];
  const vote = (election: string, credentials: string[]) => ({ election, questions, credentials: new Set(credentials) });
  const earlier = [vote("same", people), vote("one less", people.slice(1)), vote("four less", people.slice(4)), vote("five less", people.slice(5))];
  assert.deepEqual(repeatsOf(vote("now", people), 5, earlier), ["one less", "four less"]);
  assert.deepEqual(repeatsOf(vote("now", people), 1, earlier), [], "control: with no such rule none is named");
});

test("A25: a person who audits on a second device sees that another choice was sealed", async () => {
  const keystore = new Keystore(new MemoryRecords(), testRng("audit"));
  const own = await keystore.credential(MEETING);
  const base = await makeWorld();
  const voters = [own, ...[1, 2, 3, 4].map(voterKey)];
  const value = manifestJson(base.keygen, voters);
  const manifest = openManifest(value);
  const vote = await Vote.open({ manifest: value, keystore, sealer: new Sealer(testRng("sealer")), expect, electorate: electorsOf(voters) });
  // The voter marks yes; the page seals no.
  const shown = vote.prepare([[0, 1, 0]]);
  const audit = await vote.audit();
  const told = readOpening(audit.fragment);
  const lied = { ...told, choices: [[1, 0, 0]] };
  assert.deepEqual(told.choices, [[0, 1, 0]], "an honest opening shows the other choice to the person");
  assert.notEqual(rebuild(manifest, lied).code, shown.code, "a lying one has another code than the device showed before");
  assert.equal(voids(manifest, lied, rebuild(manifest, lied), audit.entry), false);
  assert.deepEqual([rebuild(manifest, told).code, voids(manifest, told, rebuild(manifest, told), audit.entry)], [shown.code, true], "control");
});

test("A33: a padded manifest is no second one for any page of a device, and a ballot for it goes into nobody's box", async () => {
  const keystore = new Keystore(new MemoryRecords(), testRng("padded"));
  const own = await keystore.credential(MEETING);
  const base = await makeWorld();
  const [honest, padded] = [[own, ...[1, 2, 3, 4].map(voterKey)], [own, ...[11, 12, 13, 14].map(voterKey)]];
  const [value, other] = [manifestJson(base.keygen, honest), manifestJson(base.keygen, padded)];
  const open = (store: Keystore, manifest: JsonObject, voters: typeof honest): Promise<Vote> =>
    Vote.open({ manifest, keystore: store, sealer: new Sealer(testRng("sealer")), expect, electorate: electorsOf(voters) });
  await open(keystore, value, honest);
  await assert.rejects(open(keystore, other, padded), refusedWith("voting.manifest"));
  await assert.rejects(pinManifest(keystore, openManifest(other)), refusedWith("voting.manifest"), "nor to sign or to count");
  await pinManifest(keystore, openManifest(value)); // control: the same manifest again

  // Control: a device that forgets what it saw votes under the padded one; the tellers, who hold theirs, open no such box.
  const vote = await open(without(keystore, "decide", async (_name: string, seen: string) => seen), other, padded);
  vote.prepare([[1, 0, 0]]);
  const { ballot } = await vote.begin();
  const tellers = new Board(openManifest(value), electorsOf(honest));
  tellers.add({ type: "opening", manifest: value });
  assert.throws(() => tellers.add({ type: "ballot", ballot }), VotingError);
  const shown = new Board(openManifest(other), electorsOf(padded));
  shown.add({ type: "opening", manifest: other });
  shown.add({ type: "ballot", ballot });
});
