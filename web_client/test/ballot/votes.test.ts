/** Vectors of tests/vectors/fm1, sections 5 to 8: manifests, electorates, ballots, boards, tallies and rules. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ballotMessage, challengeOf, readBallot, sealBallot, sealedHash, seededDraws, signBallot } from "../../src/ballot/ballot.ts";
import { Board, requireClosingTimes } from "../../src/ballot/board.ts";
import { type Question, layoutOf } from "../../src/ballot/cells.ts";
import { type Elector, type Repeatable, electorate, electorateHash, repeatsOf, weightCounts } from "../../src/ballot/electorate.ts";
import { type Json, type JsonObject, b64u, encodeScalar, fromB64u, fromUtf8, jcs } from "../../src/ballot/encoding.ts";
import { type Closing, type Entry, readEntry, intentMessage, shareMessage } from "../../src/ballot/entries.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { G, mul } from "../../src/ballot/group.ts";
import { Lineages } from "../../src/ballot/lineages.ts";
import { type OpenManifest, type Rules, openManifest } from "../../src/ballot/manifest.ts";
import { openingFragment, readOpening, rebuild, voids } from "../../src/ballot/opening.ts";
import { announceMessage, auditCode, ballotLeaf, readPromise, tracker, voidMessage } from "../../src/ballot/receipts.ts";
import { type Outcome, type Quorum, evaluate, quorumOf, tiesToDecide } from "../../src/ballot/rules.ts";
import { seedKey, verifySignature } from "../../src/ballot/signing.ts";
import { decryptionParts, smallLogarithm, tallyHash } from "../../src/ballot/tally.ts";
import { InlineVerifier, checkBallots, requireValidBallot } from "../../src/ballot/verify.ts";
import { BoardAudit } from "../../src/trustee/audit.ts";
import { key32, load, refusedWith, replay } from "./vectors.ts";
import { flip, testRng } from "./world.ts";

interface Good {
  manifest: JsonObject;
  hash: string;
  electorate: Elector[];
  cells: number[][];
  constraints: { low: number; high: number; terms: number[][] }[][];
  answer_bytes: number[];
}
const goods = (): Good[] => load<{ good: Good[] }>("manifest").good;
const manifests = (): Map<string, OpenManifest> => new Map(goods().map(({ manifest }) => openManifest(manifest)).map((one) => [one.id, one]));

/** A copy with the value at a dotted path replaced. */
function changed(base: JsonObject, changes: Record<string, Json>): JsonObject {
  const copy = structuredClone(base);
  for (const [path, value] of Object.entries(changes)) {
    const names = path.split(".");
    const last = names.pop() ?? "";
    const place = names.reduce<Json>((at, name) => (at as JsonObject)[name] ?? {}, copy) as JsonObject;
    place[last] = value;
  }
  return copy;
}

test("manifests with their electorates, cells and constraints", () => {
  for (const one of goods()) {
    const manifest = openManifest(one.manifest);
    assert.equal(manifest.id, one.hash);
    assert.deepEqual(manifest.layouts.map(({ cells, most }) => Array.from({ length: cells }, () => most)), one.cells);
    assert.deepEqual(
      manifest.layouts.map(({ constraints }) => constraints.map(({ lo, hi, terms }) => ({ low: lo, high: hi, terms }))),
      one.constraints,
    );
    assert.deepEqual(manifest.layouts.map(({ bytes, cells }) => (manifest.secret ? bytes : cells)), one.answer_bytes);
    assert.equal(electorate(manifest, one.electorate).size, manifest.electorateSize);
  }
});

test("manifests that are refused", () => {
  const { bad } = load<{ bad: { name: string; base: string; changes: Record<string, Json> }[] }>("manifest");
  const byHash = new Map(goods().map(({ hash, manifest }) => [hash, manifest]));
  assert.ok(bad.length > 80);
  for (const { name, base, changes } of bad) {
    assert.throws(() => openManifest(changed(byHash.get(base) ?? assert.fail(), changes)), VotingError, `${name} ${JSON.stringify(changes).slice(0, 100)}`);
  }
});

