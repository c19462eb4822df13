/** Vectors of tests/vectors/fm1, sections 1 to 4 and the logs of 6, shared with the Python implementation. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as challenges from "../../src/ballot/challenges.ts";
import {
  type Bytes, H, H512, type Json, type JsonObject, b64u, decodeScalar, encodeScalar, fromB64u, hex, jcs, lp, parseCanonical, scalar, utf8,
} from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import { Keygen, ROUNDS, type TrusteeSecrets, makeSecrets, readKeygenFile } from "../../src/ballot/keygen.ts";
import { consistencyProof, inclusionProof, leafHash, root, verifyConsistency, verifyInclusion } from "../../src/ballot/merkle.ts";
import { checkpointHash, cosign, countCosignatures, openCheckpoint, signCheckpoint } from "../../src/ballot/note.ts";
import { tracker } from "../../src/ballot/receipts.ts";
import { readRoll } from "../../src/ballot/roll.ts";
import { seedKey } from "../../src/ballot/signing.ts";
import { type ShareCopy, codeMaterial, openCopy, prfInput, readCode, readCopy, sealCopy } from "../../src/trustee/copies.ts";
import { destroyedHash, readStatement, requireDestroyed } from "../../src/trustee/destruction.ts";
import { key32, load, refusedWith, replay, unhex } from "./vectors.ts";
import { flip } from "./world.ts";

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
  input: Record<string, string> & { action?: JsonObject; index?: number; attempt?: number; kiosk?: boolean };
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
    trustee: (f, t, { index, attempt }) =>
      challenges.trustee({
        meeting: t("meeting"), rollHash: f("roll_hash"), attempt: attempt ?? 0, index: index ?? 0, signKey: f("sign_key"), boxKey: f("box_key"), nonce: f("nonce"),
      }),
    cosign: (f, t) => challenges.cosigner({ meeting: t("meeting"), rollHash: f("roll_hash"), name: t("name"), key: f("key"), nonce: f("nonce") }),
  };
  const replaced: (typeof make)[string] = (f, _t, { kiosk }) =>
    challenges.replacement({ manifestHash: f("manifest"), old: f("old"), new: f("new"), kiosk: kiosk ?? false, nonce: f("nonce") });
  Object.assign(make, { replacement: replaced, replacement_kiosk: replaced });
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
  assert.equal(roll.weight, 25);
  assert.equal(b64u(root(v.entries.map((entry) => leafHash(jcs(entry))))), roll.root);
  assert.throws(() => readRoll({ ...v.statement.core, extra: 1 }), refusedWith("voting.encoding"));
});

interface KeygenVector {
  keygen: JsonObject & { messages: JsonObject[]; attempt: number; threshold: number; count: number; meeting: string };
  empty: JsonObject;
  roll_hash: string;
  transcript: string;
  spoken_code: string;
  manifest_field: { key: string; verification_keys: string[] };
  trustees: { index: number; seed: string; box_private: string; salt: string; coefficients: string[]; w: string; share: string; draws: string[] }[];
}

const setupOf = ({ keygen, roll_hash }: KeygenVector) => ({
  meeting: keygen.meeting, attempt: keygen.attempt, rollHash: key32(roll_hash), threshold: keygen.threshold, count: keygen.count,
});

test("key generation, its messages rebuilt from the secrets and the secrets from their draws", async () => {
  const v = load<KeygenVector>("keys");
  const file = readKeygenFile(v.keygen, key32(v.roll_hash));
  assert.equal(b64u(file.transcript()), v.transcript);
  assert.equal(file.spokenCode(), v.spoken_code);
  assert.equal(b64u(file.key()), v.manifest_field.key);
  assert.deepEqual(file.verificationKeys().map(b64u), v.manifest_field.verification_keys);
  const keygen = new Keygen(setupOf(v));
  const secrets: TrusteeSecrets[] = v.trustees.map((one) => makeSecrets(v.keygen.threshold, replay(one.draws)));
  for (const [i, one] of v.trustees.entries()) {
    const { signSeed, boxSecret, salt, coefficients, proofNonce } = secrets[i] ?? assert.fail();
    assert.deepEqual([signSeed, boxSecret, salt, proofNonce].map(b64u), [one.seed, one.box_private, one.salt, one.w]);
    assert.deepEqual(coefficients.map(b64u), one.coefficients);
  }
  for (const round of ROUNDS) {
    for (const [i, mine] of secrets.entries()) {
      const message = await keygen[round](i + 1, mine);
      assert.deepEqual(message, file.message(round, i + 1), `${round} ${i + 1}`);
      keygen.add(message);
    }
  }
  assert.deepEqual(keygen.file(), v.keygen);
  for (const [i, one] of v.trustees.entries()) assert.equal(b64u(await keygen.secretShare(i + 1, secrets[i] ?? assert.fail())), one.share);
  assert.throws(() => readKeygenFile(v.empty, key32(v.roll_hash)), VotingError);
});

test("messages of a key generation that are refused", () => {
  const v = load<{ keygen: KeygenVector["keygen"]; roll_hash: string; cases: { name: string; round: string; message: Json }[] }>("keys_refused");
  assert.ok(v.cases.length > 25);
  const setup = setupOf(v as unknown as KeygenVector);
  for (const { name, round, message } of v.cases) {
    const end = round === "complaint" ? ROUNDS.indexOf("salt") : ROUNDS.findIndex((one) => one === round);
    const before = v.keygen.messages.filter(({ type }) => ROUNDS.findIndex((one) => one === type) < end);
    const keygen = Keygen.read(setup, before);
    assert.throws(() => keygen.add(message), VotingError, `${round}: ${name}`);
    if (round === "complaint") continue;
    for (const good of v.keygen.messages.filter(({ type }) => type === round)) keygen.add(good);
    assert.equal(keygen.missing(ROUNDS[end] ?? "register").length, 0, "control: the good ones are taken after a refusal");
  }
});

test("complaints and whose fault they show", async () => {
  interface Case { name: string; messages: JsonObject[]; complaint: JsonObject; judgement: { at_fault: number; by: number; against: number } }
  const v = load<{ cases: Case[]; roll_hash: string }>("keys_complaints");
  const { keygen: good } = load<KeygenVector>("keys");
  assert.deepEqual(new Set(v.cases.map(({ judgement }) => judgement.at_fault)), new Set([1, 2]));
  for (const { name, messages, complaint, judgement } of v.cases) {
    const setup = { ...setupOf({ keygen: good, roll_hash: v.roll_hash } as KeygenVector), meeting: String(complaint["meeting"]), attempt: Number(complaint["attempt"]) };
    const keygen = Keygen.read(setup, [...messages, complaint]);
    assert.deepEqual([keygen.complaint?.by, keygen.complaint?.against], [judgement.by, judgement.against], name);
    assert.equal(await keygen.atFault(), judgement.at_fault, name);
    assert.throws(() => keygen.add({ ...messages[0], type: "salt" }), VotingError, "nothing is taken after a complaint");
  }
});

test("copies of a share, by passkey and by code", async () => {
  interface Copies {
    cases: { kind: "passkey" | "code"; ikm: string; draws: string[]; copy: ShareCopy }[];
    code: string;
    meeting: string;
    prf_input: string;
    secrets: { sign_seed: string; box_secret: string; share: string };
    refused: { name: string; copy: Json }[];
  }
  const v = load<Copies>("keys_copies");
  assert.equal(b64u(prfInput(v.meeting)), v.prf_input);
  const secrets = { signSeed: key32(v.secrets.sign_seed), boxSecret: key32(v.secrets.box_secret), share: key32(v.secrets.share) };
  const typed = readCode(` ${v.code.toLowerCase().replace(/.{4}/g, "$& ").replaceAll("0", "o").replaceAll("1", "l")}`);
  for (const { kind, ikm, draws, copy } of v.cases) {
    const material = (salt: Bytes): Promise<Bytes> | Bytes => (kind === "code" ? codeMaterial(typed, salt) : key32(ikm));
    assert.equal(b64u(await material(fromB64u(copy.salt))), ikm);
    assert.deepEqual(await sealCopy(copy, kind, secrets, material, replay(draws)), copy);
    assert.deepEqual(await openCopy(readCopy(copy), material), secrets);
  }
  const ikms = new Map(v.cases.map(({ kind, ikm }) => [kind, key32(ikm)]));
  assert.ok(v.refused.length > 8);
  for (const { name, copy } of v.refused) {
    await assert.rejects(async () => openCopy(readCopy(copy), () => ikms.get((copy as ShareCopy).kind) ?? new Uint8Array(32)), VotingError, name);
  }
});

test("statements of destruction", () => {
  interface Destroyed {
    destroyed: { statements: JsonObject[] };
    hashes: string[];
    trustees: JsonObject;
    refused: { name: string; code: string; statement: JsonObject }[];
  }
  const v = load<Destroyed>("keys_destroyed");
  const { transcript, keygen } = load<KeygenVector>("keys");
  const signKey = (trustee: number): Bytes => key32(String(keygen.messages[trustee - 1]?.["sign_key"]));
  for (const [i, value] of v.destroyed.statements.entries()) {
    const statement = readStatement(value);
    assert.equal(b64u(destroyedHash(statement, key32(transcript), statement.at)), v.hashes[i]);
    requireDestroyed(statement, key32(transcript), signKey(statement.trustee));
  }
  const bad = v.refused.filter(({ code, name }) => code !== "voting.destroyed-early" && code !== "voting.destroyed-foreign" && name !== "other transcript");
  assert.ok(bad.length >= 3);
  for (const { name, statement } of bad) {
    assert.throws(() => requireDestroyed(readStatement(statement), key32(transcript), signKey(1)), VotingError, name);
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

test("control: a vector changed by one byte does not pass", () => {
  const v = load<KeygenVector>("keys");
  const [first, ...rest] = v.keygen.messages;
  const changed = { ...v.keygen, messages: [{ ...first, salt_hash: flip(String(first?.["salt_hash"]), 3) }, ...rest] } as JsonObject;
  assert.throws(() => readKeygenFile(changed, key32(v.roll_hash)), VotingError);
});
