/** Section 6: an election's board as a page reads it, entry by entry and in order. */
import { type ReadBallot, pointBytes, requireLengths } from "./ballot.ts";
import { type Elector, electorate } from "./electorate.ts";
import { type Bytes, b64u, fromB64u, parseCanonical } from "./encoding.ts";
import { type Casting, type Closing, type Entry, type EntrySource, type Intent, type Share, type Void, castingMessage, entryBytes, intentMessage, readEntry, shareMessage } from "./entries.ts";
import { ensure } from "./errors.ts";
import { Lineages } from "./lineages.ts";
import { type OpenManifest, openManifest } from "./manifest.ts";
import { Tree, leafHash } from "./merkle.ts";
import { checkpointBody, checkpointHash } from "./note.ts";
import { voidMessage } from "./receipts.ts";
import { requireSignature } from "./signing.ts";

type Phase = "empty" | "open" | "closed" | "done";
const CLOSED = { intent: "closed", share: "closed", casting: "closed", tally: "done" } as const;
const ORDER: Readonly<Record<Phase, Partial<Record<Entry["type"], Phase>>>> = {
  empty: { opening: "open" },
  open: { ballot: "open", replacement: "open", void: "open", closing: "closed" },
  closed: CLOSED,
  done: {},
};

/** The closed board: what the closing entry says, and the tree that ends with it. */
export interface Closed extends Closing {
  size: number;
  root: Bytes;
  /** checkpoint_hash of the closing checkpoint. */
  hash: Bytes;
}

/** The entry with the ballot that it replaces in the count, if any. */
export interface Added {
  entry: Entry;
  replaced: ReadBallot | null;
}

/**
 * Closing comes after the grace, and not before the set time, unless everybody has voted in a once-only vote.
 * @throws VotingError `voting.too-early`
 */
export function requireDue(manifest: OpenManifest, { cast, ended, at }: Omit<Closing, "type">): void {
  const allVoted = cast === manifest.electorateSize && manifest.votingAgain === "once";
  const due = at >= ended + manifest.graceS && ended >= manifest.closesAt;
  ensure(due || allVoted, "voting.too-early", "The vote was closed before its time and its grace were over.");
}

/** What else a page asks of the closing entry's times. @throws VotingError `voting.too-early`, `voting.board-differs` */
export function requireClosingTimes(manifest: OpenManifest, closing: Closing): void {
  const { ended, at } = closing;
  const inside = manifest.openedAt <= ended && ended <= at && at <= manifest.timeLimit;
  ensure(inside, "voting.board-differs", "The vote was closed outside its time.");
  requireDue(manifest, closing);
}

/** Signatures and proofs of ballots are checked elsewhere, in batches; everything else is checked here. */
export class Board {
  readonly manifest: OpenManifest;
  readonly lineages: Lineages;
  readonly leaves: Bytes[] = [];
  readonly intents = new Map<number, Intent>();
  readonly shares = new Map<number, Share>();
  readonly castings = new Map<number, Casting>();
  closing: Closed | null = null;
  tallyHash: string | null = null;
  private readonly tree = new Tree();
  private readonly seenPoints = new Set<string>();
  private readonly counted = new Map<string, ReadBallot>();
  private phase: Phase = "empty";

  /** @throws VotingError when the list of voters is not the manifest's */
  constructor(manifest: OpenManifest, voters: readonly Elector[]) {
    this.manifest = manifest;
    this.lineages = new Lineages(manifest, electorate(manifest, voters));
  }

  get size(): number {
    return this.tree.size;
  }

  get ballots(): number {
    return this.lineages.ballots;
  }

  /** Lineages that have voted. */
  get cast(): number {
    return this.lineages.cast;
  }

  root(): Bytes {
    return this.tree.root();
  }

  /** Appends one entry. @throws VotingError; a board that refused an entry is not used any more */
  add(source: EntrySource): Added {
    const bytes = entryBytes(source);
    const entry = readEntry(parseCanonical(bytes));
    const next = ORDER[this.phase][entry.type];
    ensure(next !== undefined, "voting.board-order", `The board has an entry "${entry.type}" where none may be.`);
    const leaf = leafHash(bytes);
    const replaced = this.accept(entry, leaf);
    this.tree.append(leaf);
    this.leaves.push(leaf);
    this.phase = next;
    if (entry.type === "closing") {
      const { origin } = this.manifest.board;
      const [size, root] = [this.size, this.root()];
      this.closing = { ...entry, size, root, hash: checkpointHash(checkpointBody({ origin, size, root })) };
    }
    return { entry, replaced };
  }

