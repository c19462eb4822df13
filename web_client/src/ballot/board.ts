/** Sections 6 and 7: the entries of an election's board, read strictly and in order. */
import { type ReadBallot, pointBytes, readBallot, requireLengths, requireNative } from "./ballot.ts";
import { type Bytes, H, type Json, type JsonObject, b64u, crockford, decodeScalar, fromB64u, jcs, parseCanonical, same, u32, u64, utf8 } from "./encoding.ts";
import { VotingError, ensure } from "./errors.ts";
import { type Elector, type OpenManifest, electorate, openManifest } from "./manifest.ts";
import { Tree, leafHash } from "./merkle.ts";
import { requireSignature, verifySignature } from "./signing.ts";
import { Fields } from "./strict.ts";

const MAX_COUNT = Number.MAX_SAFE_INTEGER;

/** One option's part of a trustee's share. */
export interface Part {
  d: Bytes;
  u: Bytes;
  w: Bytes;
  z: bigint;
}

export interface Intent {
  type: "intent";
  trustee: number;
  manifest: string;
  closing: string;
  aggregate: string;
  sig: Bytes;
}

export interface Share {
  type: "share";
  trustee: number;
  manifest: string;
  aggregate: string;
  parts: Part[][];
  partsJson: Json;
  sig: Bytes;
}

export type Entry =
  | { type: "opening"; manifest: JsonObject }
  | { type: "ballot"; ballot: ReadBallot }
  | { type: "closing"; cast: number; at: number }
  | Intent
  | Share
  | { type: "tally"; hash: string };

const TYPES = ["opening", "ballot", "closing", "intent", "share", "tally"] as const;

function readPart(value: Json): Part {
  const f = new Fields(value, "A part of a share", ["d", "u", "w", "z"]);
  return { d: f.bytes("d", 32), u: f.bytes("u", 32), w: f.bytes("w", 32), z: decodeScalar(f.bytes("z", 32)) };
}

function readParts(value: Json | undefined): Part[][] {
  ensure(Array.isArray(value) && value.length <= 8, "voting.encoding", "A share's parts are a list.");
  return value.map((question) => {
    ensure(Array.isArray(question) && question.length <= 32, "voting.encoding", "A share's parts are a list for each question.");
    return question.map(readPart);
  });
}

function readIntent(value: Json): Intent {
  const f = new Fields(value, "An intent", ["type", "trustee", "manifest", "closing", "aggregate", "sig"]);
  return {
    type: "intent", trustee: f.int("trustee", 1, 9), manifest: f.b64("manifest", 32), closing: f.b64("closing", 32),
    aggregate: f.b64("aggregate", 32), sig: f.bytes("sig", 64),
  };
}

function readShare(value: Json): Share {
  const f = new Fields(value, "A share", ["type", "trustee", "manifest", "aggregate", "parts", "sig"]);
  const partsJson = f.raw("parts") ?? [];
  return {
    type: "share", trustee: f.int("trustee", 1, 9), manifest: f.b64("manifest", 32), aggregate: f.b64("aggregate", 32),
    parts: readParts(partsJson), partsJson, sig: f.bytes("sig", 64),
  };
}

/** Reads one entry strictly, whatever its place. @throws VotingError `voting.encoding` */
export function readEntry(value: Json): Entry {
  ensure(typeof value === "object" && !Array.isArray(value), "voting.encoding", "A board entry is an object.");
  const type = TYPES.find((name) => name === value["type"]);
  switch (type) {
    case "opening": {
      const manifest = new Fields(value, "The opening", ["type", "manifest"]).raw("manifest");
      ensure(typeof manifest === "object" && !Array.isArray(manifest), "voting.encoding", "The opening holds a manifest.");
      return { type, manifest };
    }
    case "ballot":
      return { type, ballot: readBallot(new Fields(value, "A ballot entry", ["type", "ballot"]).raw("ballot")) };
    case "closing": {
      const f = new Fields(value, "The closing", ["type", "cast", "at"]);
      return { type, cast: f.int("cast", 0, MAX_COUNT), at: f.int("at", 0, MAX_COUNT) };
    }
    case "intent":
      return readIntent(value);
    case "share":
      return readShare(value);
    case "tally":
      return { type, hash: new Fields(value, "The tally entry", ["type", "hash"]).b64("hash", 32) };
    case undefined:
      throw new VotingError("voting.encoding", "A board entry has an unknown type.");
  }
}

/** A board entry as it arrives: canonical bytes, the same as text, or the parsed object. */
export type EntrySource = Bytes | string | JsonObject;

export function entryBytes(source: EntrySource): Bytes {
  if (source instanceof Uint8Array) return source;
  return typeof source === "string" ? utf8(source) : jcs(source);
}

/** The leaf hash of the board entry that holds this ballot. */
export const ballotLeaf = (ballot: JsonObject): Bytes => leafHash(jcs({ type: "ballot", ballot }));

/** 20 Crockford characters in groups of five: what the voter notes down. */
export const tracker = (leaf: Bytes): string => crockford(leaf, 20, 5);

export const intentMessage = (manifestHash: Bytes, closing: Bytes, aggregate: Bytes, trustee: number): Bytes =>
  H("fm1/intent", manifestHash, closing, aggregate, u32(trustee));

