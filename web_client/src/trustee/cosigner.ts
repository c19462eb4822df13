/** A cosigner's part: one closing checkpoint per vote, and only over ballots that this page has seen. */
import { Board } from "../ballot/board.ts";
import type { Elector } from "../ballot/electorate.ts";
import { type Bytes, type Json, type JsonObject, b64u, fromB64u, same } from "../ballot/encoding.ts";
import { type EntrySource, castingMessage } from "../ballot/entries.ts";
import type { Tie } from "../ballot/rules.ts";
import { ensure } from "../ballot/errors.ts";
import { requireKept } from "../ballot/evidence.ts";
import { type OpenManifest, openManifest } from "../ballot/manifest.ts";
import { cosign } from "../ballot/note.ts";
import type { SigningKey } from "../ballot/signing.ts";
import type { BallotVerifier } from "../ballot/verify.ts";
import type { Keystore } from "../identity/keystore.ts";
import { BoardAudit, openClosing } from "./audit.ts";

export interface CosignerOptions {
  keystore: Keystore;
  /** `chair`, `secretary`, `teller-1` … */
  name: string;
  manifest: Bytes | Json;
  /** The list of voters; a board with a ballot of anybody else is not signed. */
  electorate: readonly Elector[];
}

export interface CosignRequest {
  /** All entries of the board up to the closing entry; later ones are allowed. */
  entries: readonly EntrySource[];
  /** Text of the closing checkpoint. */
  closing: string;
  /** Seconds since 1970. */
  time: number;
  /** Promises that voters have shown to this cosigner. */
  promises?: readonly Json[];
}

export interface TallyRequest {
  entries: readonly EntrySource[];
  closing: string;
  /** The tally core that the server announces. */
  core: object;
  /** Shares that the server refused. */
  rejected?: readonly EntrySource[];
  verifier: BallotVerifier;
}

export interface CastingRequest {
  entries: readonly EntrySource[];
  closing: string;
  question: number;
  options: readonly number[];
  verifier: BallotVerifier;
}

export class Cosigner {
  readonly manifest: OpenManifest;
  private readonly keystore: Keystore;
  private readonly name: string;
  private readonly voters: readonly Elector[];

  constructor({ keystore, name, manifest, electorate }: CosignerOptions) {
    this.keystore = keystore;
    this.name = name;
    this.manifest = openManifest(manifest);
    this.voters = electorate;
  }

  private async key(): Promise<SigningKey> {
    const key = await this.keystore.findCosigner(this.manifest.meeting);
    const named = this.manifest.cosigners.find(({ name }) => name === this.name)?.key;
    ensure(key !== null && named === b64u(key.publicKey), "voting.no-secrets", `This vote does not name this device's key as "${this.name}".`);
    return key;
  }

  /**
   * Recomputes the board's root, looks for this device's own ballot and those promised to others, and cosigns the
   * closing checkpoint. Returns one signature line.
   * @throws VotingError `voting.board-differs`, `voting.not-on-the-board`, `voting.second-closing`
   */
  async cosign({ entries, closing, time, promises = [] }: CosignRequest): Promise<string> {
    const key = await this.key();
    const board = new Board(this.manifest, this.voters);
    for (const entry of entries) board.add(entry);
    const note = openClosing(board, closing);
    await this.requireOwnBallot(board);
    requireKept(board, promises);
    // Recorded before the signature exists: a second, different closing is never signed.
    const first = await this.keystore.decide(`closing/${this.manifest.id}`, note.body);
    ensure(first === note.body, "voting.second-closing", "This device has already signed another closing of this vote.");
    return cosign(note.body, this.name, key, time);
  }

  private async requireOwnBallot(board: Board): Promise<void> {
    const cast = await this.keystore.castBallot(this.manifest.id);
    if (cast === null || cast.state === "sending") return; // without a promise there is nothing to hold the server to
    const leaf = fromB64u(cast.leaf, 32);
    const index = board.leaves.findIndex((other) => same(other, leaf));
    ensure(index >= 0, "voting.not-on-the-board", "Your own ballot was promised a place on the board and is not there. Do not sign; tell the tellers.");
    if (cast.state === "promised") await this.keystore.updateCast({ ...cast, state: "included" });
  }

  private async audited(entries: readonly EntrySource[], closing: string, verifier: BallotVerifier): Promise<BoardAudit> {
    const audit = new BoardAudit(this.manifest, verifier, this.voters);
    await audit.add(entries);
    const signed = await this.keystore.decision<string>(`closing/${this.manifest.id}`);
    ensure(signed === null || signed === openClosing(audit.board, closing).body, "voting.second-closing", "This device has signed another closing of this vote.");
    return audit;
  }

  /**
   * Recomputes the whole tally from the board and signs it as chair: b64u.
   * @throws VotingError `voting.tally`, `voting.second-closing` and what the board's checks throw
   */
  async signTally({ entries, closing, core, rejected = [], verifier }: TallyRequest): Promise<string> {
    const key = await this.key();
    const audit = await this.audited(entries, closing, verifier);
    const hash = audit.tally({ core, rejected }, closing);
    return b64u(await key.sign(hash));
  }

  /** Options that wait for the chair, by question. @throws VotingError as `signTally` */
  async ties({ entries, closing, verifier }: Omit<CastingRequest, "question" | "options">): Promise<Map<number, Tie>> {
    return (await this.audited(entries, closing, verifier)).ties();
  }

  /** The chair's casting vote as a board entry, once and for all. @throws VotingError `voting.tally` where there is no such tie */
  async castingVote(request: CastingRequest): Promise<JsonObject> {
    const key = await this.key();
    const { question } = request;
    const audit = await this.audited(request.entries, request.closing, request.verifier);
    const options = [...request.options].sort((a, b) => a - b);
    const tied = audit.ties().get(question)?.tied ?? [];
    ensure(tied.length > 0 && options.every((option) => tied.includes(option)), "voting.tally", "There is no such tie to decide.");
    const message = castingMessage(this.manifest.hash, audit.board.closing?.hash ?? new Uint8Array(), question, options);
    return this.keystore.decide<JsonObject>(`casting/${this.manifest.id}/${question}`, {
      type: "casting", question, options, sig: b64u(await key.sign(message)),
    });
  }
}
