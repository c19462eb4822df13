/** The booth: from the manifest to a ballot in the box, the proof that it is there, or an audit instead. */
import type { CastRecord, CastState, Keystore } from "../identity/keystore.ts";
import { type Place, readBallot, sealedHash, signBallot } from "./ballot.ts";
import { replacement } from "./challenges.ts";
import { type Elector, requireElector } from "./electorate.ts";
import { type Bytes, type Json, type JsonObject, b64u, fromB64u } from "./encoding.ts";
import { VotingError, ensure } from "./errors.ts";
import { type Manifest, type OpenManifest, type Question, openManifest } from "./manifest.ts";
import type { InclusionJson } from "./inclusion.ts";
import { pinManifest } from "./pinned.ts";
import { announceMessage, auditCode, ballotLeaf, readPromise, tracker, voidMessage } from "./receipts.ts";
import type { Sealer } from "./sealing.ts";
import { type SigningKey, portableSigner } from "./signing.ts";

export type VoteStage = "choosing" | "sealed" | CastState;
export type { InclusionJson } from "./inclusion.ts";

const SEED_BYTES = 32;

/** What the page knows before it sees the manifest, from check-in. Hashes and keys as b64u. */
export interface Expectation {
  meeting: string;
  rollHash: string;
  serverKey: string;
}

export interface VoteOptions {
  /** RFC 8785 bytes of the manifest, or its parsed value. */
  manifest: Bytes | Json;
  keystore: Keystore;
  sealer: Sealer;
  expect: Expectation;
  /** The list of voters, when the page has it: then it must be the manifest's. */
  electorate?: readonly Elector[];
  /** Where this voter's lineage stands, as the server says it: after a replacement, or with weights. A wrong one spoils nobody's vote unseen. */
  place?: Place;
}

/** A sealed ballot that may be cast or audited; its hash goes to the server before the voter chooses. */
export interface Sealed {
  /** b64u */
  sealed: string;
  /** 20 characters, to compare on a second device. */
  code: string;
}

/** `queued`: a hall without an answer from the main room keeps the ballot, and this is its relay's receipt; whether it arrives is not known yet. */
export type CastAnswer = { promise: JsonObject } | { refused: string } | { queued: JsonObject };
/** Sends the ballot. Throwing means: not known whether it arrived. */
export type SendBallot = (ballot: JsonObject) => Promise<CastAnswer>;

/** What fixes a sealed ballot at the server: all b64u, signed by this device's key. */
export interface Announcement {
  credential: string;
  sealed: string;
  sig: string;
}

/** What an audit gives: the entry for the board, and the second device's address fragment. */
export interface Audit extends Sealed {
  entry: JsonObject;
  fragment: string;
}

interface Draft extends Sealed {
  ballot: JsonObject;
  seed: Bytes;
  choices: readonly (readonly number[])[];
}

function requireExpected(manifest: Manifest, expect: Expectation): void {
  ensure(manifest.meeting === expect.meeting, "voting.manifest", "This vote belongs to another meeting.");
  ensure(manifest.roll === expect.rollHash, "voting.manifest", "This vote uses another roll than the one you checked in with.");
  ensure(manifest.board.key === expect.serverKey, "voting.manifest", "This vote is signed by another server than your meeting's.");
}

/** One member's vote in one election, on this device. */
export class Vote {
  readonly manifest: OpenManifest;
  private readonly keystore: Keystore;
  private readonly sealer: Sealer;
  private readonly key: SigningKey;
  private place: Place;
  private draft: Draft | null = null;
  private cast_: CastRecord | null;
  /** The voter wants to replace what was cast. */
  private again_ = false;

  private constructor({ keystore, sealer }: VoteOptions, manifest: OpenManifest, key: SigningKey, place: Place, cast: CastRecord | null) {
    this.manifest = manifest;
    this.keystore = keystore;
    this.sealer = sealer;
    this.key = key;
    this.place = place;
    this.cast_ = cast;
  }