test("electorates, weights that occur too seldom, and repeats", () => {
  interface Lists {
    lists: { name: string; code: string; hash?: string; manifest: string; electorate: Elector[] }[];
    weights: { code: string; least_electorate: number; weights: number[] }[];
    repeats: { questions: Question[]; credentials: string[]; least_electorate: number; earlier: { election: string; questions: Question[]; credentials: string[] }[]; repeats: string[] }[];
  }
  const v = load<Lists>("electorate");
  const all = manifests();
  for (const { name, code, hash, manifest, electorate: list } of v.lists) {
    const read = () => electorate(all.get(manifest) ?? assert.fail(), list);
    if (code !== "ok") assert.throws(read, VotingError, name);
    else assert.equal(read().size, list.length, name);
    if (code === "ok") assert.equal(b64u(electorateHash(list)), hash, name);
  }
  for (const { code, least_electorate: least, weights } of v.weights) {
    const counts = weightCounts(weights.map((weight) => ({ credential: "", name: "", weight })));
    assert.equal([...counts.values()].every((n) => n >= least), code === "ok", `${weights} ${least}`);
  }
  const asked = (one: { questions: Question[]; credentials: string[] }, election: string): Repeatable =>
    ({ election, questions: one.questions, credentials: new Set(one.credentials) });
  for (const one of v.repeats) {
    const found = repeatsOf(asked(one, "now"), one.least_electorate, one.earlier.map((other) => asked(other, other.election)));
    assert.deepEqual(found, one.repeats);
  }
});

interface BallotCase {
  name: string;
  manifest: string;
  choices: number[][];
  seed: string;
  key_seed: string;
  ballot: JsonObject & { weight: number; seq: number; prev: string };
  challenge: string;
  sealed: string;
  signed_hash: string;
  audit_code: string;
  leaf: string;
  tracker: string;
  opening: JsonObject;
  fragment: string;
  void: JsonObject;
  announcement: JsonObject;
}
interface BallotVector {
  cases: BallotCase[];
  draws: { seed: string; index: number; draw: string }[];
  impossible: { name: string; manifest: string; choices: number[][] }[];
  refused: { name: string; code: string; manifest: string; ballot: JsonObject }[];
}

test("ballots of every type to the byte, from their seed, and audited", async () => {
  const v = load<BallotVector>("ballot");
  for (const { seed, index, draw } of v.draws) {
    const rng = seededDraws(key32(seed));
    for (let i = 0; i < index; i++) rng(64);
    assert.equal(b64u(rng(64)), draw);
  }
  const all = manifests();
  for (const one of v.cases) {
    const manifest = all.get(one.manifest) ?? assert.fail();
    const key = seedKey(key32(one.key_seed));
    const { weight, seq, prev } = one.ballot;
    const ballot = sealBallot(manifest, key.publicKey, { weight, seq, prev }, one.choices, seededDraws(key32(one.seed)));
    assert.deepEqual(await signBallot(manifest, ballot, key), one.ballot, one.name);
    assert.equal(b64u(sealedHash(manifest.hash, ballot)), one.sealed);
    assert.equal(auditCode(key32(one.sealed)), one.audit_code);
    assert.equal(b64u(ballotMessage(manifest.hash, one.ballot)), one.signed_hash);
    if (manifest.secret) assert.equal(b64u(encodeScalar(challengeOf(manifest, readBallot(one.ballot)))), one.challenge);
    assert.equal(b64u(ballotLeaf(one.ballot)), one.leaf);
    assert.equal(tracker(key32(one.leaf)), one.tracker);
    requireValidBallot(manifest, one.ballot);
    const opening = readOpening(`#${one.fragment}`);
    assert.deepEqual(opening, one.opening);
    assert.equal(openingFragment(opening), `#${one.fragment}`);
    const rebuilt = rebuild(manifest, opening);
    assert.deepEqual(rebuilt, { sealed: one.sealed, code: one.audit_code });
    assert.deepEqual(one.announcement, { credential: b64u(key.publicKey), sealed: one.sealed, sig: b64u(await key.sign(announceMessage(manifest.hash, key32(one.sealed)))) });
    assert.equal(b64u(await key.sign(voidMessage(manifest.hash, key32(one.sealed)))), one.void["sig"]);
    assert.ok(voids(manifest, opening, rebuilt, one.void));
    assert.ok(!voids(manifest, opening, rebuilt, { ...one.void, sealed: flip(one.sealed, 1) }));
    assert.throws(() => readOpening(`#${one.fragment.slice(0, -2)}`), refusedWith("voting.audit"));
  }
});