export const shareMessage = (manifestHash: Bytes, aggregate: Bytes, trustee: number, parts: Json): Bytes =>
  H("fm1/share", manifestHash, aggregate, u32(trustee), jcs(parts));

/**
 * An acceptance promise for this leaf.
 * @throws VotingError `voting.promise` when it names something else or the board did not sign it.
 */
export function readPromise(manifest: OpenManifest, leaf: Bytes, value: Json): { publishBy: number } {
  const f = new Fields(value, "The promise", ["manifest", "leaf", "publish_by", "sig"]);
  const publishBy = f.int("publish_by", 0, MAX_COUNT);
  ensure(f.b64("manifest", 32) === manifest.id && same(f.bytes("leaf", 32), leaf), "voting.promise", "The promise is for another ballot.");
  const message = H("fm1/promise", manifest.hash, leaf, u64(publishBy));
  const signed = verifySignature(fromB64u(manifest.board.key), message, f.bytes("sig", 64));
  ensure(signed, "voting.promise", "The promise is not signed by the server of this vote.");
  return { publishBy };
}

export interface Closing {
  cast: number;
  at: number;
  /** Size of the board up to and with the closing entry. */
  size: number;
  root: Bytes;
}

type Phase = "empty" | "open" | "closed" | "counted";

/** Which entries may follow in which phase, and the phase they lead to. */
const ORDER: Readonly<Record<Phase, Partial<Record<Entry["type"], Phase>>>> = {
  empty: { opening: "open" },
  open: { ballot: "open", closing: "closed" },
  closed: { intent: "closed", share: "closed", tally: "counted" },
  counted: {},
};

/**
 * A fold over one board: order, structure, duplicates, and trustees' signatures. Ballots' signatures and
 * proofs are left to `verify.ts`, because they are worth a worker.
 */
export class Board {
  readonly manifest: OpenManifest;
  readonly intents = new Map<number, Intent>();
  readonly shares = new Map<number, Share>();
  readonly leaves: Bytes[] = [];
  closing: Closing | null = null;
  tallyHash: string | null = null;
  cast = 0;
  private phase: Phase = "empty";
  private readonly tree = new Tree();
  private readonly voters: ReadonlySet<string> | null;
  private readonly credentials = new Set<string>();
  private readonly seenPoints = new Set<string>();

  /** With the list of voters, ballots of others are refused. @throws VotingError `voting.manifest` when it is another list */
  constructor(manifest: OpenManifest, voters: readonly Elector[] | null = null) {
    this.manifest = manifest;
    this.voters = voters === null ? null : electorate(manifest, voters);
  }

  get size(): number {
    return this.tree.size;
  }

  root(): Bytes {
    return this.tree.root();
  }

  /** Appends one entry; a refused entry leaves the board as it was. @throws VotingError */
  add(source: EntrySource): Entry {
    const bytes = entryBytes(source);
    const entry = readEntry(parseCanonical(bytes));
    const next = ORDER[this.phase][entry.type];
    ensure(next !== undefined, "voting.board-order", `The board has an entry "${entry.type}" where none may be.`);
    this.accept(entry);
    const leaf = leafHash(bytes);
    this.tree.append(leaf);
    this.leaves.push(leaf);
    this.phase = next;
    if (entry.type === "closing") this.closing = { cast: entry.cast, at: entry.at, size: this.size, root: this.root() };
    return entry;
  }

  private accept(entry: Entry): void {
    switch (entry.type) {
      case "opening":
        ensure(openManifest(entry.manifest).id === this.manifest.id, "voting.board-differs", "The board belongs to another vote.");
        return;
      case "ballot":
        this.acceptBallot(entry.ballot);
        return;
      case "closing":
        ensure(entry.cast === this.cast, "voting.board-differs", "The closing entry counts other ballots than the board holds.");
        ensure(entry.at >= this.manifest.openedAt && entry.at <= this.manifest.timeLimit, "voting.board-differs", "The vote was closed outside its time.");
        return;
      case "intent":
        this.acceptIntent(entry);
        return;
      case "share":
        this.acceptShare(entry);
        return;
      case "tally":
        this.tallyHash = entry.hash;
    }
  }

  private acceptBallot(ballot: ReadBallot): void {
    requireNative(this.manifest, ballot);
    requireLengths(this.manifest, ballot);
    const credential = b64u(ballot.credential);
    ensure(this.voters?.has(credential) !== false, "voting.ballot-not-elector", "A ballot on the board is not of anybody in the list of voters.");
    ensure(!this.credentials.has(credential), "voting.ballot-already-cast", "One voting key has two ballots on the board.");
    ensure(this.cast < this.manifest.electorateSize, "voting.board-differs", "The board holds more ballots than there are voters.");
    const points = ballot.choices.flatMap(pointBytes).map(b64u);
    ensure(!points.some((point) => this.seenPoints.has(point)), "voting.ballot-point-repeated", "A ballot on the board copies a part of another.");
    this.credentials.add(credential);
    for (const point of points) this.seenPoints.add(point);
    this.cast += 1;
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
}
