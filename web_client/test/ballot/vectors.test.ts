/** Every vector of tests/vectors/fm1, shared with the Python implementation. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inflateRawSync } from "node:zlib";
import { ballotMessage, buildBallot, challengeOf, readBallot } from "../../src/ballot/ballot.ts";
import { Board, ballotLeaf, entryBytes, intentMessage, readEntry, readPromise, shareMessage, tracker } from "../../src/ballot/board.ts";
import * as challenges from "../../src/ballot/challenges.ts";
import {
  type Bytes, H, H512, type Json, type JsonObject, type Rng, b64u, concat, decodeScalar, encodeScalar, fromB64u, fromUtf8, hex, jcs, lp, parseCanonical,
  same, scalar, utf8,
} from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { type TrusteeSecrets, readKeygenFile, ROUNDS, Keygen } from "../../src/ballot/keygen.ts";
import { openManifest, type OpenManifest } from "../../src/ballot/manifest.ts";
import { consistencyProof, inclusionProof, leafHash, root, verifyConsistency, verifyInclusion } from "../../src/ballot/merkle.ts";
import { checkpointHash, cosign, countCosignatures, openCheckpoint, signCheckpoint } from "../../src/ballot/note.ts";
import { readRoll } from "../../src/ballot/roll.ts";
import { seedKey, verifySignature } from "../../src/ballot/signing.ts";
import { aggregate, combine, decryptionParts, evaluate, quorumMet, requireValidParts, tallyHash } from "../../src/ballot/tally.ts";
import { InlineVerifier, Sums, checkBallots, requireValidBallot } from "../../src/ballot/verify.ts";
import { BoardAudit } from "../../src/trustee/audit.ts";
import { flip, testRng } from "./world.ts";

const read = (name: string): Buffer => readFileSync(new URL(`../../../tests/vectors/fm1/${name}`, import.meta.url));
const load = <T>(name: string): T => JSON.parse(read(`${name}.json`).toString("utf8")) as T;
const refusedWith = (code: string) => (error: unknown) => error instanceof VotingError && error.code === code;
const unhex = (text: string): Bytes => new Uint8Array(Buffer.from(text, "hex"));
const key32 = (text: string): Bytes => fromB64u(text, 32);

/** Hands out the recorded draws in order and refuses any other length. */
function replay(draws: readonly string[]): Rng {
  const left = draws.map((draw) => fromB64u(draw));
  return (n) => {
    const next = left.shift();
    assert.equal(next?.length, n);
    return next ?? new Uint8Array();
  };
}

interface Encodings {
  b64u: { bytes_hex: string; text: string }[];
  b64u_bad: string[];
  lp: { text: string; lp_hex: string }[];
  h: { tag: string; fields: string[]; h: string }[];
  h512: { tag: string; fields: string[]; h512: string }[];
  jcs: { value: Json; bytes: string }[];
  json_bad: string[];
  scalar: { wide: string; scalar: string }[];
  scalar_bad: string[];
  tracker: { leaf: string; tracker: string }[];
}

test("encodings", () => {
  const v = load<Encodings>("encodings");
  for (const { bytes_hex: bytes, text } of v.b64u) {
    assert.equal(b64u(unhex(bytes)), text);
    assert.equal(hex(fromB64u(text)), bytes);
  }
  for (const text of v.b64u_bad) assert.throws(() => fromB64u(text), refusedWith("voting.encoding"), text);
  for (const { text, lp_hex: bytes } of v.lp) assert.equal(hex(lp(utf8(text))), bytes);
  for (const { tag, fields, h } of v.h) assert.equal(b64u(H(tag, ...fields.map((field) => fromB64u(field)))), h);
  for (const { tag, fields, h512 } of v.h512) assert.equal(b64u(H512(tag, ...fields.map((field) => fromB64u(field)))), h512);
  for (const { value, bytes } of v.jcs) {
    assert.equal(b64u(jcs(value)), bytes);
    assert.deepEqual(parseCanonical(fromB64u(bytes)), value);
  }
  for (const bytes of v.json_bad) assert.throws(() => parseCanonical(fromB64u(bytes)), refusedWith("voting.encoding"), bytes);
  for (const { wide, scalar: reduced } of v.scalar) assert.equal(b64u(encodeScalar(scalar(fromB64u(wide, 64)))), reduced);
  for (const bytes of v.scalar_bad) assert.throws(() => decodeScalar(fromB64u(bytes)), refusedWith("voting.scalar"));
  for (const one of v.tracker) assert.equal(tracker(key32(one.leaf)), one.tracker);
});

