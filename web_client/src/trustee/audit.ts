/** What a teller's or the chair's page establishes by itself about one board, before it signs anything. */
import { Board, type EntrySource } from "../ballot/board.ts";
import { type Bytes, type Json, type JsonObject, fromB64u, jcs, parseCanonical, same } from "../ballot/encoding.ts";
import { VotingError, ensure } from "../ballot/errors.ts";
import type { Elector, OpenManifest } from "../ballot/manifest.ts";
import { type Note, checkpointHash, countCosignatures, openCheckpoint } from "../ballot/note.ts";
import { Fields } from "../ballot/strict.ts";
import { type Aggregate, LEAST_CAST, aggregate, combine, requireValidParts, tallyCore, tallyHash } from "../ballot/tally.ts";
import { type BallotVerifier, Sums } from "../ballot/verify.ts";

const MAX_TIME = Number.MAX_SAFE_INTEGER;

/** Throws unless the note is the signed closing checkpoint of exactly this board. @throws VotingError `voting.note`, `voting.board-differs` */
export function openClosing(board: Board, text: string): Note {
  const { manifest, closing } = board;
  ensure(closing !== null, "voting.board-order", "The vote is not closed.");
  const note = openCheckpoint(text, manifest.board.origin, fromB64u(manifest.board.key, 32));
  const agrees = note.checkpoint.size === closing.size && same(note.checkpoint.root, closing.root);
  ensure(agrees, "voting.board-differs", "The closing checkpoint does not belong to the ballots this page has seen.");
  return note;
}

/** How many of the manifest's cosigners signed this closing checkpoint. */
export const cosignatures = (manifest: OpenManifest, note: Note): number =>
  countCosignatures(note, manifest.cosigners.map(({ name, key }) => ({ name, key: fromB64u(key, 32) })));

/**
 * A board whose every entry this page checks as it comes. After a refusal it stays refused: the entries
 * that were signed cannot become right.
 */
export class BoardAudit {
  readonly manifest: OpenManifest;
  readonly board: Board;
  private readonly verifier: BallotVerifier;
  private readonly sums: Sums;
  private pending: Json[] = [];
  private checked = 0;
  private refusal: VotingError | null = null;

  constructor(manifest: OpenManifest, verifier: BallotVerifier, voters: readonly Elector[] | null = null) {
    this.manifest = manifest;
    this.board = new Board(manifest, voters);
    this.verifier = verifier;
    this.sums = new Sums(manifest);
  }

  /** Ballots whose signature and proofs were checked. */
  get verified(): number {
    return this.checked;
  }

  get refused(): VotingError | null {
    return this.refusal;
  }

  /** Checks the next entries. @throws VotingError, for ever after a refusal. */
  async add(entries: readonly EntrySource[]): Promise<void> {
    if (this.refusal !== null) throw this.refusal;
    try {
      for (const source of entries) {
        const entry = this.board.add(source);
        if (entry.type === "ballot") this.pending.push(entry.ballot.json);
      }
      await this.checkPending();
    } catch (error) {
      // A worker that stopped says nothing about the board; its ballots stay pending.
      if (error instanceof VotingError && error.code !== "voting.worker") this.refusal = error;
      throw error;
    }
  }

  private async checkPending(): Promise<void> {
    if (this.pending.length === 0) return;
    const batch = this.pending;
    const { refused, sums } = await this.verifier.check(this.manifest, batch);
    if (refused !== null) {
      throw new VotingError(refused.code, `Ballot ${this.checked + refused.index + 1} on the board is not valid: ${refused.message}`);
    }
    this.sums.add(sums);
    this.checked += batch.length;
    this.pending = this.pending.slice(batch.length);
  }

  /** The encrypted totals of all ballots; only after closing and when every ballot was checked. */
  aggregate(): Aggregate {
    ensure(this.refusal === null && this.board.closing !== null, "voting.board-order", "The vote is not closed.");
    ensure(this.checked === this.board.cast, "voting.board-differs", "Not every ballot has been checked yet.");
    return aggregate(this.manifest, this.sums.points());
  }

  /**
   * Recomputes the whole tally from the board and returns its hash when the core is the same to the byte.
   * @throws VotingError `voting.tally`, `voting.share`, `voting.cosignatures`
   */
  tally(announced: object, closingText: string): { hash: Bytes; trustees: number[] } {
    const core = parseCanonical(jcs(announced)) as JsonObject;
    const { manifest, board } = this;
    const { timeLimit } = manifest;
    const agg = this.aggregate();
    const closing = this.closingHash(closingText);
    const f = new Fields(core, "The tally", Object.keys(core));
    const countedAt = f.int("counted_at", board.closing?.at ?? 0, Math.min(timeLimit, MAX_TIME));
    const trustees = f.list("trustees", 0, 9).map((index) => (typeof index === "number" ? index : 0));
    const tooFew = board.cast < LEAST_CAST;
    const own = tallyCore(manifest, {
      closing, cast: board.cast, countedAt, trustees: tooFew ? [] : trustees,
      aggregate: tooFew ? null : agg.hash, counts: tooFew ? [] : this.counts(agg, trustees),
    });
    ensure(same(jcs(own), jcs(core)), "voting.tally", "The result that the server announces is not what this page has counted.");
    const hash = tallyHash(core);
    ensure(board.tallyHash === null || same(fromB64u(board.tallyHash), hash), "voting.tally", "The board names another result.");
    return { hash, trustees };
  }

  private closingHash(text: string): Bytes {
    const note = openClosing(this.board, text);
    const enough = cosignatures(this.manifest, note) >= this.manifest.cosignQuorum;
    ensure(enough, "voting.cosignatures", "The closing checkpoint has too few cosignatures.");
    return checkpointHash(note.body);
  }

  private counts(agg: Aggregate, trustees: readonly number[]): number[][] {
    const ascending = trustees.every((trustee, i) => i === 0 || trustee > (trustees[i - 1] ?? 0));
    ensure(ascending, "voting.tally", "The tally names its tellers out of order.");
    const shares = trustees.map((trustee) => {
      const share = this.board.shares.get(trustee);
      ensure(share !== undefined && same(fromB64u(share.aggregate), agg.hash), "voting.tally", "The tally names a teller whose share is not on the board.");
      requireValidParts(this.manifest, agg, trustee, share.parts);
      return { trustee, parts: share.parts };
    });
    return combine(this.manifest, agg, shares, this.board.cast);
  }
}