test("ballots that are refused, alone and hidden in a batch, and choices that none is made of", () => {
  const v = load<BallotVector>("ballot");
  const all = manifests();
  assert.ok(v.refused.length >= 50 && v.impossible.length > 10);
  for (const { name, code, manifest: id, ballot } of v.refused) {
    const manifest = all.get(id) ?? assert.fail();
    assert.throws(() => requireValidBallot(manifest, ballot), VotingError, name);
    const good = v.cases.find((one) => one.manifest === id) ?? assert.fail(name);
    const { refused } = checkBallots(manifest, [{ ballot: good.ballot, sign: 1 }, { ballot, sign: 1 }], testRng(name));
    assert.equal(refused?.index, 1, name);
    // Of a plain ballot a page does not say whether a cell or a sum is wrong.
    if (!name.startsWith("plain")) assert.equal(refused?.code, code, name);
  }
  for (const { name, manifest: id, choices } of v.impossible) {
    const manifest = all.get(id) ?? assert.fail();
    const seal = () => sealBallot(manifest, testRng("key")(32), { weight: 1, seq: 1, prev: "" }, choices, seededDraws(testRng("seed")(32)));
    assert.throws(seal, refusedWith("voting.choice"), name);
  }
});

test("lineages: ballots, replacements and voids one after the other", () => {
  interface Lineage {
    name: string; manifest: JsonObject; electorate: Elector[]; steps: { entry: JsonObject; code: string; leaf: string }[];
    ballots: number; cast: number; cast_weight: number; replacements: number; kiosk: number; voids: number;
  }
  for (const v of load<Lineage[]>("lineages")) {
    const manifest = openManifest(v.manifest);
    const lineages = new Lineages(manifest, electorate(manifest, v.electorate));
    const offer = (entry: Entry, leaf: string): void => {
      if (entry.type === "replacement") lineages.replace(entry);
      else if (entry.type === "void") {
        lineages.current(entry.credential);
        if (!verifySignature(key32(entry.credential), voidMessage(manifest.hash, key32(entry.sealed)), entry.sig)) throw new VotingError("voting.signature", "");
        lineages.countVoid(entry);
        lineages.void(entry);
      } else if (entry.type === "ballot") {
        lineages.vote(entry.ballot, leaf);
        lineages.requireNotVoid(entry.ballot);
      } else assert.fail(entry.type);
    };
    for (const [i, { entry, code, leaf }] of v.steps.entries()) {
      const place = `${v.name} ${i} ${String(entry["type"])} ${code}`;
      if (code !== "ok" && code !== "voting.ballot-void") assert.throws(() => offer(readEntry(entry), leaf), VotingError, place);
      else if (code === "ok") assert.doesNotThrow(() => offer(readEntry(entry), leaf), place);
      else assert.throws(() => lineages.requireNotVoid((readEntry(entry) as Extract<Entry, { type: "ballot" }>).ballot), refusedWith("voting.ballot-void"), place);
    }
    const { ballots, cast, castWeight, replacements, kiosk, voids: voided } = lineages;
    assert.deepEqual([ballots, cast, castWeight, replacements, kiosk, voided], [v.ballots, v.cast, v.cast_weight, v.replacements, v.kiosk, v.voids], v.name);
  }
});