interface Challenge {
  challenge: string;
  input: Record<string, string> & { action?: JsonObject; index?: number };
}

test("passkey challenges", () => {
  const v = load<{ challenges: Record<string, Challenge> }>("challenges").challenges;
  const make: Record<string, (f: (name: string) => Bytes, t: (name: string) => string, input: Challenge["input"]) => Bytes> = {
    enrol: (f, t) => challenges.enrolment(t("rp_id"), f("user_handle"), f("nonce")),
    sign_in: (f, t) => challenges.signIn(t("rp_id"), f("nonce")),
    action: (f, _t, { action }) => challenges.action(action ?? {}, f("nonce")),
    registrar: (f) => challenges.registrar(f("roll_hash"), f("nonce")),
    checkin: (f, t) =>
      challenges.checkin({
        meeting: t("meeting"), rollHash: f("roll_hash"), site: t("site"), credential: f("credential"), checkpoint: t("checkpoint"), nonce: f("nonce"),
      }),
    trustee: (f, t, { index }) =>
      challenges.trustee({
        meeting: t("meeting"), rollHash: f("roll_hash"), index: index ?? 0, signKey: f("sign_key"), boxKey: f("box_key"), nonce: f("nonce"),
      }),
    cosign: (f, t) => challenges.cosigner({ meeting: t("meeting"), rollHash: f("roll_hash"), name: t("name"), key: f("key"), nonce: f("nonce") }),
  };
  assert.deepEqual(Object.keys(v).toSorted(), Object.keys(make).toSorted());
  for (const [name, { challenge, input }] of Object.entries(v)) {
    const made = make[name]?.((field) => fromB64u(input[field] ?? ""), (field) => input[field] ?? "", input);
    assert.equal(made && b64u(made), challenge, name);
  }
});

test("roll", () => {
  const v = load<{ roll_hash: string; statement: { core: JsonObject }; entries: Json[] }>("roll");
  const roll = readRoll(v.statement.core);
  assert.equal(roll.id, v.roll_hash);
  assert.equal(b64u(root(v.entries.map((entry) => leafHash(jcs(entry))))), roll.root);
  assert.throws(() => readRoll({ ...v.statement.core, extra: 1 }), refusedWith("voting.encoding"));
});

interface KeygenVector {
  keygen: JsonObject;
  roll_hash: string;
  transcript: string;
  spoken_code: string;
  key: string;
  verification_keys: string[];
  trustees: { index: number; seed: string; box_private: string; coefficients: string[]; w: string; share: string }[];
}

test("key generation, its messages rebuilt from the secrets", async () => {
  const v = load<KeygenVector>("keygen");
  const keygen = readKeygenFile(v.keygen, key32(v.roll_hash));
  assert.equal(b64u(keygen.transcript()), v.transcript);
  assert.equal(keygen.spokenCode(), v.spoken_code);
  assert.equal(b64u(keygen.key()), v.key);
  assert.deepEqual(keygen.verificationKeys().map(b64u), v.verification_keys);
  const rebuilt = new Keygen(keygen.setup);
  const secrets = v.trustees.map(
    (t): TrusteeSecrets => ({
      signSeed: key32(t.seed), boxSecret: key32(t.box_private), coefficients: t.coefficients.map((a) => key32(a)), proofNonce: key32(t.w),
    }),
  );
  for (const round of ROUNDS) {
    for (const [i, secret] of secrets.entries()) {
      const message = await rebuilt[round](i + 1, secret);
      assert.deepEqual(message, keygen.message(round, i + 1));
    }
    for (const message of keygen.all(round)) rebuilt.add(message);
  }
  for (const [i, secret] of secrets.entries()) assert.equal(b64u(await rebuilt.secretShare(i + 1, secret)), v.trustees[i]?.share);
});

interface BallotVector {
  manifests: { hash: string; manifest: JsonObject }[];
  cases: {
    ballot: JsonObject; challenge: string; choices: number[]; draws: string[]; leaf: string; manifest: string; seed: string; signed_hash: string; tracker: string;
  }[];
  refused: { name: string; code: string; ballot: JsonObject }[];
}

function manifests(v: BallotVector): Map<string, OpenManifest> {
  return new Map(v.manifests.map(({ hash, manifest }) => [hash, openManifest(jcs(manifest))]));
}

