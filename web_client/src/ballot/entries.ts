/** Section 6: the entries of an election's board, each read strictly. */
import { type ReadBallot, readBallot } from "./ballot.ts";
import { type Bytes, H, type Json, type JsonObject, jcs, u32, utf8 } from "./encoding.ts";
import { VotingError, ensure } from "./errors.ts";
import { Fields } from "./strict.ts";

const MAX_COUNT = Number.MAX_SAFE_INTEGER;

/** One cell's part of a trustee's share. */
export interface Part {
  d: Bytes;
  u: Bytes;
  w: Bytes;
  z: Bytes;
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

export interface Closing {
  type: "closing";
  ballots: number;
  cast: number;
  ended: number;
  at: number;
}

export interface Replacement {
  type: "replacement";
  old: string;
  new: string;
  kiosk: boolean;
  statement: string;
}

export interface Void {
  type: "void";
  credential: string;
  sealed: string;
  sig: Bytes;
}

/** The chair's casting vote on one tied question. */
export interface Casting {
  type: "casting";
  question: number;
  options: number[];
  sig: Bytes;
}

export type Entry =
  | { type: "opening"; manifest: JsonObject }
  | { type: "ballot"; ballot: ReadBallot }
  | Replacement
  | Void
  | Closing
  | Intent
  | Share
  | Casting
  | { type: "tally"; hash: string };

function readPart(value: Json): Part {
  const f = new Fields(value, "A part of a share", ["d", "u", "w", "z"]);
  return { d: f.bytes("d", 32), u: f.bytes("u", 32), w: f.bytes("w", 32), z: f.bytes("z", 32) };
}

function readParts(value: Json | undefined): Part[][] {
  ensure(Array.isArray(value) && value.length <= 8, "voting.encoding", "A share's parts are a list.");
  return value.map((question) => {
    ensure(Array.isArray(question) && question.length <= 128, "voting.encoding", "A share's parts are a list for each question.");
    return question.map(readPart);
  });
}

function readShare(value: Json): Share {
  const f = new Fields(value, "A share", ["type", "trustee", "manifest", "aggregate", "parts", "sig"]);
  const partsJson = f.raw("parts") ?? [];
  return {
    type: "share", trustee: f.int("trustee", 1, 9), manifest: f.b64("manifest", 32), aggregate: f.b64("aggregate", 32),
    parts: readParts(partsJson), partsJson, sig: f.bytes("sig", 64),
  };
}

function readCasting(value: Json): Casting {
  const f = new Fields(value, "A casting vote", ["type", "question", "options", "sig"]);
  const options = f.list("options", 0, 32).map((option) => {
    ensure(typeof option === "number" && Number.isInteger(option) && option >= 0, "voting.encoding", "A casting vote names options.");
    return option;
  });
  return { type: "casting", question: f.int("question", 0, 7), options, sig: f.bytes("sig", 64) };
}

const READERS: { [K in Entry["type"]]: (value: Json) => Extract<Entry, { type: K }> } = {
  opening: (value) => {
    const manifest = new Fields(value, "The opening", ["type", "manifest"]).raw("manifest");
    ensure(typeof manifest === "object" && !Array.isArray(manifest), "voting.encoding", "The opening holds a manifest.");
    return { type: "opening", manifest };
  },
  ballot: (value) => ({ type: "ballot", ballot: readBallot(new Fields(value, "A ballot entry", ["type", "ballot"]).raw("ballot")) }),
  replacement: (value) => {
    const f = new Fields(value, "A replacement", ["type", "old", "new", "kiosk", "statement"]);
    return { type: "replacement", old: f.b64("old", 32), new: f.b64("new", 32), kiosk: f.flag("kiosk"), statement: f.b64("statement", 32) };
  },
  void: (value) => {
    const f = new Fields(value, "A void", ["type", "credential", "sealed", "sig"]);
    return { type: "void", credential: f.b64("credential", 32), sealed: f.b64("sealed", 32), sig: f.bytes("sig", 64) };
  },
  closing: (value) => {
    const f = new Fields(value, "The closing", ["type", "ballots", "cast", "ended", "at"]);
    const count = (name: "ballots" | "cast" | "ended" | "at"): number => f.int(name, 0, MAX_COUNT);
    return { type: "closing", ballots: count("ballots"), cast: count("cast"), ended: count("ended"), at: count("at") };
  },
  intent: (value) => {
    const f = new Fields(value, "An intent", ["type", "trustee", "manifest", "closing", "aggregate", "sig"]);
    return {
      type: "intent", trustee: f.int("trustee", 1, 9), manifest: f.b64("manifest", 32), closing: f.b64("closing", 32),
      aggregate: f.b64("aggregate", 32), sig: f.bytes("sig", 64),
    };
  },
  share: readShare,
  casting: readCasting,
  tally: (value) => ({ type: "tally", hash: new Fields(value, "The tally entry", ["type", "hash"]).b64("hash", 32) }),
};

/** Reads one entry strictly, whatever its place. @throws VotingError `voting.encoding` */
export function readEntry(value: Json): Entry {
  ensure(typeof value === "object" && !Array.isArray(value), "voting.encoding", "A board entry is an object.");
  const type = value["type"];
  if (typeof type !== "string" || !Object.hasOwn(READERS, type)) throw new VotingError("voting.encoding", "A board entry has an unknown type.");
  return READERS[type as Entry["type"]](value);
}

/** A board entry as it arrives: canonical bytes, the same as text, or the parsed object. */
export type EntrySource = Bytes | string | JsonObject;

export function entryBytes(source: EntrySource): Bytes {
  if (source instanceof Uint8Array) return source;
  return typeof source === "string" ? utf8(source) : jcs(source);
}

export const intentMessage = (manifestHash: Bytes, closing: Bytes, aggregate: Bytes, trustee: number): Bytes =>
  H("fm1/intent", manifestHash, closing, aggregate, u32(trustee));

export const shareMessage = (manifestHash: Bytes, aggregate: Bytes, trustee: number, parts: Json): Bytes =>
  H("fm1/share", manifestHash, aggregate, u32(trustee), jcs(parts));

export const castingMessage = (manifestHash: Bytes, closing: Bytes, question: number, options: readonly number[]): Bytes =>
  H("fm1/casting", manifestHash, closing, u32(question), jcs([...options]));

/** How the tally names a share that was refused as evidence. */
export const rejectedHash = (entry: Json): Bytes => H("fm1/rejected", jcs(entry));
