/** A small complete election, made deterministically, for the tests of ballot, trustee and booth. */
import { sha256 } from "@noble/hashes/sha2.js";
import { type Place, sealBallot, seededDraws, signBallot } from "../../src/ballot/ballot.ts";
import { Board } from "../../src/ballot/board.ts";
import { chosen } from "../../src/ballot/answers.ts";
import type { Question } from "../../src/ballot/cells.ts";
import { type Elector, electorateHash } from "../../src/ballot/electorate.ts";
import { type Bytes, type JsonObject, type Rng, b64u, concat, fromB64u, jcs, u32, u64, utf8, H } from "../../src/ballot/encoding.ts";
import { Keygen, type KeygenSetup, ROUNDS, type TrusteeSecrets, makeSecrets, signKeys } from "../../src/ballot/keygen.ts";
import { type OpenManifest, openManifest } from "../../src/ballot/manifest.ts";
import { type Checkpoint, checkpointBody, cosign, signCheckpoint } from "../../src/ballot/note.ts";
import { type SigningKey, seedKey } from "../../src/ballot/signing.ts";

/** Deterministic bytes from a label; never for real keys. */
export function testRng(label: string): Rng {
  let counter = 0;
  let pool: Bytes = new Uint8Array();
  return (n) => {
    while (pool.length < n) pool = concat(pool, sha256(concat(utf8(label), u32(counter++))));
    const out = pool.slice(0, n);
    pool = pool.slice(n);
    return out;
  };
}

export const MEETING = "meeting-1";
export const NOW = 1_800_000_000;
export const rollHash = sha256(utf8("roll"));
export const keyFrom = (label: string): SigningKey => seedKey(testRng(label)(32));
export const serverKey = keyFrom("server");
export const setup: KeygenSetup = { meeting: MEETING, attempt: 1, rollHash, threshold: 2, count: 3 };

export interface Trustees {
  keygen: Keygen;
  secrets: TrusteeSecrets[];
  shares: Bytes[];
}

export async function generateKey(label = "trustee"): Promise<Trustees> {
  const secrets = [1, 2, 3].map((i) => makeSecrets(setup.threshold, testRng(`${label}-${i}`)));
  const keygen = new Keygen(setup);
  for (const round of ROUNDS) {
    const messages = await Promise.all(secrets.map((secret, i) => keygen[round](i + 1, secret)));
    for (const message of messages) keygen.add(message);
  }
  const shares = await Promise.all(secrets.map((secret, i) => keygen.secretShare(i + 1, secret)));
  return { keygen, secrets, shares };
}

export const COSIGNERS = ["chair", "secretary", "teller-1", "teller-2", "teller-3"];
export const cosignerKey = (name: string): SigningKey => keyFrom(`cosigner ${name}`);
export const voterKey = (i: number): SigningKey => keyFrom(`voter ${i}`);

const plain = { min: 1, max: 1, blank: false, score: 1, ranks: 0, seats: 1 };
export const YES_NO: Question = { type: "yes-no-abstain", text: "Shall the budget be adopted?", options: ["yes", "no", "abstain"], ...plain };
export const ONE_OF: Question = { type: "one-of-n", text: "Who keeps the books?", options: ["An", "Bình", "Chi"], ...plain };
const question = (type: Question["type"], options: number, fields: Partial<Question>): Question => ({
  type, text: `A question of ${type}?`, options: Array.from({ length: options }, (_, i) => `Option ${i + 1}`), ...plain, ...fields,
});
/** One question of every type. */
export const EVERY: readonly Question[] = [
  YES_NO,
  ONE_OF,
  question("m-of-n", 4, { min: 1, max: 2, blank: false, seats: 2 }),
  question("multi-seat", 4, { min: 0, max: 2, blank: true, seats: 2 }),
  question("approval", 3, { min: 0, max: 3 }),
  question("score", 3, { min: 0, max: 0, score: 4 }),
  question("borda", 3, { min: 0, max: 0, ranks: 2 }),
];

export const electorsOf = (voters: readonly SigningKey[], weight = 1): Elector[] =>
  voters.map((key) => b64u(key.publicKey)).toSorted().map((credential) => ({ credential, weight, name: "" }));