test("manifests and ballots to the byte", async () => {
  const v = load<BallotVector>("ballot");
  const open = manifests(v);
  for (const [hash, manifest] of open) assert.equal(manifest.id, hash);
  for (const one of v.cases) {
    const manifest = open.get(one.manifest);
    assert.ok(manifest);
    const built = await buildBallot(manifest, one.choices, seedKey(key32(one.seed)), replay(one.draws));
    assert.deepEqual(built, one.ballot);
    const ballot = requireValidBallot(manifest, one.ballot);
    assert.equal(b64u(encodeScalar(challengeOf(manifest, ballot))), one.challenge);
    assert.equal(b64u(ballotMessage(manifest.hash, one.ballot)), one.signed_hash);
    assert.equal(b64u(ballotLeaf(one.ballot)), one.leaf);
    assert.equal(tracker(ballotLeaf(one.ballot)), one.tracker);
  }
});

test("refused ballots, each with its code, alone and hidden in a batch", () => {
  const v = load<BallotVector>("ballot");
  const [manifest] = manifests(v).values();
  const good = v.cases.find((one) => one.manifest === manifest?.id);
  assert.ok(manifest && good && v.refused.length >= 18);
  for (const { name, code, ballot } of v.refused) {
    assert.throws(() => requireValidBallot(manifest, ballot), refusedWith(code), name);
    const { refused } = checkBallots(manifest, [good.ballot, ballot], testRng(name));
    assert.deepEqual([refused?.index, refused?.code], [1, code], name);
  }
});

interface BoardVector {
  leaf_data: string[];
  roots: string[];
  inclusion: { index: number; size: number; proof: string[] }[];
  consistency: { old: number; new: number; proof: string[] }[];
  checkpoint: { note: string; hash: string; key: string; seed: string };
  cosignature: { name: string; key: string; seed: string; time: number; line: string };
  promise: { manifest: string; leaf: string; publish_by: number; sig: string };
  entries: { entry: JsonObject; leaf: string }[];
  closing: string;
}

test("tree, proofs, notes and cosignatures", async () => {
  const v = load<BoardVector>("board");
  const leaves = v.leaf_data.map((data) => leafHash(fromB64u(data)));
  const roots = v.roots.map((one) => key32(one));
  for (const [n, expected] of roots.entries()) assert.equal(b64u(root(leaves.slice(0, n))), b64u(expected));
  const rootOf = (n: number): Bytes => roots[n] ?? new Uint8Array();
  for (const { index, size, proof } of v.inclusion) {
    const path = proof.map((hash) => key32(hash));
    const leaf = leaves[index] ?? new Uint8Array();
    assert.deepEqual(inclusionProof(leaves.slice(0, size), index).map(b64u), proof);
    assert.ok(verifyInclusion(leaf, index, size, path, rootOf(size)));
    assert.ok(!verifyInclusion(leaf, index, size, path, rootOf(size - 1)));
    assert.ok(!verifyInclusion(leaf, index, size, [...path, leaf], rootOf(size)));
    if (size > 1) assert.ok(!verifyInclusion(leaf, (index + 1) % size, size, path, rootOf(size)));
  }
  for (const { old, new: size, proof } of v.consistency) {
    const path = proof.map((hash) => key32(hash));
    const [older, newer] = [{ size: old, root: rootOf(old) }, { size, root: rootOf(size) }];
    assert.deepEqual(consistencyProof(leaves.slice(0, size), old).map(b64u), proof);
    assert.ok(verifyConsistency(older, newer, path));
    assert.ok(old === size || old === 0 || !verifyConsistency({ ...older, root: rootOf(old - 1) }, newer, path));
    assert.ok(!verifyConsistency(older, { ...newer, root: rootOf(size - 1) }, path) || old === 0);
  }
  const { note, hash, key, seed } = v.checkpoint;
  const open = openCheckpoint(note, "localhost/ledger", key32(key));
  assert.equal(b64u(checkpointHash(open.body)), hash);
  assert.equal(await signCheckpoint(open.checkpoint, seedKey(key32(seed))), note);
  const { name, time, line } = v.cosignature;
  assert.equal(await cosign(open.body, name, seedKey(key32(v.cosignature.seed)), time), line);
  const cosigner = { name, key: key32(v.cosignature.key) };
  const cosigned = openCheckpoint(note + line + line, "localhost/ledger", key32(key));
  assert.equal(countCosignatures(cosigned, [cosigner]), 1);
  assert.throws(() => openCheckpoint(note, "localhost/other", key32(key)), refusedWith("voting.note"));
  assert.throws(() => openCheckpoint(note.replace("\n9\n", "\n8\n"), "localhost/ledger", key32(key)), refusedWith("voting.note"));
  assert.throws(() => openCheckpoint(note.trimEnd(), "localhost/ledger", key32(key)), refusedWith("voting.note"));
});