  /**
   * Checks the manifest against what the page knows and finds what this device has already cast.
   * @throws VotingError `voting.manifest`, `voting.not-in-the-electorate`, `voting.small-electorate`
   */
  static async open(options: VoteOptions): Promise<Vote> {
    const manifest = openManifest(options.manifest);
    requireExpected(manifest, options.expect);
    const { keystore, electorate, place } = options;
    ensure((await keystore.findCredential(manifest.meeting)) !== null, "voting.not-in-the-electorate", "This device has not checked in to the meeting.");
    await pinManifest(keystore, manifest);
    const key = portableSigner(await keystore.portableCredential(manifest.meeting));
    // After a replacement the list names the lineage's first key, not this one: the place is then the server's word.
    const weight = electorate === undefined || place !== undefined ? (place?.weight ?? 1) : requireElector(manifest, electorate, b64u(key.publicKey));
    return new Vote(options, manifest, key, place ?? { weight, seq: 1, prev: "" }, await keystore.castBallot(manifest.id));
  }

  get stage(): VoteStage {
    if (this.cast_ !== null && !this.again_) return this.cast_.state;
    return this.draft === null ? "choosing" : "sealed";
  }

  get title(): string {
    return this.manifest.title;
  }

  get questions(): readonly Question[] {
    return this.manifest.questions;
  }

  /** This device's key in this vote, b64u. */
  get credential(): string {
    return b64u(this.key.publicKey);
  }

  get weight(): number {
    return this.place.weight;
  }

  /** What was cast last from this device, or null. */
  get record(): CastRecord | null {
    return this.cast_;
  }

  /** What a passkey signs so that this device's key takes the place of `old` (b64u) in this vote. */
  replacement(old: string, nonce: string, kiosk: boolean): { challenge: Bytes; new: string } {
    const fields = { manifestHash: this.manifest.hash, old: fromB64u(old, 32), new: this.key.publicKey, kiosk, nonce: fromB64u(nonce, 32) };
    return { challenge: replacement(fields), new: b64u(this.key.publicKey) };
  }

  /** The lineage's place, after the server has taken the replacement. */
  take(place: Place): void {
    this.place = place;
    this.draft = null;
  }

  private requireChoosing(): void {
    ensure(this.cast_ === null || this.again_, "voting.already-cast", "Your vote has already been sent.");
  }

  /** Seals the values of every question's cells. @throws VotingError `voting.already-cast`, `voting.choice` */
  prepare(choices: readonly (readonly number[])[]): Sealed {
    this.requireChoosing();
    const seed = this.keystore.random(SEED_BYTES);
    const ballot = this.sealer.seal(this.manifest, { credential: this.key.publicKey, place: this.place, choices, seed });
    const hash = sealedHash(this.manifest.hash, ballot);
    this.draft = { ballot, seed, choices, sealed: b64u(hash), code: auditCode(hash) };
    return { sealed: this.draft.sealed, code: this.draft.code };
  }

  /** The word that goes to the server before the voter says cast or audit. @throws VotingError `voting.nothing-to-cast` when another ballot is sealed now */
  async announcement(sealed: string): Promise<Announcement> {
    ensure(this.draft?.sealed === sealed, "voting.nothing-to-cast", "There is no such sealed ballot any more.");
    const sig = await this.key.sign(announceMessage(this.manifest.hash, fromB64u(sealed)));
    return { credential: this.credential, sealed, sig: b64u(sig) };
  }

  /** Back to choosing: throws the sealed ballot away. */
  change(): void {
    this.requireChoosing();
    this.draft = null;
  }

  /** Back to choosing after a vote was cast, where the last ballot counts. @throws VotingError `voting.already-cast` */
  again(): void {
    const { cast_: record, manifest } = this;
    const may = manifest.votingAgain === "last-counts" && record !== null && record.state !== "sending";
    ensure(may, "voting.already-cast", "Your vote has already been sent.");
    this.place = { weight: this.place.weight, seq: record.seq + 1, prev: record.leaf };
    this.draft = null;
    this.again_ = true;
  }

