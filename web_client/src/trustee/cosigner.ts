/** A cosigner's part: one closing checkpoint per vote, and only over ballots that this page has seen. */
import { Board, type EntrySource } from "../ballot/board.ts";
import { type Bytes, type Json, b64u, same, fromB64u } from "../ballot/encoding.ts";
import { ensure } from "../ballot/errors.ts";
import { type Elector, type OpenManifest, openManifest } from "../ballot/manifest.ts";
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
  /** The list of voters; when given, a board with a ballot of anybody else is not signed. */
  electorate?: readonly Elector[];
}

export interface CosignRequest {
  /** All entries of the board up to the closing entry; later ones are allowed. */
  entries: readonly EntrySource[];
  /** Text of the closing checkpoint. */
  closing: string;
  /** Seconds since 1970. */
  time: number;
}

export interface TallyRequest {
  entries: readonly EntrySource[];
  closing: string;
  /** The tally core that the server announces. */
  core: object;
  verifier: BallotVerifier;
}

export class Cosigner {
  readonly manifest: OpenManifest;
  private readonly keystore: Keystore;
  private readonly name: string;
  private readonly voters: readonly Elector[] | null;

  constructor({ keystore, name, manifest, electorate }: CosignerOptions) {
    this.keystore = keystore;
    this.name = name;
    this.manifest = openManifest(manifest);
    this.voters = electorate ?? null;
  }

  private async key(): Promise<SigningKey> {
    const key = await this.keystore.findCosigner(this.manifest.meeting);
    const named = this.manifest.cosigners.find(({ name }) => name === this.name)?.key;
    ensure(key !== null && named === b64u(key.publicKey), "voting.no-secrets", `This vote does not name this device's key as "${this.name}".`);
    return key;
  }

  /**
   * Recomputes the board's root, looks for this device's own ballot, and cosigns the closing checkpoint.
   * Returns one signature line. @throws VotingError `voting.board-differs`, `voting.not-on-the-board`, `voting.second-closing`
   */
  async cosign({ entries, closing, time }: CosignRequest): Promise<string> {
    const key = await this.key();
    const board = new Board(this.manifest, this.voters);
    for (const entry of entries) board.add(entry);
    const note = openClosing(board, closing);
    await this.requireOwnBallot(board);
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
    await this.keystore.updateCast({ ...cast, state: "included" });
  }

  /**
   * Recomputes the whole tally from the board and signs it as chair: b64u.
   * @throws VotingError `voting.tally`, `voting.second-closing` and what the board's checks throw
   */
  async signTally({ entries, closing, core, verifier }: TallyRequest): Promise<string> {
    const key = await this.key();
    const audit = new BoardAudit(this.manifest, verifier, this.voters);
    await audit.add(entries);
    const { hash } = audit.tally(core, closing);
    const signed = await this.keystore.decision<string>(`closing/${this.manifest.id}`);
    ensure(signed === null || signed === openClosing(audit.board, closing).body, "voting.second-closing", "This device has signed another closing of this vote.");
    return b64u(await key.sign(hash));
  }
}
