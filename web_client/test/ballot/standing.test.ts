/** Where a cast ballot stands: promised, on the server's board, confirmed by the cosigners, missing, or shown falsely. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type JsonObject, b64u } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { type InclusionJson, provedBy, requireInBox } from "../../src/ballot/inclusion.ts";
import { openManifest } from "../../src/ballot/manifest.ts";
import { inclusionProof } from "../../src/ballot/merkle.ts";
import { checkpointBody, cosign, signCheckpoint } from "../../src/ballot/note.ts";
import { ballotLeaf } from "../../src/ballot/receipts.ts";
import { Sealer } from "../../src/ballot/sealing.ts";
import { type Shown, publishBy, standing } from "../../src/ballot/standing.ts";
import { Vote } from "../../src/ballot/voter.ts";
import { Keystore } from "../../src/identity/keystore.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { COSIGNERS, MEETING, NOW, TestServer, cosignerKey, electorsOf, keyFrom, makeWorld, manifestJson, rollHash, serverKey, testRng, voterKey } from "./world.ts";

const code = (wanted: string) => (error: unknown) => error instanceof VotingError && error.code === wanted;
const PROMISED: Shown = { proved: "nothing", closed: false, finished: false, publishBy: NOW, shownBefore: false, now: NOW };

/** A ballot of this device on the board of a server, not closed yet. */
async function cast() {
  const keystore = new Keystore(new MemoryRecords(), testRng("standing"));
  const own = await keystore.credential(MEETING);
  const voters = [own, ...[1, 2, 3, 4].map(voterKey)];
  const value = manifestJson((await makeWorld()).keygen, voters);
  const server = new TestServer(openManifest(value), value, electorsOf(voters));
  const expect = { meeting: MEETING, rollHash: b64u(rollHash), serverKey: b64u(serverKey.publicKey) };
  const open = () => Vote.open({ manifest: value, keystore, sealer: new Sealer(testRng("sealer")), expect, electorate: electorsOf(voters) });
  const vote = await open();
  vote.prepare([[0, 1, 0]]);
  let ballot: JsonObject = {};
  const record = await vote.cast(async (sent) => {
    ballot = sent;
    return { promise: await server.promise(ballotLeaf(sent)) };
  });
  server.add({ type: "ballot", ballot });
  const shown = (checkpoint: string): InclusionJson =>
    ({ index: 1, size: server.board.size, proof: inclusionProof(server.board.leaves, 1).map(b64u), checkpoint });
  return { server, vote, open, leaf: record.leaf, shown };
}

test("a promise, a board, the cosigners' box, a broken promise", () => {
  assert.equal(standing(PROMISED), "pending");
  assert.equal(standing({ ...PROMISED, proved: "board" }), "on-the-board");
  assert.equal(standing({ ...PROMISED, proved: "board", closed: true }), "on-the-board", "closed, not signed by enough yet");
  assert.equal(standing({ ...PROMISED, proved: "box", closed: true, finished: true }), "confirmed");
  assert.equal(standing({ ...PROMISED, closed: true }), "missing");
  assert.equal(standing({ ...PROMISED, closed: true, publishBy: null }), "pending", "nothing was promised");
});

test("a promise is overdue when its time is over, allowing for this device's clock", () => {
  assert.equal(standing({ ...PROMISED, now: NOW + 600 }), "pending");
  assert.equal(standing({ ...PROMISED, now: NOW + 601 }), "missing");
  assert.deepEqual([publishBy({ publish_by: 7 }), publishBy({}), publishBy(null)], [7, null, null]);
});

test("a result whose box too few have signed, and a ballot that is taken back from the board, are refused", () => {
  assert.throws(() => standing({ ...PROMISED, proved: "board", closed: true, finished: true }), code("voting.cosignatures"));
  assert.throws(() => standing({ ...PROMISED, shownBefore: true }), code("voting.not-on-the-board"));
  assert.equal(standing({ ...PROMISED, shownBefore: true, closed: true }), "missing");
});

test("on the board by the server's word alone, confirmed by the quorum of cosigners", async () => {
  const { server, vote, open, leaf, shown } = await cast();
  await vote.checkInclusion(shown(await server.signCheckpoint()));
  assert.equal(vote.stage, "included");
  await server.close();
  await server.cosign(COSIGNERS.slice(0, server.manifest.cosignQuorum - 1));
  const closing = server.closingNote ?? "";
  assert.equal(provedBy(server.manifest, leaf, shown(closing)), "board");
  assert.equal((await vote.checkInclusion(shown(closing))).state, "included");
  assert.throws(() => requireInBox(server.manifest, leaf, shown(closing)), code("voting.cosignatures"));
  await server.cosign(COSIGNERS.slice(server.manifest.cosignQuorum - 1, server.manifest.cosignQuorum));
  assert.equal((await vote.checkInclusion(shown(server.closingNote ?? ""))).state, "confirmed");
  assert.equal((await open()).stage, "confirmed");
  assert.equal((await vote.checkInclusion(shown(closing))).state, "confirmed", "what was proved is not unproved by an older view");
});

test("control: forged closings are not confirmed", async () => {
  const { server, vote, leaf, shown } = await cast();
  await server.close();
  const checkpoint = server.checkpoint();
  const line = (name: string, by = name): Promise<string> => cosign(checkpointBody(checkpoint), name, cosignerKey(by), NOW);
  const bare = await server.signCheckpoint();
  // Nobody's cosignature; one cosigner's four times; four by keys that nobody knows.
  const four = COSIGNERS.slice(0, 4);
  const once = await line("chair");
  const strangers = await Promise.all(four.map((name) => cosign(checkpointBody(checkpoint), name, keyFrom(`stranger ${name}`), NOW)));
  for (const forged of [bare, bare + once.repeat(4), bare + strangers.join("")]) {
    assert.equal((await vote.checkInclusion(shown(forged))).state, "included");
    assert.throws(() => standing({ ...PROMISED, proved: provedBy(server.manifest, leaf, shown(forged)), closed: true, finished: true }), code("voting.cosignatures"));
  }
  // Cosignatures of another closing, a false signature under a cosigner's name, another server.
  const other = { ...checkpoint, size: checkpoint.size - 1 };
  const ofOther = await Promise.all(four.map((name) => cosign(checkpointBody(other), name, cosignerKey(name), NOW)));
  const ofStranger = await signCheckpoint(checkpoint, keyFrom("another server"));
  for (const forged of [bare + ofOther.join(""), ofStranger + (await Promise.all(four.map((name) => line(name)))).join("")]) {
    await assert.rejects(vote.checkInclusion(shown(forged)), code("voting.note"));
  }
  await vote.checkInclusion(shown(bare + (await Promise.all(four.map((name) => line(name)))).join("")));
  assert.equal(vote.stage, "confirmed", "the control of the control");
});
