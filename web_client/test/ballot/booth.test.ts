/** The booth through its worker protocol, over a real message channel. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MessageChannel } from "node:worker_threads";
import { BoothWorker } from "../../src/ballot/booth.ts";
import { boothMethods } from "../../src/ballot/booth_service.ts";
import { type JsonObject, b64u, fromB64u } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { openManifest } from "../../src/ballot/manifest.ts";
import { inclusionProof } from "../../src/ballot/merkle.ts";
import { announceMessage, ballotLeaf, tracker } from "../../src/ballot/receipts.ts";
import { Caller, type Channel, type Methods, serve } from "../../src/ballot/rpc.ts";
import { verifySignature } from "../../src/ballot/signing.ts";
import { InlineVerifier, type Item, checkBallots } from "../../src/ballot/verify.ts";
import { WorkerVerifier } from "../../src/ballot/workers.ts";
import { Keystore } from "../../src/identity/keystore.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { MEETING, TestServer, YES_NO, castAll, electorsOf, makeWorld, manifestJson, rollHash, serverKey, testRng, voterKey } from "./world.ts";

const code = (wanted: string) => (error: unknown) => error instanceof VotingError && error.code === wanted;
const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

/** Two ends of a channel; structured cloning and ordering are the platform's own. */
function wire(methods: Methods): Channel {
  const { port1, port2 } = new MessageChannel();
  ends.push(() => port1.close());
  const asChannel = (port: typeof port1): Channel => ({
    postMessage: (message) => port.postMessage(message),
    addEventListener: (type, listener) => {
      if (type === "message") port.on("message", (data: unknown) => listener(new MessageEvent("message", { data })));
    },
  });
  serve(asChannel(port2), methods);
  return asChannel(port1);
}

const expect = { meeting: MEETING, rollHash: b64u(rollHash), serverKey: b64u(serverKey.publicKey) };

test("a vote through the worker, with a reload in the middle", async () => {
  const records = new MemoryRecords();
  const keystore = async (): Promise<Keystore> => new Keystore(records, testRng("booth"));
  const own = await (await keystore()).credential(MEETING);
  const base = await makeWorld();
  const voters = [own, ...[1, 2, 3, 4].map(voterKey)];
  const value = manifestJson(base.keygen, voters);
  const server = new TestServer(openManifest(value), value, electorsOf(voters));
  const page = (): BoothWorker => new BoothWorker(wire(boothMethods(keystore, testRng("seal"))));

  await assert.rejects(page().open({ member: "m", manifest: value, expect: { ...expect, meeting: "other" } }), code("voting.manifest"));
  const vote = await page().open({ member: "m", manifest: value, expect });
  assert.deepEqual([vote.stage, vote.title, vote.questions.length, vote.record], ["choosing", "Budget", 1, null]);
  await assert.rejects(vote.prepare([[0, 0, 7]]), code("voting.choice"));
  const gone = await vote.prepare([[0, 1, 0]]);
  const sealed = await vote.prepare([[0, 0, 1]]);
  assert.equal(sealed.code.length, 23);
  const { credential, sig } = await vote.announcement(sealed);
  const signed = announceMessage(openManifest(value).hash, fromB64u(sealed.sealed));
  assert.ok(verifySignature(fromB64u(credential), signed, fromB64u(sig)));
  await assert.rejects(vote.announcement(gone), code("voting.nothing-to-cast"));
  assert.equal(vote.stage, "sealed");
  const sent: JsonObject[] = [];
  await assert.rejects(vote.cast(async (ballot) => {
    sent.push(ballot);
    throw new Error("no answer");
  }), /no answer/);
  assert.equal(vote.stage, "sending");
  const again = await page().open({ member: "m", manifest: value, expect });
  assert.equal(again.stage, "sending");
  await assert.rejects(again.change(), code("voting.already-cast"));
  const record = await again.cast(async (ballot) => {
    sent.push(ballot);
    return { promise: await server.promise(ballotLeaf(ballot)) };
  });
  assert.deepEqual(sent[0], sent[1]);
  assert.deepEqual([record.tracker, again.stage], [tracker(ballotLeaf(sent[0] ?? {})), "promised"]);
  server.add({ type: "ballot", ballot: sent[0] ?? {} });
  const proof = inclusionProof(server.board.leaves, 1).map(b64u);
  await again.checkInclusion({ index: 1, size: 2, proof, checkpoint: await server.signCheckpoint() });
  assert.equal(again.stage, "included");
});

