import assert from "node:assert/strict";
import { test } from "node:test";
import { ballotMessage, readBallot, sealBallot } from "../../src/ballot/ballot.ts";
import { Board } from "../../src/ballot/board.ts";
import { type JsonObject, b64u, decodeScalar, fromB64u } from "../../src/ballot/encoding.ts";
import { readEntry } from "../../src/ballot/entries.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { Keygen, readKeygenFile } from "../../src/ballot/keygen.ts";
import { evaluate } from "../../src/ballot/rules.ts";
import { aggregate, combine, decryptionParts, requireValidParts } from "../../src/ballot/tally.ts";
import { type BatchResult, type Item, Sums, checkBallots, requireValidBallot } from "../../src/ballot/verify.ts";
import { ONE_OF, YES_NO, ballotOf, castAll, flip, generateKey, makeWorld, marks, rollHash, setup, testRng } from "./world.ts";

const fresh = (ballots: readonly JsonObject[]): Item[] => ballots.map((ballot) => ({ ballot, sign: 1 }));
const check = (manifest: Parameters<typeof checkBallots>[0], ballots: readonly JsonObject[]): BatchResult => checkBallots(manifest, fresh(ballots), testRng("w"));
const code = (wanted: string) => (error: unknown) => error instanceof VotingError && error.code === wanted;

test("a whole election: key, ballots, aggregate, any two shares, counts", async () => {
  const world = await makeWorld(5, { questions: [{ ...YES_NO }, { ...ONE_OF }] });
  const { manifest, server, shares } = world;
  const ballots = await castAll(world, [[0, 2], [0, 2], [1, 0], [2, 2], [0, 1]]);
  const result = check(manifest, ballots);
  assert.equal(result.refused, null);
  const sums = new Sums(manifest);
  sums.add(result);
  const agg = aggregate(manifest, sums.totals());
  const made = shares.map((share, i) => {
    const parts = decryptionParts(manifest, agg, i + 1, decodeScalar(share), testRng(`share ${i}`));
    const entry = readEntry({
      type: "share", trustee: i + 1, manifest: manifest.id, aggregate: b64u(agg.hash), parts, sig: b64u(new Uint8Array(64)),
    });
    assert.equal(entry.type, "share");
    if (entry.type !== "share") throw new Error("unreachable");
    requireValidParts(manifest, agg, i + 1, entry.parts);
    return { trustee: i + 1, parts: entry.parts };
  });
  for (const pair of [[0, 1], [0, 2], [1, 2]]) {
    const used = pair.map((i) => made[i]).filter((share) => share !== undefined);
    assert.deepEqual(combine(manifest, agg, used, server.board.cast), [[3, 1, 1], [1, 1, 3]]);
  }
  const outcome = evaluate(manifest, { cast: 5, castWeight: 5 }, [[3, 1, 1], [1, 1, 3]]);
  assert.deepEqual(outcome.map(({ kind, options }) => [kind, options]), [["carried", [0]], ["elected", [2]]]);
  const [first] = made;
  assert.ok(first);
  assert.throws(() => requireValidParts(manifest, agg, 2, first.parts), code("voting.share"));
  assert.throws(() => combine(manifest, agg, [first], 5), code("voting.tally"));
});

test("every kind of byte in a ballot matters", async () => {
  const { manifest, voters } = await makeWorld();
  const [voter] = voters;
  assert.ok(voter);
  const ballot = await ballotOf(manifest, voter, marks(manifest, [1]));
  requireValidBallot(manifest, ballot);
  const choice = readBallot(ballot).choices[0];
  assert.ok(choice);
  const resign = async (bytes: string): Promise<JsonObject> => {
    return { ...ballot, choices: [bytes], sig: b64u(await voter.sign(ballotMessage(manifest.hash, { ...ballot, choices: [bytes] }))) };
  };
  assert.equal(check(manifest, [await resign(b64u(choice))]).refused, null);
  const places = [...Array(10).keys()].map((i) => i * 32).slice(0, 9).concat([288 * 3, 288 * 3 + 32, 288 * 3 + 64]);
  for (const at of places) {
    const changed = await resign(flip(b64u(choice), at));
    const { refused } = check(manifest, [ballot, changed]);
    assert.equal(refused?.index, 1, `byte ${at}`);
    assert.match(refused.code, /^voting\.ballot-(?:bytes|option-proof|sum-proof)$/);
    assert.throws(() => requireValidBallot(manifest, changed), VotingError);
  }
  const unsigned = { ...ballot, choices: [flip(b64u(choice), 0)] };
  assert.equal(check(manifest, [unsigned]).refused?.code, "voting.ballot-signature");
});

