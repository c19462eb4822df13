import assert from "node:assert/strict";
import { test } from "node:test";
import { type EntrySource, intentMessage } from "../../src/ballot/entries.ts";
import { ballotLeaf, tracker } from "../../src/ballot/receipts.ts";
import { type JsonObject, b64u, fromUtf8, jcs } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { checkpointHash, openCheckpoint, signCheckpoint } from "../../src/ballot/note.ts";
import { seedKey, verifySignature } from "../../src/ballot/signing.ts";
import { tallyCore } from "../../src/ballot/tally.ts";
import { type BallotVerifier, InlineVerifier } from "../../src/ballot/verify.ts";
import { Keystore } from "../../src/identity/keystore.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { BoardAudit } from "../../src/trustee/audit.ts";
import { Cosigner } from "../../src/trustee/cosigner.ts";
import { TellerCount } from "../../src/trustee/teller.ts";
import { saveShare } from "../../src/trustee/secrets.ts";
import { COSIGNERS, MEETING, NOW, type World, ballotOf, castAll, cosignerKey, flip, makeWorld, marks, rollHash, serverKey, testRng, voterKey } from "../ballot/world.ts";

const code = (wanted: string) => (error: unknown) => error instanceof VotingError && error.code === wanted;
const FOUR = COSIGNERS.slice(0, 4);

/** A keystore that already holds a trustee's finished key. */
async function tellerRecords(world: World, trustee: number): Promise<MemoryRecords> {
  const records = new MemoryRecords();
  const keystore = new Keystore(records, testRng(`trustee-${trustee}`));
  const { signSeed, boxSecret } = world.secrets[trustee - 1] ?? assert.fail();
  const scope = { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee };
  await saveShare(keystore, scope, { signSeed, boxSecret, share: world.shares[trustee - 1] ?? assert.fail() });
  return records;
}

interface Port {
  posted: JsonObject[];
  /** What the port does to entries on their way to the page. */
  entries: (entries: EntrySource[]) => EntrySource[];
  /** Put what is posted on the board at once? */
  publish: boolean;
  failPost: boolean;
}

interface Counter {
  port: Port;
  open(now?: number, verifier?: BallotVerifier): TellerCount;
}

async function counter(world: World, trustee: number, records?: MemoryRecords): Promise<Counter> {
  const kept = records ?? (await tellerRecords(world, trustee));
  const port: Port = { posted: [], entries: (entries) => entries, publish: true, failPost: false };
  const open = (now = NOW + 200, verifier: BallotVerifier = new InlineVerifier(testRng("verify"))): TellerCount =>
    new TellerCount({
      keystore: new Keystore(kept, testRng(`count ${trustee} ${now}`)), trustee, meeting: MEETING, manifest: world.manifest.bytes, electorate: world.electors, verifier, now: () => now,
      port: {
        entries: async (from) => port.entries(world.server.entries.map((entry) => fromUtf8(jcs(entry)))).slice(from, from + 3),
        closing: async () => world.server.closingNote,
        post: async (entry) => {
          port.posted.push(entry);
          if (port.publish) world.server.add(entry);
          if (port.failPost) throw new Error("the network is gone");
        },
      },
    });
  return { port, open };
}

const CHOICES = [[0], [0], [1], [2], [0]];