test("a refusal leads back to choosing", async () => {
  const keystore = new Keystore(new MemoryRecords(), testRng("refused"));
  const own = await keystore.credential(MEETING);
  const base = await makeWorld();
  const manifest = manifestJson(base.keygen, [own, ...[1, 2, 3, 4].map(voterKey)]);
  const vote = await new BoothWorker(wire(boothMethods(async () => keystore, testRng("seal")))).open({ member: "m", manifest, expect });
  await vote.prepare([[1, 0, 0]]);
  await assert.rejects(vote.cast(async () => ({ refused: "too late" })), code("voting.ballot-refused"));
  assert.deepEqual([vote.stage, vote.record], ["choosing", null]);
});

test("a hall that is cut off keeps the ballot: the same bytes go out again until a promise comes", async () => {
  const keystore = new Keystore(new MemoryRecords(), testRng("queued"));
  const own = await keystore.credential(MEETING);
  const base = await makeWorld();
  const manifest = manifestJson(base.keygen, [own, ...[1, 2, 3, 4].map(voterKey)]);
  const page = () => new BoothWorker(wire(boothMethods(async () => keystore, testRng("seal")))).open({ member: "m", manifest, expect });
  const vote = await page();
  await vote.prepare([[1, 0, 0]]);
  const receipt = { relay: "r1", seq: 1, head: "aGVhZA", sig: "c2ln" };
  const sent: JsonObject[] = [];
  const kept = await vote.cast(async (ballot) => {
    sent.push(ballot);
    return { queued: receipt };
  });
  assert.deepEqual([kept.state, kept.queued, kept.promise], ["sending", receipt, null]);
  const later = await page();
  assert.deepEqual([later.stage, later.record?.queued], ["sending", receipt]);
  await later.cast(async (ballot) => {
    sent.push(ballot);
    return { queued: receipt };
  });
  assert.deepEqual(sent[0], sent[1]);
});

test("practice through the worker opens no keystore", async () => {
  const worker = new BoothWorker(wire(boothMethods(() => assert.fail("the keystore was opened"), testRng("practice"))));
  const practice = await worker.practice({ title: "Practice", questions: [YES_NO] });
  await practice.prepare([[0, 1, 0]]);
  await practice.change();
  await practice.prepare([[1, 0, 0]]);
  await practice.cast();
  assert.equal(practice.stage, "promised");
  assert.deepEqual(await practice.open(), [[1, 0, 0]]);
});

test("verification in several workers gives the single result, and names the bad ballot", async () => {
  const world = await makeWorld(40, {});
  const cast = await castAll(world, Array.from({ length: 40 }, (_, i) => [i % 3]));
  const items = (ballots: readonly JsonObject[]): Item[] => ballots.map((ballot) => ({ ballot, sign: 1 }));
  const ballots = items(cast);
  const seen: number[] = [];
  const methods = (): Methods => ({
    open: async () => undefined,
    check: async (list: Item[]) => checkBallots(world.manifest, list, testRng("w")),
  });
  const verifier = new WorkerVerifier((checked) => seen.push(checked), () => wire(methods()), 3);
  const [many, single] = [await verifier.check(world.manifest, ballots), await new InlineVerifier(testRng("w")).check(world.manifest, ballots)];
  assert.deepEqual(many.sums.map(b64u), single.sums.map(b64u));
  assert.equal(seen.at(-1), 40);
  const broken = items(cast.with(37, { ...cast[37], sig: cast[36]?.["sig"] ?? "" }));
  assert.deepEqual((await verifier.check(world.manifest, broken)).refused?.index, 37);
  verifier.stop();
  await assert.rejects(verifier.check(world.manifest, ballots), code("voting.worker"));
});

test("a worker that fails ends every call under way", async () => {
  let fail: () => void = () => undefined;
  const caller = new Caller({
    postMessage: () => undefined,
    addEventListener: (type, listener) => {
      if (type === "error") fail = () => listener(new Event("error"));
    },
  });
  const call = caller.call("anything");
  fail();
  await assert.rejects(call, code("voting.worker"));
  await assert.rejects(caller.call("anything"), code("voting.worker"));
  const unknown = new Caller(wire({}));
  await assert.rejects(unknown.call("toString"), code("voting.worker"));
});