  /**
   * Gives the sealed ballot up and tells how to open it: it is never signed, and its void goes onto the board.
   * @throws VotingError `voting.nothing-to-cast`
   */
  async audit(): Promise<Audit> {
    const { draft, manifest, place } = this;
    this.requireChoosing();
    ensure(draft !== null, "voting.nothing-to-cast", "There is no sealed ballot yet.");
    this.draft = null;
    const { sealed, code, seed, choices } = draft;
    const credential = b64u(this.key.publicKey);
    const sig = await this.key.sign(voidMessage(manifest.hash, fromB64u(sealed)));
    const { openingFragment } = await import("./opening.ts");
    const fragment = openingFragment({ manifest: manifest.id, credential, ...place, seed: b64u(seed), choices: choices.map((values) => [...values]) });
    return { sealed, code, fragment, entry: { type: "void", credential, sealed, sig: b64u(sig) } };
  }

  /**
   * Signs and sends the ballot, the same bytes on every call, and checks the promise that comes back.
   * @throws VotingError `voting.ballot-refused` (choose again), `voting.promise`; whatever `send` throws (try again)
   */
  async cast(send: SendBallot): Promise<CastRecord> {
    const record = await this.begin();
    return record.state === "sending" ? this.settle(await send(record.ballot)) : record;
  }

  /** The server's answer to the ballot that `begin` named. @throws VotingError like `cast` */
  async settle(answer: CastAnswer): Promise<CastRecord> {
    const record = this.cast_;
    ensure(record !== null, "voting.nothing-to-cast", "Nothing was sent from this device.");
    if ("refused" in answer) {
      await this.keystore.forgetCast(record);
      this.cast_ = await this.keystore.castBallot(this.manifest.id);
      this.again_ = this.cast_ !== null;
      this.draft = null;
      throw new VotingError("voting.ballot-refused", `The ballot was refused: ${answer.refused}`);
    }
    if ("queued" in answer) return this.keep({ ...record, queued: answer.queued });
    readPromise(this.manifest, fromB64u(record.leaf, 32), answer.promise);
    return this.keep({ ...record, state: "promised", promise: answer.promise });
  }

  /** What must be sent: the ballot sealed here, or the one that was kept before. */
  async begin(): Promise<CastRecord> {
    if (this.cast_ !== null && !this.again_) return this.cast_;
    const { draft, manifest } = this;
    ensure(draft !== null, "voting.nothing-to-cast", "There is no sealed ballot yet.");
    const ballot = await signBallot(manifest, draft.ballot, this.key);
    readBallot(ballot);
    const leaf = ballotLeaf(ballot);
    const { meeting, election, title, id } = manifest;
    // Kept before it is sent: after a reload or in another tab the first ballot is the one that counts.
    const record = await this.keystore.beginCast({
      manifest: id, meeting, election, title, seq: this.place.seq, tracker: tracker(leaf), leaf: b64u(leaf), ballot, state: "sending", promise: null,
    });
    this.again_ = false;
    this.cast_ = record;
    return record;
  }

  private async keep(record: CastRecord): Promise<CastRecord> {
    await this.keystore.updateCast(record);
    this.cast_ = record;
    return record;
  }

  /**
   * Checks the server's proof that the cast ballot is on the board, or in the closed box that enough cosigners signed.
   * @throws VotingError `voting.not-on-the-board`, `voting.note`, `voting.nothing-to-cast`
   */
  async checkInclusion(inclusion: InclusionJson): Promise<CastRecord> {
    const record = this.cast_;
    ensure(record !== null, "voting.nothing-to-cast", "Nothing was cast from this device.");
    const { provedBy } = await import("./inclusion.ts"); // wanted after casting, when the page has been small long enough
    const proved = provedBy(this.manifest, record.leaf, inclusion);
    return this.keep({ ...record, state: proved === "box" || record.state === "confirmed" ? "confirmed" : "included" });
  }
}