test("closing entries, good and too early", () => {
  const v = load<{ manifests: JsonObject[]; cases: { code: string; manifest: string; entry: JsonObject }[] }>("closing");
  const all = new Map(v.manifests.map((one) => openManifest(one)).map((one) => [one.id, one]));
  assert.equal(new Set(v.cases.map(({ code }) => code)).size, 2);
  for (const { code, manifest, entry } of v.cases) {
    const check = () => requireClosingTimes(all.get(manifest) ?? assert.fail(), readEntry(entry) as Closing);
    if (code === "ok") check();
    else assert.throws(check, VotingError, JSON.stringify(entry));
  }
});

interface Box {
  elections: {
    manifest: JsonObject; electorate: Elector[]; board: JsonObject[]; rejected: JsonObject[]; aggregate: string; sums: string[][][];
    opening: string; closing: string; final: string; tally: { core: JsonObject; signatures: { chair: string; server: string; trustees: { trustee: number; sig: string }[] } };
    tally_hash: string;
  }[];
  logs: { count: number; limit: number; found: number }[];
  share: { election: number; trustee: number; secret: string; key_seed: string; draws: string[]; intent: JsonObject; share: JsonObject & { parts: Json } };
}

test("whole boards of a meeting with every feature, and their tallies", async () => {
  const v = load<Box>("box");
  for (const one of v.elections) {
    const manifest = openManifest(one.manifest);
    const audit = new BoardAudit(manifest, new InlineVerifier(testRng("audit")), one.electorate);
    await audit.add(one.board.map((entry) => fromUtf8(jcs(entry))));
    if (manifest.secret && one.aggregate !== "") {
      assert.equal(b64u(audit.aggregate().hash), one.aggregate);
      assert.deepEqual(audit.aggregate().ciphers.map((list) => list.map(({ alpha, beta }) => [alpha, beta].map((point) => b64u(point.toBytes())))), one.sums);
    }
    const { core, signatures } = one.tally;
    const hash = audit.tally({ core, rejected: one.rejected }, one.closing);
    assert.equal(b64u(hash), one.tally_hash);
    assert.equal(b64u(tallyHash(core)), one.tally_hash);
    const signed = (key: string | undefined, sig: string): boolean => verifySignature(key32(key ?? ""), hash, fromB64u(sig, 64));
    assert.ok(signed(manifest.board.key, signatures.server));
    assert.ok(signed(manifest.cosigners.find(({ name }) => name === "chair")?.key, signatures.chair));
    for (const { trustee, sig } of signatures.trustees) assert.ok(signed(manifest.trustees.signKeys[trustee - 1], sig));
    for (const change of [{ cast: 99 }, { exceptions: 9 }, { halls: [{ site: "s", name: "S", state: "late", ballots: 0 }] }, { halls: [{ site: "s", name: "S", state: "lost", ballots: 1 }] }, { counted_at: 1 }, { outcome: [] }, { kiosk: 7 }, { counts: [] , voids: 9 }, { trustees: [1, 2] }]) {
      assert.throws(() => audit.tally({ core: { ...core, ...change }, rejected: one.rejected }, one.closing), VotingError, JSON.stringify(change));
    }
    if (one.rejected.length > 0) assert.throws(() => audit.tally({ core, rejected: [] }, one.closing), VotingError);
    const shares = one.board.filter(({ type }) => type === "share");
    if (shares.length > 0) assert.throws(() => audit.tally({ core, rejected: shares }, one.closing), refusedWith("voting.tally"));
  }
});