test("a whole board, its closing, shares and tally", async () => {
  const v = load<BoardVector>("board");
  const t = load<{ hash: string; tally: { core: JsonObject; signatures: { chair: string; server: string; trustees: { trustee: number; sig: string }[] } } }>("tally");
  const manifest = openManifest(jcs(v.entries[0]?.entry["manifest"]));
  const board = new Board(manifest);
  for (const { entry, leaf } of v.entries) {
    assert.deepEqual(entryBytes(entry), jcs(entry));
    board.add(entry);
    assert.equal(b64u(board.leaves.at(-1) ?? new Uint8Array()), leaf);
  }
  const audit = new BoardAudit(manifest, new InlineVerifier(testRng("audit")));
  await audit.add(v.entries.map(({ entry }) => fromUtf8(jcs(entry))));
  const { hash } = audit.tally(t.tally.core, v.closing);
  assert.equal(b64u(hash), t.hash);
  assert.equal(b64u(tallyHash(t.tally.core)), t.hash);
  const signed = (key: string, sig: string): boolean => verifySignature(key32(key), hash, fromB64u(sig, 64));
  const { chair, server, trustees } = t.tally.signatures;
  assert.ok(signed(manifest.board.key, server) && signed(manifest.cosigners.find(({ name }) => name === "chair")?.key ?? "", chair));
  for (const { trustee, sig } of trustees) assert.ok(signed(manifest.trustees.signKeys[trustee - 1] ?? "", sig));
  for (const change of [{ counts: [[4, 1, 0]] }, { cast: 6 }, { exceptions: 0 }, { counted_at: 1 }, { trustees: [1, 3] }, { outcome: [] }]) {
    assert.throws(() => audit.tally({ ...t.tally.core, ...change }, v.closing), VotingError, JSON.stringify(change));
  }
  const promised = { ...v.promise };
  readPromise(manifest, key32(v.promise.leaf), promised);
  assert.throws(() => readPromise(manifest, key32(flip(v.promise.leaf, 0)), promised), refusedWith("voting.promise"));
  assert.throws(() => readPromise(manifest, key32(v.promise.leaf), { ...promised, publish_by: 1 }), refusedWith("voting.promise"));
});

interface ShareVector {
  manifest: JsonObject; ballots: JsonObject[]; sums: string[][][]; aggregate: string; closing: string; trustee: number; secret: string; seed: string;
  draws: string[]; parts: Json[][]; intent: JsonObject; share: JsonObject; counts: number[][];
}

test("aggregate, intent and share to the byte", async () => {
  const v = load<ShareVector>("shares");
  const manifest = openManifest(jcs(v.manifest));
  const { refused, sums } = checkBallots(manifest, v.ballots, testRng("shares"));
  assert.equal(refused, null);
  assert.deepEqual(sums.map(b64u), v.sums.flat(2));
  const total = new Sums(manifest);
  total.add(sums);
  const agg = aggregate(manifest, total.points());
  assert.equal(b64u(agg.hash), v.aggregate);
  const parts = decryptionParts(manifest, agg, v.trustee, decodeScalar(key32(v.secret)), replay(v.draws));
  assert.deepEqual(parts, v.parts);
  const key = seedKey(key32(v.seed));
  assert.equal(b64u(await key.sign(intentMessage(manifest.hash, key32(v.closing), agg.hash, v.trustee))), v.intent["sig"]);
  assert.equal(b64u(await key.sign(shareMessage(manifest.hash, agg.hash, v.trustee, parts))), v.share["sig"]);
  const share = readEntry(v.share);
  assert.ok(share.type === "share");
  requireValidParts(manifest, agg, v.trustee, share.parts);
  assert.throws(() => requireValidParts(manifest, agg, v.trustee === 1 ? 2 : 1, share.parts), refusedWith("voting.share"));
  const k = load<KeygenVector>("keygen");
  const shares = k.trustees.slice(0, 2).map(({ index, share: secret }) => {
    const made = readEntry({ ...v.share, trustee: index, parts: decryptionParts(manifest, agg, index, decodeScalar(key32(secret)), testRng(secret)) });
    assert.ok(made.type === "share");
    return { trustee: index, parts: made.parts };
  });
  assert.deepEqual(combine(manifest, agg, shares, v.ballots.length), v.counts);
});