test("two tellers open the box; all three and the chair sign the same tally", async () => {
  const world = await makeWorld();
  const { server } = world;
  const [one, three] = [await counter(world, 1), await counter(world, 3)];
  const count = one.open();
  assert.equal((await count.sync()).step, "watching");
  await castAll(world, CHOICES);
  const watching = await count.sync();
  assert.deepEqual([watching.step, watching.verified, watching.cast], ["watching", 5, null]);
  await server.close();
  assert.equal((await count.sync()).step, "waiting-for-cosigners");
  await server.cosign(FOUR.slice(0, 3));
  const waiting = await count.sync();
  assert.deepEqual([waiting.step, waiting.cosignatures, waiting.needed, waiting.cast], ["waiting-for-cosigners", 3, 4, 5]);
  await server.cosign(FOUR.slice(3));
  assert.equal((await count.sync()).step, "done");
  assert.deepEqual(one.port.posted.map(({ type }) => type), ["intent", "share"]);
  const other = three.open();
  assert.equal((await other.sync()).step, "done");
  assert.equal((await count.sync()).step, "done");
  assert.equal(one.port.posted.length, 2);

  const audit = new BoardAudit(world.manifest, new InlineVerifier(testRng("a")), world.electors);
  await audit.add(server.entries);
  const closing = checkpointHash(openCheckpoint(server.closingNote ?? "", world.manifest.board.origin, serverKey.publicKey).body);
  const plain = { ballots: 5, cast: 5, castWeight: 5, replacements: 0, kiosk: 0, voids: 0, rejected: [], castings: new Map(), halls: [] };
  const input = { ...plain, closing, aggregate: audit.aggregate().hash, counts: [[3, 1, 1]], countedAt: NOW + 300 };
  const core = tallyCore(world.manifest, input);
  const signed = await count.signTally(core);
  const hash = audit.tally({ core, rejected: [] }, server.closingNote ?? "");
  assert.ok(verifySignature(seedKey(world.secrets[0]?.signSeed ?? new Uint8Array()).publicKey, hash, Uint8Array.from(Buffer.from(signed.sig, "base64url"))));
  await assert.rejects((await counter(world, 2)).open().signTally(core), code("voting.board-order"));
  const idle = await counter(world, 2);
  idle.port.publish = false; // its intent goes astray and its share is never given: it may sign all the same
  const second = idle.open();
  assert.equal((await second.sync()).step, "intent");
  assert.equal((await second.signTally(core)).trustee, 2);
  for (const change of [{ counts: [[2, 2, 1]] }, { counted_at: NOW + 4000 }, { outcome: [{ kind: "rejected", options: [], tied: [], votes: [3, 1, 1] }] }]) {
    await assert.rejects(count.signTally({ ...core, ...change }), VotingError, JSON.stringify(change));
  }
  const chairStore = new Keystore(new MemoryRecords(), testRng("chair"));
  const chair = new Cosigner({ keystore: chairStore, name: "chair", manifest: world.manifest.bytes, electorate: world.electors });
  const request = { entries: server.entries, closing: server.closingNote ?? "", core, verifier: new InlineVerifier(testRng("c")) };
  await assert.rejects(chair.signTally(request), code("voting.no-secrets"));
});

test("posting survives a lost answer and a reload: the same intent and share, once", async () => {
  const world = await makeWorld();
  await castAll(world, CHOICES);
  await world.server.close();
  await world.server.cosign(FOUR);
  const records = await tellerRecords(world, 1);
  const one = await counter(world, 1, records);
  one.port.publish = false;
  one.port.failPost = true;
  await assert.rejects(one.open(NOW + 200).sync(), /network/);
  one.port.failPost = false;
  const waiting = await one.open(NOW + 201).sync();
  assert.equal(waiting.step, "intent");
  assert.deepEqual(one.port.posted[0], one.port.posted[1]);
  const [intent] = one.port.posted;
  assert.ok(intent);
  world.server.add(intent);
  assert.equal((await one.open(NOW + 202).sync()).step, "share");
  one.port.publish = true;
  assert.equal((await one.open(NOW + 203).sync()).step, "done");
  const shares = one.port.posted.filter(({ type }) => type === "share");
  assert.equal(shares.length, 2);
  assert.deepEqual(shares[0], shares[1], "the proof's randomness is not drawn twice");
  assert.equal((await one.open(NOW + 204).sync()).step, "done");
  assert.equal(one.port.posted.length, 4);
});

