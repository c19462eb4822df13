/** From the bytes of bundle.zip and annex.zip to their files, parsed: V01 and what comes before it. */
import type { Bytes } from "../ballot/encoding.ts";
import {
  type Annex, type BoardEntry, type Info, type KeygenFile, type Ledger, MAX_NOTE, type RollStatement, type Tally, annex, boardEntry, info, keygen,
  ledger, rollStatement, tally,
} from "./formats.ts";
import type { Work } from "./work.ts";
import { Malformed, Unreadable } from "./report.ts";
import { decodeText, parseJson } from "./shapes.ts";
import { type Files, unpack } from "./zip.ts";

const MAX_LINE = 256 * 1024;
const MAX_README = 64 * 1024;
const LINE_FEED = 0x0a;
const TOP = ["README.txt", "bundle.json", "keygen.json", "ledger.json", "roll.json"];
const OF_ELECTION = ["board.jsonl", "closing.txt", "final.txt", "opening.txt", "tally.json"];

export interface BoardLine {
  /** The bytes of the entry, which are its leaf data. */
  bytes: Bytes;
  entry: BoardEntry;
}

export interface ElectionFiles {
  id: string;
  board: BoardLine[];
  opening: string;
  closing: string;
  final: string;
  tally: Tally;
}

export interface BundleFiles {
  info: Info;
  roll: RollStatement;
  keygen: KeygenFile;
  ledger: Ledger;
  elections: ElectionFiles[];
}

function file(files: Files, name: string): Bytes {
  const found = files.get(name);
  if (found === undefined) throw new Unreadable(`${name} is missing`);
  return found;
}

function textFile(files: Files, name: string, most: number): string {
  const bytes = file(files, name);
  if (bytes.length > most) throw new Malformed(`${name}: too long`);
  return decodeText(bytes, name);
}

function linesOf(name: string, bytes: Bytes): Bytes[] {
  const lines: Bytes[] = [];
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(LINE_FEED, start);
    if ((end === -1 ? bytes.length : end) - start > MAX_LINE) throw new Unreadable(`${name}: a line is longer than 256 KiB`);
    if (end === -1) break;
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  if (start !== bytes.length) throw new Malformed(`${name}: the last line does not end`);
  return lines;
}

async function readElection(files: Files, id: string, work: Work): Promise<ElectionFiles> {
  const folder = `elections/${id}/`;
  const name = `${folder}board.jsonl`;
  const board: BoardLine[] = [];
  for (const [i, bytes] of linesOf(name, file(files, name)).entries()) {
    board.push({ bytes, entry: parseJson(bytes, boardEntry, `${name} line ${i + 1}`) });
    await work.pause();
  }
  const note = (which: string): string => textFile(files, `${folder}${which}.txt`, MAX_NOTE);
  return {
    id, board, opening: note("opening"), closing: note("closing"), final: note("final"),
    tally: parseJson(file(files, `${folder}tally.json`), tally, `${folder}tally.json`),
  };
}

/** @throws Unreadable for exit 2, Malformed for V01. */
export async function readBundle(raw: Bytes, work: Work): Promise<BundleFiles> {
  const files = await unpack(raw);
  for (const name of TOP) file(files, name);
  const about = parseJson(file(files, "bundle.json"), info, "bundle.json");
  const names = about.elections.flatMap((id) => OF_ELECTION.map((name) => `elections/${id}/${name}`));
  for (const name of names) file(files, name);
  if (new Set(about.elections).size !== about.elections.length) throw new Malformed("bundle.json: an election is listed twice");
  const known = new Set([...TOP, ...names]);
  const surplus = [...files.keys()].find((name) => !known.has(name));
  if (surplus !== undefined) throw new Malformed(`surplus file ${JSON.stringify(surplus.slice(0, 100))}`);
  textFile(files, "README.txt", MAX_README);
  const bundle: BundleFiles = {
    info: about,
    roll: parseJson(file(files, "roll.json"), rollStatement, "roll.json"),
    keygen: parseJson(file(files, "keygen.json"), keygen, "keygen.json"),
    ledger: parseJson(file(files, "ledger.json"), ledger, "ledger.json"),
    elections: [],
  };
  for (const id of about.elections) bundle.elections.push(await readElection(files, id, work));
  return bundle;
}

/** @throws Unreadable for exit 2, Malformed for V01. */
export async function readAnnex(raw: Bytes): Promise<Annex> {
  const files = await unpack(raw);
  const bytes = file(files, "annex.json");
  if (files.size !== 1) throw new Malformed("surplus file in the annex");
  return parseJson(bytes, annex, "annex.json");
}