  private accept(entry: Entry, leaf: Bytes): ReadBallot | null {
    switch (entry.type) {
      case "opening":
        ensure(openManifest(entry.manifest).id === this.manifest.id, "voting.board-differs", "The board belongs to another vote.");
        return null;
      case "ballot":
        return this.acceptBallot(entry.ballot, leaf);
      case "replacement":
        this.lineages.replace(entry);
        return null;
      case "void":
        this.acceptVoid(entry);
        return null;
      case "closing": {
        const agrees = entry.cast === this.cast && entry.ballots === this.ballots;
        ensure(agrees, "voting.board-differs", "The closing entry counts other ballots than the board holds.");
        requireClosingTimes(this.manifest, entry);
        return null;
      }
      case "intent":
        this.acceptIntent(entry);
        return null;
      case "share":
        this.acceptShare(entry);
        return null;
      case "casting":
        this.acceptCasting(entry);
        return null;
      case "tally":
        this.tallyHash = entry.hash;
        return null;
    }
  }

  private acceptBallot(ballot: ReadBallot, leaf: Bytes): ReadBallot | null {
    requireLengths(this.manifest, ballot);
    const { layouts, secret } = this.manifest;
    const points = secret ? layouts.flatMap((layout, q) => pointBytes(layout, ballot.choices[q] ?? new Uint8Array()).map(b64u)) : [];
    ensure(!points.some((point) => this.seenPoints.has(point)), "voting.ballot-point-repeated", "A ballot on the board copies a part of another.");
    this.lineages.requireNotVoid(ballot);
    const { first } = this.lineages.vote(ballot, b64u(leaf));
    for (const point of points) this.seenPoints.add(point);
    if (this.manifest.votingAgain === "once") return null;
    const replaced = this.counted.get(first) ?? null;
    this.counted.set(first, ballot);
    return replaced;
  }

  private acceptVoid(entry: Void): void {
    this.lineages.current(entry.credential);
    requireSignature(fromB64u(entry.credential), voidMessage(this.manifest.hash, fromB64u(entry.sealed)), entry.sig, "an audited vote");
    this.lineages.countVoid(entry);
    this.lineages.void(entry);
  }

  private signKey(trustee: number): Bytes {
    const key = this.manifest.trustees.signKeys[trustee - 1];
    ensure(key !== undefined, "voting.share", `There is no teller number ${trustee}.`);
    return fromB64u(key);
  }

  private acceptIntent(intent: Intent): void {
    ensure(!this.intents.has(intent.trustee), "voting.second-aggregate", "A teller announced a count twice.");
    ensure(intent.manifest === this.manifest.id, "voting.share", "A teller announced a count for another vote.");
    const message = intentMessage(this.manifest.hash, fromB64u(intent.closing), fromB64u(intent.aggregate), intent.trustee);
    requireSignature(this.signKey(intent.trustee), message, intent.sig, "a teller's announcement");
    this.intents.set(intent.trustee, intent);
  }

  private acceptShare(share: Share): void {
    const intent = this.intents.get(share.trustee);
    ensure(intent !== undefined && !this.shares.has(share.trustee), "voting.board-order", "A teller's share comes without announcement or twice.");
    ensure(share.manifest === this.manifest.id && share.aggregate === intent.aggregate, "voting.share", "A teller's share is for another count.");
    const message = shareMessage(this.manifest.hash, fromB64u(share.aggregate), share.trustee, share.partsJson);
    requireSignature(this.signKey(share.trustee), message, share.sig, "a teller's share");
    this.shares.set(share.trustee, share);
  }

  private acceptCasting(casting: Casting): void {
    ensure(!this.castings.has(casting.question), "voting.board-order", "The chair decided a tie twice.");
    const chair = this.manifest.cosigners.find(({ name }) => name === "chair")?.key ?? "";
    const message = castingMessage(this.manifest.hash, this.closing?.hash ?? new Uint8Array(), casting.question, casting.options);
    requireSignature(fromB64u(chair), message, casting.sig, "the chair's casting vote");
    this.castings.set(casting.question, casting);
  }
}
