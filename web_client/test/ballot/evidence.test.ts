/** Promises held against a board, the chair's casting vote, and the points that a verifier has seen. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type JsonObject, b64u } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { judgePromise, requireKept } from "../../src/ballot/evidence.ts";
import { ballotLeaf } from "../../src/ballot/receipts.ts";
import { InlineVerifier } from "../../src/ballot/verify.ts";
import { Keystore } from "../../src/identity/keystore.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { BoardAudit } from "../../src/trustee/audit.ts";
import { Cosigner } from "../../src/trustee/cosigner.ts";
import { PointSet } from "../../src/verifier/points.ts";
import { COSIGNERS, MEETING, NOW, ONE_OF, ballotOf, castAll, cosignerKey, flip, makeWorld, marks, testRng } from "./world.ts";

const code = (wanted: string) => (error: unknown) => error instanceof VotingError && error.code === wanted;

test("a promise is pending, then kept or broken; a forged one is none", async () => {
  const world = await makeWorld();
  const [first] = await castAll(world, [[0], [1], [2]]);
  const { server, manifest } = world;
  const dropped = await ballotOf(manifest, world.voters[4] ?? assert.fail(), marks(manifest, [0]), "dropped");
  const [kept, broken] = [await server.promise(ballotLeaf(first ?? {})), await server.promise(ballotLeaf(dropped))];
  assert.deepEqual([judgePromise(server.board, kept), judgePromise(server.board, broken)], ["kept", "pending"]);
  await server.close();
  assert.deepEqual([judgePromise(server.board, kept), judgePromise(server.board, broken)], ["kept", "broken"]);
  requireKept(server.board, [kept]);
  assert.throws(() => requireKept(server.board, [kept, broken]), code("voting.not-on-the-board"));
  assert.throws(() => judgePromise(server.board, { ...broken, leaf: flip(String(broken["leaf"]), 2) }), code("voting.promise"));

  const records = new MemoryRecords();
  const key = await new Keystore(records, testRng("cosigner")).cosigner(MEETING);
  const cosigners = COSIGNERS.map((name) => ({ name, key: b64u((name === "secretary" ? key : cosignerKey(name)).publicKey) }));
  const other = await makeWorld(5, { cosigners });
  await castAll(other, [[0], [1], [2]]);
  const promise = await other.server.promise(ballotLeaf(await ballotOf(other.manifest, other.voters[4] ?? assert.fail(), marks(other.manifest, [0]))));
  await other.server.close();
  const cosigner = new Cosigner({ keystore: new Keystore(records, testRng("c")), name: "secretary", manifest: other.manifest.bytes, electorate: other.electors });
  const request = { entries: other.server.entries, closing: other.server.closingNote ?? "", time: NOW + 150 };
  await assert.rejects(cosigner.cosign({ ...request, promises: [promise] }), code("voting.not-on-the-board"));
  assert.match(await cosigner.cosign(request), /^— secretary /);
});

test("the chair decides a tie once, and only one that there is", async () => {
  const records = new MemoryRecords();
  const key = await new Keystore(records, testRng("chair")).cosigner(MEETING);
  const cosigners = COSIGNERS.map((name) => ({ name, key: b64u((name === "chair" ? key : cosignerKey(name)).publicKey) }));
  const rules: JsonObject = { quorum: { num: 0, den: 1, by: "cast", in: "votes" }, majority: { kind: "simple", of: "cast" }, tie: "casting-vote" };
  const plain = {
    cosigners, rules, questions: [{ ...ONE_OF }], secrecy: "open", least_electorate: 1,
    trustees: { attempt: 0, threshold: 0, count: 0, transcript: "", key: "", verification_keys: [], sign_keys: [] },
  };
  const world = await makeWorld(5, plain);
  await castAll(world, [[0], [0], [1], [1]]);
  await world.server.close();
  await world.server.cosign(["secretary", "teller-1", "teller-2", "teller-3"]);
  const chair = (): Cosigner => new Cosigner({ keystore: new Keystore(records, testRng("c")), name: "chair", manifest: world.manifest.bytes, electorate: world.electors });
  const request = { entries: world.server.entries, closing: world.server.closingNote ?? "", verifier: new InlineVerifier(testRng("v")) };
  assert.deepEqual([...(await chair().ties(request))], [[0, { tied: [0, 1], room: 1 }]]);
  await assert.rejects(chair().castingVote({ ...request, question: 0, options: [2] }), code("voting.tally"));
  const entry = await chair().castingVote({ ...request, question: 0, options: [1] });
  assert.deepEqual(await chair().castingVote({ ...request, question: 0, options: [0] }), entry, "the first decision stands");
  const audit = new BoardAudit(world.manifest, new InlineVerifier(testRng("a")), world.electors);
  await audit.add([...request.entries, entry]);
  assert.deepEqual(audit.board.castings.get(0)?.options, [1]);
  const forged = new BoardAudit(world.manifest, new InlineVerifier(testRng("a")), world.electors);
  await assert.rejects(forged.add([...request.entries, { ...entry, options: [0] }]), code("voting.signature"));
});

test("a point in two ballots is suspected, one that is twice in a ballot is not, among a hundred thousand", () => {
  const rng = testRng("points");
  const set = new PointSet(rng);
  const point = (i: number): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(32);
    new DataView(bytes.buffer).setUint32(8 * (i % 4), i);
    return bytes;
  };
  for (let i = 0; i < 100_000; i += 2) set.add([point(i), point(i + 1), point(i)]);
  assert.equal(set.suspects.size, 0);
  set.add([point(100_001), point(4_242)]);
  assert.deepEqual([...set.suspects], [set.hash(point(4_242))]);
  assert.notEqual(new PointSet(testRng("another")).hash(point(1)), set.hash(point(1)), "the key is drawn anew");
});