interface RuleVector {
  questions: { type: "yes-no-abstain" | "one-of-n"; options: number }[];
  rules: OpenManifest["rules"]; counts: number[][]; cast: number; present: number; roll: number; met: boolean; outcome: { kind: string; option: number }[];
}

test("rules", () => {
  const [base] = manifests(load<BallotVector>("ballot")).values();
  assert.ok(base);
  const cases = load<RuleVector[]>("rules");
  assert.ok(cases.length > 100);
  for (const one of cases) {
    const questions = one.questions.map(({ type, options }) => ({ type, text: "?", options: Array.from({ length: options }, (_, i) => `${i}`) }));
    const manifest: OpenManifest = { ...base, questions, rules: one.rules, present: one.present, rollSize: one.roll };
    assert.equal(quorumMet(manifest), one.met);
    assert.deepEqual(evaluate(manifest, one.counts, one.cast), one.outcome, JSON.stringify(one));
  }
});

/** Reads a small zip of our own making; no general reader. */
function unzip(bytes: Buffer): Map<string, Bytes> {
  const files = new Map<string, Bytes>();
  let at = bytes.readUInt32LE(bytes.lastIndexOf(Buffer.from("PK\x05\x06")) + 16);
  while (bytes.readUInt32LE(at) === 0x02014b50) {
    const [method, packed] = [bytes.readUInt16LE(at + 10), bytes.readUInt32LE(at + 20)];
    const [nameLength, extra, comment, local] = [bytes.readUInt16LE(at + 28), bytes.readUInt16LE(at + 30), bytes.readUInt16LE(at + 32), bytes.readUInt32LE(at + 42)];
    const name = bytes.toString("utf8", at + 46, at + 46 + nameLength);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const data = bytes.subarray(start, start + packed);
    files.set(name, new Uint8Array(method === 8 ? inflateRawSync(data) : data));
    at += 46 + nameLength + extra + comment;
  }
  return files;
}

test("the elections of the bundle are audited, too few ballots included", async () => {
  const files = unzip(read("bundle.zip"));
  const file = (name: string): Bytes => files.get(name) ?? assert.fail(name);
  const bundle = parseCanonical(file("bundle.json")) as JsonObject;
  const roll = readRoll((parseCanonical(file("roll.json")) as JsonObject)["core"] ?? "");
  const keygen = readKeygenFile(parseCanonical(file("keygen.json")), roll.hash);
  const outcomes: unknown[] = [];
  for (const id of bundle["elections"] as string[]) {
    const lines = fromUtf8(file(`elections/${id}/board.jsonl`)).split("\n").slice(0, -1);
    const manifest: OpenManifest = openManifest((JSON.parse(lines[0] ?? "") as JsonObject)["manifest"] ?? "");
    assert.equal(manifest.trustees.transcript, b64u(keygen.transcript()));
    const audit = new BoardAudit(manifest, new InlineVerifier(testRng(id)));
    await audit.add(lines);
    const { core } = parseCanonical(file(`elections/${id}/tally.json`)) as { core: JsonObject };
    audit.tally(core, fromUtf8(file(`elections/${id}/closing.txt`)));
    const final = openCheckpoint(fromUtf8(file(`elections/${id}/final.txt`)), manifest.board.origin, key32(manifest.board.key));
    assert.ok(same(final.checkpoint.root, audit.board.root()) && final.checkpoint.size === lines.length);
    outcomes.push(core["outcome"]);
    const swapped = [lines[0] ?? "", ...lines.slice(1).toReversed()];
    await assert.rejects(new BoardAudit(manifest, new InlineVerifier(testRng(id))).add(swapped), VotingError);
  }
  assert.equal(outcomes.length, 3);
  assert.match(JSON.stringify(outcomes), /too-few/);
});

test("control: a vector changed by one byte does not pass", () => {
  const v = load<BallotVector>("ballot");
  const [manifest] = manifests(v).values();
  const one = v.cases[0];
  assert.ok(manifest && one);
  const ballot = { ...one.ballot, sig: flip(String(one.ballot["sig"]), 0) };
  assert.throws(() => requireValidBallot(manifest, ballot), refusedWith("voting.ballot-signature"));
  assert.ok(!same(ballotLeaf(ballot), key32(one.leaf)));
  assert.equal(concat(readBallot(ballot).sig).length, 64);
});