test("a valid point in the wrong place is refused by batch and single check alike", async () => {
  const { manifest, voters } = await makeWorld();
  const [a, b] = voters;
  assert.ok(a && b);
  const mine = await ballotOf(manifest, a, marks(manifest, [0]));
  const choice = readBallot(mine).choices[0];
  assert.ok(choice);
  const swapped = choice.slice();
  swapped.set(choice.subarray(288, 576), 0);
  swapped.set(choice.subarray(0, 288), 288);
  const variants: [typeof a, string][] = [[b, b64u(choice)], [a, b64u(swapped)]];
  for (const [key, bytes] of variants) {
    const forged: JsonObject = { ...mine, credential: b64u(key.publicKey), choices: [bytes] };
    forged["sig"] = b64u(await key.sign(ballotMessage(manifest.hash, forged)));
    assert.equal(check(manifest, [mine, forged]).refused?.index, 1);
    assert.throws(() => requireValidBallot(manifest, forged), code("voting.ballot-option-proof"));
  }
});

test("the board keeps its order and refuses copies", async () => {
  const world = await makeWorld();
  const [ballot] = await castAll(world, [[0], [1], [2]]);
  assert.ok(ballot);
  const { server } = world;
  const before = server.board.root();
  assert.throws(() => server.board.add({ type: "ballot", ballot }), code("voting.ballot-point-repeated"));
  const copied = { ...ballot, credential: b64u(world.voters[4]?.publicKey ?? new Uint8Array()) };
  assert.throws(() => server.board.add({ type: "ballot", ballot: copied }), code("voting.ballot-point-repeated"));
  assert.throws(() => server.board.add({ type: "closing", ballots: 3, cast: 2, ended: 1_800_000_001, at: 1_800_000_011 }), code("voting.board-differs"));
  assert.throws(() => server.board.add({ type: "tally", hash: b64u(rollHash) }), code("voting.board-order"));
  assert.throws(() => server.board.add({ type: "opening", manifest: world.manifestValue }), code("voting.board-order"));
  assert.throws(() => server.board.add({ type: "closing", ballots: 3, cast: 3, ended: 1_800_000_001, at: 1_800_000_010 }), code("voting.too-early"));
  assert.throws(() => new Board(world.manifest, world.electors).add({ type: "ballot", ballot }), code("voting.board-order"));
  assert.deepEqual(server.board.root(), before);
  await server.close();
  assert.throws(() => server.board.add({ type: "ballot", ballot }), code("voting.board-order"));
});

test("a choice outside the options is not sealed", async () => {
  const { manifest, voters } = await makeWorld();
  const [voter] = voters;
  assert.ok(voter);
  const place = { weight: 1, seq: 1, prev: "" };
  for (const choices of [[], [[0, 0, 0]], [[1, 1, 0]], [[0.5, 0.5, 0]], [[1, 0]], [[2, -1, 0]], [[1, 0, 0], [1, 0, 0]]]) {
    assert.throws(() => sealBallot(manifest, voter.publicKey, place, choices, testRng("x")), code("voting.choice"), JSON.stringify(choices));
  }
});

test("key generation: the file reads back, changed messages are refused", async () => {
  const { keygen } = await generateKey();
  const file = keygen.file();
  assert.deepEqual(readKeygenFile(file, rollHash).transcript(), keygen.transcript());
  assert.match(keygen.spokenCode(), /^[0-9A-HJKMNP-TV-Z]{3}-[0-9A-HJKMNP-TV-Z]{3}$/);
  const messages = file["messages"];
  assert.ok(Array.isArray(messages));
  for (const [i, message] of messages.entries()) {
    assert.ok(typeof message === "object" && !Array.isArray(message));
    const changed = { ...message, sig: flip(String(message["sig"]), 3) };
    assert.throws(() => Keygen.read(setup, messages.with(i, changed)), VotingError);
  }
  assert.throws(() => Keygen.read(setup, messages.slice(1)), code("voting.keygen-order"));
  const other = (await generateKey("other")).keygen.all("register")[0];
  assert.ok(other);
  assert.throws(() => Keygen.read(setup, [...messages, other]), code("voting.keygen-second"));
});

test("a part that does not fit its commitment names the sender", async () => {
  const { keygen, secrets } = await generateKey();
  const [one] = secrets;
  assert.ok(one);
  const liar = { ...one, coefficients: one.coefficients.toReversed() };
  const fresh = new Keygen(setup);
  for (const round of ["register", "commit", "reveal"] as const) for (const message of keygen.all(round)) fresh.add(message);
  fresh.add(await fresh.shares(1, liar));
  for (const i of [2, 3]) fresh.add(keygen.message("shares", i) ?? {});
  const second = secrets[1];
  assert.ok(second);
  await assert.rejects(fresh.secretShare(2, second), (error: unknown) => error instanceof VotingError && error.code === "voting.box" && /teller 1/.test(error.message));
  assert.equal(fromB64u(b64u(fresh.transcript()), 32).length, 32);
});
