/** The booth: from the manifest to a ballot in the box, and the proof that it is there. */
import type { CastRecord, Keystore } from "../identity/keystore.ts";
import { ballotLeaf, readPromise, tracker } from "./board.ts";
import { readBallot } from "./ballot.ts";
import { type Bytes, type Json, type JsonObject, b64u, fromB64u, jcs } from "./encoding.ts";
import { VotingError, ensure } from "./errors.ts";
import { type Elector, type Manifest, type OpenManifest, type Question, openManifest, requireElector } from "./manifest.ts";
import { verifyInclusion } from "./merkle.ts";
import { openCheckpoint } from "./note.ts";
import type { Sealer } from "./sealing.ts";

export type VoteStage = "choosing" | "sealed" | "sending" | "promised" | "included";

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
  /** The list of voters, when the page has it: then the device's key must be in it. */
  electorate?: readonly Elector[];
}

export interface Sealed {
  tracker: string;
  /** Leaf hash of the board entry, b64u. */
  leaf: string;
}

export type CastAnswer = { promise: JsonObject } | { refused: string };
/** Sends the ballot. Throwing means: not known whether it arrived. */
export type SendBallot = (ballot: JsonObject) => Promise<CastAnswer>;

export interface InclusionJson {
  index: number;
  size: number;
  /** b64u hashes, nearest sibling first. */
  proof: readonly string[];
  /** Text of a checkpoint of this size. */
  checkpoint: string;
}

function requireExpected(manifest: Manifest, expect: Expectation): void {
  ensure(manifest.meeting === expect.meeting, "voting.manifest", "This vote belongs to another meeting.");
  ensure(manifest.roll === expect.rollHash, "voting.manifest", "This vote uses another roll than the one you checked in with.");
  ensure(manifest.board.key === expect.serverKey, "voting.manifest", "This vote is signed by another server than your meeting's.");
}

const sealedOf = (ballot: JsonObject): Sealed => {
  const leaf = ballotLeaf(ballot);
  return { tracker: tracker(leaf), leaf: b64u(leaf) };
};

/** One member's vote in one election, on this device. */
export class Vote {
  readonly manifest: OpenManifest;
  private readonly keystore: Keystore;
  private readonly sealer: Sealer;
  private ballot: JsonObject | null = null;
  private cast_: CastRecord | null;

  private constructor({ keystore, sealer }: VoteOptions, manifest: OpenManifest, cast: CastRecord | null) {
    this.manifest = manifest;
    this.keystore = keystore;
    this.sealer = sealer;
    this.cast_ = cast;
  }

  /**
   * Checks the manifest against what the page knows and finds what this device has already cast.
   * @throws VotingError `voting.manifest`, `voting.not-in-the-electorate`
   */
  static async open(options: VoteOptions): Promise<Vote> {
    const manifest = openManifest(options.manifest);
    requireExpected(manifest, options.expect);
    const credential = await options.keystore.findCredential(manifest.meeting);
    ensure(credential !== null, "voting.not-in-the-electorate", "This device has not checked in to the meeting.");
    if (options.electorate !== undefined) requireElector(manifest, options.electorate, credential.publicKey);
    return new Vote(options, manifest, await options.keystore.castBallot(manifest.id));
  }

  get stage(): VoteStage {
    return this.cast_?.state ?? (this.ballot === null ? "choosing" : "sealed");
  }

  get title(): string {
    return this.manifest.title;
  }

  get questions(): readonly Question[] {
    return this.manifest.questions;
  }

  get manifestHash(): string {
    return this.manifest.id;
  }

  /** What was cast from this device, or null. */
  get record(): CastRecord | null {
    return this.cast_;
  }

  /**
   * Seals one option index per question in the worker.
   * @throws VotingError `voting.already-cast`, `voting.choice`, `voting.worker`
   */
  async prepare(choices: readonly number[]): Promise<Sealed> {
    ensure(this.cast_ === null, "voting.already-cast", "Your vote has already been sent.");
    const key = await this.keystore.portableCredential(this.manifest.meeting);
    const ballot = await this.sealer.seal(this.manifest.bytes, choices, key);
    readBallot(ballot);
    this.ballot = ballot;
    return sealedOf(ballot);
  }

  /** Back to choosing: throws the sealed ballot away. */
  change(): void {
    ensure(this.cast_ === null, "voting.already-cast", "Your vote has already been sent.");
    this.ballot = null;
  }

  /**
   * Sends the ballot, the same bytes on every call, and checks the promise that comes back.
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
      await this.keystore.forgetCast(this.manifest.id);
      this.cast_ = null;
      this.ballot = null;
      throw new VotingError("voting.ballot-refused", `The ballot was refused: ${answer.refused}`);
    }
    readPromise(this.manifest, fromB64u(record.leaf, 32), answer.promise);
    return this.keep({ ...record, state: "promised", promise: answer.promise });
  }

  /** What must be sent: the ballot sealed here, or the one that was kept before. */
  async begin(): Promise<CastRecord> {
    if (this.cast_ !== null) return this.cast_;
    const { ballot, manifest } = this;
    ensure(ballot !== null, "voting.nothing-to-cast", "There is no sealed ballot yet.");
    const { meeting, election, title, id } = manifest;
    // Kept before it is sent: after a reload or in another tab the first ballot is the one that counts.
    const record = await this.keystore.beginCast({
      manifest: id, meeting, election, title, ...sealedOf(ballot), ballot, state: "sending", promise: null,
    });
    this.cast_ = record;
    return record;
  }

  private async keep(record: CastRecord): Promise<CastRecord> {
    await this.keystore.updateCast(record);
    this.cast_ = record;
    return record;
  }

  /**
   * Checks the server's proof that the cast ballot is on the board.
   * @throws VotingError `voting.not-on-the-board`, `voting.note`, `voting.nothing-to-cast`
   */
  async checkInclusion(inclusion: InclusionJson): Promise<CastRecord> {
    const record = this.cast_;
    ensure(record !== null, "voting.nothing-to-cast", "Nothing was cast from this device.");
    requireIncluded(this.manifest, record.leaf, inclusion);
    return this.keep({ ...record, state: "included" });
  }
}

/**
 * Throws unless the proof places this leaf on the board of a signed checkpoint; also for another device's tracker.
 * @throws VotingError `voting.not-on-the-board`, `voting.note`
 */
export function requireIncluded(manifest: OpenManifest, leaf: string, { index, size, proof, checkpoint }: InclusionJson): void {
  const note = openCheckpoint(checkpoint, manifest.board.origin, fromB64u(manifest.board.key, 32));
  const path = proof.map((hash) => fromB64u(hash, 32));
  const found = note.checkpoint.size === size && verifyInclusion(fromB64u(leaf, 32), index, size, path, note.checkpoint.root);
  ensure(found, "voting.not-on-the-board", "The server does not prove that your ballot is on the board. Tell the tellers.");
}

/** Bytes of a manifest that arrived as JSON, as workers and flows take it. */
export const manifestBytes = (manifest: Json): Bytes => jcs(manifest);
