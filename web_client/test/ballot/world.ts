/** A small complete election, made deterministically, for the tests of ballot, trustee and booth. */
import { sha256 } from "@noble/hashes/sha2.js";
import { buildBallot } from "../../src/ballot/ballot.ts";
import { type Bytes, type JsonObject, type Rng, b64u, concat, fromB64u, jcs, u32, u64, utf8, H } from "../../src/ballot/encoding.ts";
import { Keygen, type KeygenSetup, ROUNDS, type TrusteeSecrets, makeSecrets, signKeys } from "../../src/ballot/keygen.ts";
import { type OpenManifest, electorateHash, openManifest } from "../../src/ballot/manifest.ts";
import { type Checkpoint, checkpointBody, cosign, signCheckpoint } from "../../src/ballot/note.ts";
import { Board } from "../../src/ballot/board.ts";
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
export const setup: KeygenSetup = { meeting: MEETING, rollHash, threshold: 2, count: 3 };

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

export const YES_NO = { type: "yes-no-abstain", text: "Shall the budget be adopted?", options: ["yes", "no", "abstain"] };
export const ONE_OF = { type: "one-of-n", text: "Who keeps the books?", options: ["An", "Bình", "Chi"] };

export function manifestJson(keygen: Keygen, voters: readonly SigningKey[], changes: JsonObject = {}): JsonObject {
  const list = voters.map((key) => b64u(key.publicKey)).toSorted();
  return {
    v: 1, protocol: "fm1-ristretto255-sha512", organisation: { id: "org", name: "Hợp tác xã" }, meeting: MEETING, election: "e1",
    title: "Budget", questions: [YES_NO], secrecy: "trustees", voting_again: "once",
    rules: { quorum: { num: 1, den: 2, of: "roll" }, majority: { kind: "simple", of: "cast" }, tie: "rejected" },
    roll: b64u(rollHash), roll_size: 8, present: 6,
    electorate: b64u(electorateHash(list.map((credential) => ({ credential, weight: 1 })))), electorate_size: voters.length, exceptions: 0,
    trustees: {
      threshold: 2, count: 3, transcript: b64u(keygen.transcript()), key: b64u(keygen.key()),
      verification_keys: keygen.verificationKeys().map(b64u), sign_keys: signKeys(keygen),
    },
    cosigners: COSIGNERS.map((name) => ({ name, key: b64u(cosignerKey(name).publicKey) })), cosign_quorum: 4,
    board: { origin: `localhost/${MEETING}/e1`, key: b64u(serverKey.publicKey) },
    ledger: { origin: "localhost/ledger", key: b64u(serverKey.publicKey) },
    rp: { id: "localhost", origins: ["http://localhost:8080"] }, opened_at: NOW, grace_s: 10, time_limit: NOW + 3600,
    ...changes,
  };
}

/** The server of the tests: holds the board, signs promises and checkpoints. */
export class TestServer {
  readonly manifest: OpenManifest;
  readonly entries: JsonObject[] = [];
  readonly board: Board;
  closingNote: string | null = null;

  constructor(manifest: OpenManifest, manifestValue: JsonObject) {
    this.manifest = manifest;
    this.board = new Board(manifest);
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
    this.add({ type: "closing", cast: this.board.cast, at: NOW + 100 });
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
  server: TestServer;
}

export async function makeWorld(voterCount = 5, changes: JsonObject = {}): Promise<World> {
  const trustees = await generateKey();
  const voters = Array.from({ length: voterCount }, (_, i) => voterKey(i));
  const manifestValue = manifestJson(trustees.keygen, voters, changes);
  const manifest = openManifest(jcs(manifestValue));
  return { ...trustees, manifest, manifestValue, voters, server: new TestServer(manifest, manifestValue) };
}

/** Casts one ballot for each entry of `choices` (one choice per question). */
export async function castAll(world: World, choices: readonly (readonly number[])[]): Promise<JsonObject[]> {
  const ballots: JsonObject[] = [];
  for (const [i, choice] of choices.entries()) {
    const key = world.voters[i];
    if (key === undefined) throw new Error("more ballots than voters");
    const ballot = await buildBallot(world.manifest, choice, key, testRng(`ballot ${i}`));
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