test("a board that differs, a bad ballot and a forged closing are refused", async () => {
  const world = await makeWorld();
  await castAll(world, CHOICES);
  await world.server.close();
  await world.server.cosign(FOUR);
  const cases: [string, Port["entries"]][] = [
    ["voting.board-differs", (entries) => entries.filter((_, i) => i !== 2)],
    ["voting.ballot-signature", (entries) => entries.with(1, fromUtf8(jcs(JSON.parse(String(entries[1]), (key, value: string) => (key === "sig" ? flip(value, 5) : value)))))],
    ["voting.encoding", (entries) => entries.with(1, `${String(entries[1])} `)],
    ["voting.board-differs", (entries) => [entries[0] ?? "", entries[2] ?? "", entries[1] ?? "", ...entries.slice(3)]],
  ];
  for (const [wanted, change] of cases) {
    const one = await counter(world, 1);
    one.port.entries = change;
    const count = one.open();
    const state = await count.sync();
    assert.deepEqual([state.step, state.error?.code], ["refused", wanted]);
    assert.equal(one.port.posted.length, 0);
    if (wanted !== "voting.board-differs") {
      one.port.entries = (entries) => entries;
      assert.equal((await count.sync()).step, "refused", "a refusal of signed entries is for ever");
    }
  }
  const honest = world.server.closingNote;
  world.server.closingNote = await signCheckpoint({ ...world.server.checkpoint(), root: rollHash }, serverKey);
  assert.equal((await (await counter(world, 1)).open().sync()).error?.code, "voting.board-differs");
  world.server.closingNote = await signCheckpoint(world.server.checkpoint(), voterKey(1));
  assert.equal((await (await counter(world, 1)).open().sync()).error?.code, "voting.note");
  world.server.closingNote = honest;
  assert.equal((await (await counter(world, 1)).open().sync()).step, "done", "control");
});

test("another teller's intent for another aggregate stops everything", async () => {
  const world = await makeWorld();
  await castAll(world, CHOICES);
  await world.server.close();
  await world.server.cosign(FOUR);
  const secret = world.secrets[1];
  assert.ok(secret);
  const sig = await seedKey(secret.signSeed).sign(intentMessage(world.manifest.hash, rollHash, rollHash, 2));
  world.server.add({ type: "intent", trustee: 2, manifest: world.manifest.id, closing: b64u(rollHash), aggregate: b64u(rollHash), sig: b64u(sig) });
  const one = await counter(world, 1);
  const state = await one.open().sync();
  assert.deepEqual([state.step, state.error?.code], ["refused", "voting.second-aggregate"]);
  assert.equal(one.port.posted.length, 0);
});

test("a second closing with other ballots for the same manifest gets no second share", async () => {
  const world = await makeWorld();
  await castAll(world, CHOICES);
  const fork = await makeWorld();
  assert.equal(fork.manifest.id, world.manifest.id);
  await castAll(fork, CHOICES.slice(0, 4));
  for (const one of [world, fork]) {
    await one.server.close();
    await one.server.cosign(FOUR);
  }
  const records = await tellerRecords(world, 1);
  assert.equal((await (await counter(world, 1, records)).open().sync()).step, "done");
  const second = await counter(fork, 1, records);
  const state = await second.open().sync();
  assert.deepEqual([state.step, state.error?.code], ["refused", "voting.second-aggregate"]);
  assert.equal(second.port.posted.length, 0);
});

test("with the list of voters, a ballot of anybody else is refused", async () => {
  const world = await makeWorld();
  await castAll(world, CHOICES.slice(0, 3));
  const stranger = await ballotOf(world.manifest, voterKey(77), marks(world.manifest, [0]), "stranger");
  const electorate = world.electors;
  const audit = (): BoardAudit => new BoardAudit(world.manifest, new InlineVerifier(testRng("e")), electorate);
  await audit().add(world.server.entries);
  await assert.rejects(audit().add([...world.server.entries, { type: "ballot", ballot: stranger }]), code("voting.ballot-not-elector"));
  assert.throws(() => new BoardAudit(world.manifest, new InlineVerifier(testRng("e")), electorate.slice(1)), code("voting.manifest"));
  assert.throws(() => new BoardAudit(world.manifest, new InlineVerifier(testRng("e")), electorate.toReversed()), code("voting.manifest"));
});