test("one trustee's intent and share to the byte, and small logarithms", async () => {
  const v = load<Box>("box");
  const { share, trustee } = v.share;
  const election = v.elections[v.share.election] ?? assert.fail();
  const manifest = openManifest(election.manifest);
  const audit = new BoardAudit(manifest, new InlineVerifier(testRng("audit")), election.electorate);
  await audit.add(election.board);
  const secret = BigInt(`0x${Buffer.from(key32(v.share.secret)).reverse().toString("hex")}`);
  const agg = audit.aggregate();
  const parts = decryptionParts(manifest, agg, trustee, secret, replay(v.share.draws));
  assert.deepEqual(parts, share.parts);
  const key = seedKey(key32(v.share.key_seed));
  assert.equal(b64u(await key.sign(shareMessage(manifest.hash, agg.hash, trustee, parts))), share["sig"]);
  const closing = audit.board.closing?.hash ?? assert.fail();
  assert.equal(b64u(await key.sign(intentMessage(manifest.hash, closing, agg.hash, trustee))), v.share.intent["sig"]);
  for (const { count, limit, found } of v.logs) {
    const search = () => smallLogarithm(mul(G, BigInt(count)), limit);
    if (found < 0) assert.throws(search, refusedWith("voting.tally"));
    else assert.equal(search(), found);
  }
  for (const count of [64, 65, 99, 4095, 4096, 9999, 10000]) assert.equal(smallLogarithm(mul(G, BigInt(count)), 10_000), count);
  assert.throws(() => smallLogarithm(mul(G, 10_001n), 10_000), refusedWith("voting.tally"));
});

test("entries, their leaves, and the promise", () => {
  const v = load<{ entries: { entry: JsonObject; leaf: string }[]; promise: JsonObject & { leaf: string } }>("board");
  const manifest = openManifest((v.entries[0]?.entry["manifest"] as JsonObject) ?? {});
  readPromise(manifest, key32(v.promise.leaf), v.promise);
  assert.throws(() => readPromise(manifest, key32(flip(v.promise.leaf, 0)), v.promise), refusedWith("voting.promise"));
  assert.throws(() => readPromise(manifest, key32(v.promise.leaf), { ...v.promise, publish_by: 1 }), refusedWith("voting.promise"));
  for (const { entry } of v.entries) assert.throws(() => readEntry({ ...entry, more: 1 }), VotingError);
});

interface Case {
  rules: Rules; secrecy: string; questions: Question[]; counts: number[][]; cast: number; cast_weight: number; present: number; present_weight: number;
  roll_size: number; roll_weight: number; castings: { question: number; options: number[] }[]; casting_due: number[]; code: string; outcome: Outcome[]; quorum: Quorum;
}

test("rules: quorum, majority, seats and ties", () => {
  const cases = load<Case[]>("rules");
  assert.ok(cases.length > 500);
  for (const [i, one] of cases.entries()) {
    const manifest = {
      rules: one.rules, secrecy: one.secrecy, secret: one.secrecy === "trustees", questions: one.questions, layouts: one.questions.map(layoutOf),
      present: one.present, presentWeight: one.present_weight, rollSize: one.roll_size, rollWeight: one.roll_weight,
    } as OpenManifest;
    const turnout = { cast: one.cast, castWeight: one.cast_weight };
    const place = `${i} ${JSON.stringify(one)}`;
    assert.deepEqual(quorumOf(manifest, turnout), one.quorum, place);
    const castings = new Map(one.castings.map(({ question, options }) => [question, options]));
    const run = () => evaluate(manifest, turnout, one.counts, castings);
    if (one.code !== "ok") assert.throws(run, refusedWith("voting.tally"), place);
    else if (one.casting_due.length > one.castings.length) {
      assert.deepEqual([...tiesToDecide(manifest, turnout, one.counts).keys()], one.casting_due, place);
      assert.throws(run, refusedWith("voting.tally"), place);
    } else assert.deepEqual(run(), one.outcome, place);
  }
});

test("control: a board whose ballot lost a byte is refused", async () => {
  const v = load<Box>("box");
  const one = v.elections[0] ?? assert.fail();
  const audit = new BoardAudit(openManifest(one.manifest), new InlineVerifier(testRng("audit")), one.electorate);
  const at = one.board.findIndex(({ type }) => type === "ballot");
  const ballot = one.board[at]?.["ballot"] as JsonObject & { choices: string[] };
  const [first = "", ...rest] = ballot.choices;
  const broken = one.board.map((entry, i) => (i === at ? { type: "ballot", ballot: { ...ballot, choices: [flip(first, 200), ...rest] } } : entry));
  await assert.rejects(audit.add(broken), VotingError);
  assert.ok(new Board(openManifest(one.manifest), one.electorate).size === 0);
});
