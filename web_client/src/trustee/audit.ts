/** What a teller's or the chair's page establishes by itself about one board, before it signs anything. */
import { Board } from "../ballot/board.ts";
import type { Elector } from "../ballot/electorate.ts";
import { type Bytes, type Json, type JsonObject, b64u, fromB64u, jcs, parseCanonical, same } from "../ballot/encoding.ts";
import { type EntrySource, type Share, entryBytes, readEntry, rejectedHash, shareMessage } from "../ballot/entries.ts";
import { VotingError, ensure } from "../ballot/errors.ts";
import type { OpenManifest } from "../ballot/manifest.ts";
import { type Note, countCosignatures, openCheckpoint } from "../ballot/note.ts";
import { type Tie, isTooFew, tiesToDecide } from "../ballot/rules.ts";
import { requireSignature } from "../ballot/signing.ts";
import { Fields } from "../ballot/strict.ts";
import { type Aggregate, aggregate, combine, requireValidParts, tallyCore, tallyHalls, tallyHash } from "../ballot/tally.ts";
import { type BallotVerifier, type Item, Sums } from "../ballot/verify.ts";

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

/** What the server announces, and the shares that it refused. */
export interface Announced {
  core: object;
  rejected: readonly EntrySource[];
}

/**
 * A board whose every entry this page checks as it comes. After a refusal it stays refused: the entries
 * that were signed cannot become right.
 */
export class BoardAudit {
  readonly manifest: OpenManifest;
  readonly board: Board;
  private readonly verifier: BallotVerifier;
  private readonly sums: Sums;
  private pending: Item[] = [];
  private checked = 0;
  private refusal: VotingError | null = null;

  constructor(manifest: OpenManifest, verifier: BallotVerifier, voters: readonly Elector[]) {
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
        const { entry, replaced } = this.board.add(source);
        if (entry.type === "ballot") this.pending.push({ ballot: entry.ballot.json, sign: 1 });
        if (replaced !== null) this.pending.push({ ballot: replaced.json, sign: -1 });
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
    const result = await this.verifier.check(this.manifest, batch);
    const { refused } = result;
    if (refused !== null) {
      const before = batch.slice(0, refused.index + 1).filter(({ sign }) => sign === 1).length;
      throw new VotingError(refused.code, `Ballot ${this.checked + before} on the board is not valid: ${refused.message}`);
    }
    this.sums.add(result);
    this.checked += batch.filter(({ sign }) => sign === 1).length;
    this.pending = this.pending.slice(batch.length);
  }

  private requireCounted(): void {
    ensure(this.refusal === null && this.board.closing !== null, "voting.board-order", "The vote is not closed.");
    ensure(this.checked === this.board.ballots, "voting.board-differs", "Not every ballot has been checked yet.");
  }

  /** The encrypted totals of all counted ballots; only after closing and when every ballot was checked. */
  aggregate(): Aggregate {
    this.requireCounted();
    return aggregate(this.manifest, this.sums.totals());
  }

  /**
   * Recomputes the whole tally from the board and returns its hash when the core is the same to the byte.
   * @throws VotingError `voting.tally`, `voting.share`, `voting.cosignatures`
   */
  tally({ core: announced, rejected }: Announced, closingText: string): Bytes {
    const core = parseCanonical(jcs(announced)) as JsonObject;
    const { manifest, board } = this;
    const { lineages } = board;
    this.requireCounted();
    const closing = this.closingHash(closingText);
    const f = new Fields(core, "The tally", Object.keys(core));
    const countedAt = f.int("counted_at", board.closing?.at ?? 0, manifest.timeLimit);
    const sealed = manifest.secret && !isTooFew(manifest, board.cast);
    const agg = sealed ? this.aggregate() : null;
    const counts = agg !== null ? this.counts(agg) : manifest.secret ? [] : this.sums.counts(manifest);
    const castings = new Map([...board.castings.values()].map(({ question, options }) => [question, options]));
    const { ballots, cast, castWeight, replacements, kiosk, voids } = lineages;
    const own = tallyCore(manifest, {
      closing, aggregate: agg?.hash ?? null, ballots, cast, castWeight, replacements, kiosk, voids, counts,
      rejected: agg === null ? [] : rejected.map((entry) => this.rejected(agg, entry)), castings, countedAt,
      halls: tallyHalls(core["halls"]),
    });
    ensure(same(jcs(own), jcs(core)), "voting.tally", "The result that the server announces is not what this page has counted.");
    const hash = tallyHash(core);
    ensure(board.tallyHash === null || same(fromB64u(board.tallyHash), hash), "voting.tally", "The board names another result.");
    return hash;
  }

  /** Options that wait for the chair's casting vote, by question. */
  ties(): Map<number, Tie> {
    const { manifest, board } = this;
    this.requireCounted();
    if (isTooFew(manifest, board.cast)) return new Map();
    const counts = manifest.secret ? this.counts(this.aggregate()) : this.sums.counts(manifest);
    return tiesToDecide(manifest, board.lineages, counts);
  }

  private closingHash(text: string): Bytes {
    const note = openClosing(this.board, text);
    const enough = cosignatures(this.manifest, note) >= this.manifest.cosignQuorum;
    ensure(enough, "voting.cosignatures", "The closing checkpoint has too few cosignatures.");
    return this.board.closing?.hash ?? new Uint8Array();
  }

  private counts(agg: Aggregate): number[][] {
    const shares = [...this.board.shares.values()];
    for (const { trustee, aggregate: opened, parts } of shares) {
      ensure(same(fromB64u(opened), agg.hash), "voting.tally", "A teller's share on the board is of another count.");
      requireValidParts(this.manifest, agg, trustee, parts);
    }
    return combine(this.manifest, agg, shares, this.board.lineages.castWeight);
  }

  /** A share kept as evidence: signed for this count, and wrong. @throws VotingError `voting.tally` when it is right or not signed */
  private rejected(agg: Aggregate, source: EntrySource): { trustee: number; hash: string } {
    const value: Json = parseCanonical(entryBytes(source));
    const share = readEntry(value);
    ensure(share.type === "share", "voting.tally", "What was kept as evidence is not a share.");
    this.requireSigned(share, agg);
    ensure(!this.holds(share, agg), "voting.tally", "A share that was refused is right.");
    return { trustee: share.trustee, hash: b64u(rejectedHash(value)) };
  }

  private requireSigned(share: Share, agg: Aggregate): void {
    const key = this.manifest.trustees.signKeys[share.trustee - 1];
    const own = key !== undefined && share.manifest === this.manifest.id && share.aggregate === b64u(agg.hash);
    ensure(own, "voting.tally", "A share kept as evidence is for another count.");
    requireSignature(fromB64u(key), shareMessage(this.manifest.hash, agg.hash, share.trustee, share.partsJson), share.sig, "a share kept as evidence");
  }

  private holds(share: Share, agg: Aggregate): boolean {
    try {
      requireValidParts(this.manifest, agg, share.trustee, share.parts);
      return true;
    } catch (error) {
      if (error instanceof VotingError) return false;
      throw error;
    }
  }
}