test("too few ballots, a passed time limit and a foreign key open nothing", async () => {
  const few = await makeWorld();
  await castAll(few, CHOICES.slice(0, 2));
  await few.server.close();
  await few.server.cosign(FOUR);
  const one = await counter(few, 1);
  assert.equal((await one.open().sync()).step, "too-few");
  assert.equal(one.port.posted.length, 0);

  const late = await makeWorld();
  await castAll(late, CHOICES);
  await late.server.close();
  await late.server.cosign(FOUR);
  const two = await counter(late, 2);
  assert.equal((await two.open(NOW + 3601).sync()).error?.code, "voting.share");
  assert.ok(!two.port.posted.some(({ type }) => type === "share"));
  const stranger = await counter(late, 3, await tellerRecords(late, 1));
  assert.equal((await stranger.open().sync()).error?.code, "voting.no-secrets");
  const small = { keystore: new Keystore(new MemoryRecords(), testRng("small")), trustee: 1, manifest: late.manifest.bytes, electorate: late.electors, least: 4, now: () => NOW, verifier: new InlineVerifier(testRng("s")), port: { entries: async () => [], closing: async () => null, post: async () => undefined } };
  assert.throws(() => new TellerCount(small), code("voting.small-electorate"));
});

test("a worker that stops is no verdict on the board", async () => {
  const world = await makeWorld();
  await castAll(world, CHOICES);
  const good = new InlineVerifier(testRng("v"));
  let broken = true;
  const flaky: BallotVerifier = {
    check: (manifest, ballots) => (broken ? Promise.reject(new VotingError("voting.worker", "stopped")) : good.check(manifest, ballots)),
  };
  const count = (await counter(world, 1)).open(NOW + 200, flaky);
  await assert.rejects(count.sync(), code("voting.worker"));
  broken = false;
  const state = await count.sync();
  assert.deepEqual([state.step, state.verified], ["watching", 5]);
});

test("a cosigner signs one closing, with the own ballot in it", async () => {
  const records = new MemoryRecords();
  const keystore = new Keystore(records, testRng("cosigner"));
  const key = await keystore.cosigner(MEETING);
  const cosigners = COSIGNERS.map((name) => ({ name, key: b64u((name === "secretary" ? key : cosignerKey(name)).publicKey) }));
  const world = await makeWorld(5, { cosigners });
  const fork = await makeWorld(5, { cosigners });
  const ballots = await castAll(world, CHOICES);
  await castAll(fork, CHOICES.slice(0, 3));
  await world.server.close();
  await fork.server.close();
  const cosigner = (): Cosigner => new Cosigner({ keystore: new Keystore(records, testRng("again")), name: "secretary", manifest: world.manifest.bytes, electorate: world.electors });
  const request = (one: World) => ({ entries: one.server.entries, closing: one.server.closingNote ?? "", time: NOW + 150 });

  const mine = ballots[4] ?? {};
  const leaf = ballotLeaf(mine);
  const record = { manifest: world.manifest.id, meeting: MEETING, election: "e1", title: "t", seq: 1, ballot: mine, tracker: tracker(leaf), leaf: b64u(leaf), promise: null };
  await keystore.beginCast({ ...record, state: "promised" });
  await assert.rejects(cosigner().cosign(request(fork)), code("voting.not-on-the-board"));

  const line = await cosigner().cosign(request(world));
  assert.match(line, /^— secretary \S+\n$/);
  world.server.closingNote += line;
  await world.server.cosign(["chair", "teller-1", "teller-2"]);
  assert.equal((await (await counter(world, 1)).open().sync()).cosignatures, 4);
  await assert.doesNotReject(cosigner().cosign(request(world)));
  assert.equal((await keystore.castBallot(world.manifest.id))?.state, "included");

  const outsider = await ballotOf(fork.manifest, fork.voters[4] ?? voterKey(4), marks(fork.manifest, [1]));
  assert.ok(outsider);
  await keystore.forgetCast({ ...record, state: "included" });
  await assert.rejects(cosigner().cosign(request(fork)), code("voting.second-closing"));
  await assert.rejects(cosigner().cosign({ ...request(world), entries: world.server.entries.slice(0, 6) }), code("voting.board-order"));
  const chair = new Cosigner({ keystore, name: "chair", manifest: world.manifest.bytes, electorate: world.electors });
  await assert.rejects(chair.cosign(request(world)), code("voting.no-secrets"));
});