export function manifestJson(keygen: Keygen, voters: readonly SigningKey[], changes: JsonObject = {}): JsonObject {
  return {
    v: 1, protocol: "fm1-ristretto255-sha512", organisation: { id: "org", name: "Hợp tác xã" }, meeting: MEETING, election: "e1",
    title: "Budget", rehearsal: false, questions: [{ ...YES_NO }], secrecy: "trustees", voting_again: "once", kiosk: false,
    rules: { quorum: { num: 1, den: 2, by: "present", in: "members" }, majority: { kind: "simple", of: "cast" }, tie: "rejected" },
    roll: b64u(rollHash), roll_size: 100, roll_weight: 100, present: 90, present_weight: 90, excluded: 0, exceptions: 0,
    electorate: b64u(electorateHash(electorsOf(voters))), electorate_size: voters.length, electorate_weight: voters.length,
    least_electorate: 3, repeats: [],
    trustees: {
      attempt: 1, threshold: 2, count: 3, transcript: b64u(keygen.transcript()), key: b64u(keygen.key()),
      verification_keys: keygen.verificationKeys().map(b64u), sign_keys: signKeys(keygen),
    },
    cosigners: COSIGNERS.map((name) => ({ name, key: b64u(cosignerKey(name).publicKey) })), cosign_quorum: 4,
    board: { origin: `localhost/${MEETING}/e1`, key: b64u(serverKey.publicKey) },
    ledger: { origin: "localhost/ledger", key: b64u(serverKey.publicKey) },
    rp: { id: "localhost", origins: ["http://localhost:8080"] }, opened_at: NOW, closes_at: 0, grace_s: 10, time_limit: NOW + 3600, challenge_s: 60,
    ...changes,
  };
}

/** The server of the tests: holds the board, signs promises and checkpoints. */
export class TestServer {
  readonly manifest: OpenManifest;
  readonly entries: JsonObject[] = [];
  readonly board: Board;
  closingNote: string | null = null;

  constructor(manifest: OpenManifest, manifestValue: JsonObject, electors: readonly Elector[]) {
    this.manifest = manifest;
    this.board = new Board(manifest, electors);
    this.add({ type: "opening", manifest: manifestValue });
  }

  add(entry: JsonObject): void {
    this.board.add(entry);
    this.entries.push(entry);
  }

  checkpoint(): Checkpoint {
    return { origin: this.manifest.board.origin, size: this.board.size, root: this.board.root() };
  }

  signCheckpoint(): Promise<string> {
    return signCheckpoint(this.checkpoint(), serverKey);
  }

  async promise(leaf: Bytes): Promise<JsonObject> {
    const publishBy = NOW + 60;
    const sig = await serverKey.sign(H("fm1/promise", this.manifest.hash, leaf, u64(publishBy)));
    return { manifest: this.manifest.id, leaf: b64u(leaf), publish_by: publishBy, sig: b64u(sig) };
  }

  async close(): Promise<void> {
    this.add({ type: "closing", ballots: this.board.ballots, cast: this.board.cast, ended: NOW + 90, at: NOW + 100 });
    this.closingNote = await this.signCheckpoint();
  }

  async cosign(names: readonly string[]): Promise<void> {
    for (const name of names) this.closingNote += await cosign(checkpointBody(this.checkpoint()), name, cosignerKey(name), NOW + 101);
  }
}

export interface World extends Trustees {
  manifest: OpenManifest;
  manifestValue: JsonObject;
  voters: SigningKey[];
  electors: Elector[];
  server: TestServer;
}

export async function makeWorld(voterCount = 5, changes: JsonObject = {}): Promise<World> {
  const trustees = await generateKey();
  const voters = Array.from({ length: voterCount }, (_, i) => voterKey(i));
  const manifestValue = manifestJson(trustees.keygen, voters, changes);
  const manifest = openManifest(jcs(manifestValue));
  const electors = electorsOf(voters);
  return { ...trustees, manifest, manifestValue, voters, electors, server: new TestServer(manifest, manifestValue, electors) };
}

/** A signed ballot, its draws from a label. */
export function ballotOf(
  manifest: OpenManifest, key: SigningKey, choices: readonly (readonly number[])[], label = "ballot", place: Place = { weight: 1, seq: 1, prev: "" },
): Promise<JsonObject> {
  return signBallot(manifest, sealBallot(manifest, key.publicKey, place, choices, seededDraws(testRng(label)(32))), key);
}

/** The cells of one option index per question. */
export const marks = (manifest: OpenManifest, options: readonly number[]): number[][] =>
  manifest.questions.map((one, q) => chosen(one, [options[q] ?? 0]));

/** Casts one ballot for each entry of `choices` (one option index per question). */
export async function castAll(world: World, choices: readonly (readonly number[])[]): Promise<JsonObject[]> {
  const ballots: JsonObject[] = [];
  for (const [i, choice] of choices.entries()) {
    const key = world.voters[i];
    if (key === undefined) throw new Error("more ballots than voters");
    const ballot = await ballotOf(world.manifest, key, marks(world.manifest, choice), `ballot ${i}`);
    ballots.push(ballot);
    world.server.add({ type: "ballot", ballot });
  }
  return ballots;
}

/** A copy with one byte of a b64u string changed. */
export function flip(text: string, at: number): string {
  const bytes = fromB64u(text);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return b64u(bytes);
}
