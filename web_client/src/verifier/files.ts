/** From bundle.zip and annex.zip to their files, parsed: V01 and what comes before it. Ballots are looked at and let go again. */
import { type Bytes, b64u, fromUtf8 } from "../ballot/encoding.ts";
import { Tree, leafHash } from "../ballot/merkle.ts";
import {
  type Annex, type BoardEntry, type Checkin, type Destroyed, type ElectorForm, type EntryOf, type Info, type KeygenFile, type Ledger, type LogEvent, MAX_NOTE, type Mark, type RollEntry, type RollStatement,
  type ShareForm, type Tally, annex, boardEntry, destroyed, electorate, info, keygen, ledger, logEvent, logStart, marks, rejectedShare, rollStatement, tally,
} from "./formats.ts";
import { readAgain, readObject } from "./long_json.ts";
import { Malformed } from "./report.ts";
import { type Shape, decodeText, parseJson } from "./shapes.ts";
import type { Work } from "./work.ts";
import { Archive } from "./zip.ts";

export const MAX_LINE = 256 * 1024;
const MAX_README = 64 * 1024;
const MAX_REJECTED = 100;
const TOP = ["README.txt", "bundle.json", "destroyed.json", "keygen.json", "ledger.json", "roll.json"];
/** Not in a record of a server that kept no attendance log. */
const MARKS = "attendance.json";
const LOG = "attendance.jsonl";
const OF_ELECTION = ["board.jsonl", "closing.txt", "electorate.json", "final.txt", "opening.txt", "rejected.jsonl", "tally.json"];

type Phase = "empty" | "open" | "closed" | "done";
const CLOSED = { intent: "closed", share: "closed", casting: "closed", tally: "done" } as const;
const NEXT: Readonly<Record<Phase, Partial<Record<BoardEntry["type"], Phase>>>> = {
  empty: { opening: "open" },
  open: { ballot: "open", replacement: "open", void: "open", closing: "closed" },
  closed: CLOSED,
  done: {},
};

/** Entries other than ballots and the opening, which are kept. */
export type KeptEntry = Exclude<BoardEntry, { type: "ballot" } | { type: "opening" }>;

/** What one reading of a board leaves behind. */
export class BoardSummary {
  opening: EntryOf<"opening"> | null = null;
  readonly kept: KeptEntry[] = [];
  ballots = 0;
  size = 0;
  /** Sizes that end with the opening and with the closing entry, 0 without one. */
  closingSize = 0;
  /** Roots at sizes 1 and closingSize, and at the end. */
  readonly roots = new Map<number, Bytes>();
  /** Where the entries leave the order of section 6, or null. */
  disorder: string | null = null;
  private readonly tree = new Tree();
  private phase: Phase = "empty";

  add(entry: BoardEntry, bytes: Bytes): void {
    this.tree.append(leafHash(bytes));
    const next: Phase | undefined = NEXT[this.phase][entry.type];
    if (next === undefined) this.disorder ??= `entry ${this.size}: ${entry.type} may not stand here`;
    else this.phase = next;
    this.size += 1;
    if (entry.type === "closing" && this.closingSize === 0) this.closingSize = this.size;
    if (this.size === 1 || this.closingSize === this.size) this.roots.set(this.size, this.tree.root());
    if (entry.type === "ballot") this.ballots += 1;
    else if (entry.type === "opening") this.opening ??= entry;
    else this.kept.push(entry);
  }

  end(): void {
    this.roots.set(this.size, this.tree.root());
    if (this.phase !== "done") this.disorder ??= "the board does not end with a tally";
  }

  entries<K extends KeptEntry["type"]>(type: K): Extract<KeptEntry, { type: K }>[] {
    return this.kept.filter((entry): entry is Extract<KeptEntry, { type: K }> => entry.type === type);
  }
}

export interface ElectionFiles {
  id: string;
  board: BoardSummary;
  /** The lines of the board, read again. */
  lines: () => AsyncGenerator<{ line: Bytes }, void, undefined>;
  rejected: ShareForm[];
  electorate: ElectorForm[];
  opening: string;
  closing: string;
  final: string;
  tally: Tally;
}

export interface BundleFiles {
  info: Info;
  roll: RollStatement;
  keygen: KeygenFile;
  destroyed: Destroyed;
  ledger: Ledger;
  elections: ElectionFiles[];
  /** What votes say of the attendance log, in the ledger's order, and of which meeting; null without a log. */
  attendance: { meeting: string; marks: Mark[] } | null;
}

async function textFile(files: Archive, name: string, most: number): Promise<string> {
  const bytes = await files.read(name);
  if (bytes.length > most) throw new Malformed(`${name}: too long`);
  return decodeText(bytes, name);
}

const jsonFile = async <T>(files: Archive, name: string, shape: Shape<T>): Promise<T> => parseJson(await files.read(name), shape, name);

async function readBoard(files: Archive, name: string, ballots: number, work: Work): Promise<BoardSummary> {
  const board = new BoardSummary();
  let failure: Malformed | null = null;
  // Read to its end even when a line is malformed: a damaged zip says more than a malformed line.
  for await (const { line, ended } of files.lines(name, MAX_LINE)) {
    if (failure !== null) continue;
    try {
      if (!ended) throw new Malformed(`${name}: the last line does not end`);
      board.add(parseJson(line, boardEntry, `${name} line ${board.size + 1}`), line);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      failure = error;
    }
    if (board.ballots > 0) work.progress(board.ballots, ballots);
    await work.pause();
  }
  if (failure !== null) throw failure;
  board.end();
  return board;
}

async function readRejected(files: Archive, name: string): Promise<ShareForm[]> {
  const shares: ShareForm[] = [];
  for await (const { line, ended } of files.lines(name, MAX_LINE)) {
    if (!ended) throw new Malformed(`${name}: the last line does not end`);
    if (shares.length === MAX_REJECTED) throw new Malformed(`${name}: more than 100 lines`);
    shares.push(parseJson(line, rejectedShare, `${name} line ${shares.length + 1}`));
  }
  return shares;
}

async function readElection(files: Archive, id: string, work: Work): Promise<ElectionFiles> {
  const folder = `elections/${id}/`;
  const result = await jsonFile(files, `${folder}tally.json`, tally);
  const note = (which: string): Promise<string> => textFile(files, `${folder}${which}.txt`, MAX_NOTE);
  return {
    id,
    tally: result,
    opening: await note("opening"),
    closing: await note("closing"),
    final: await note("final"),
    electorate: await jsonFile(files, `${folder}electorate.json`, electorate),
    rejected: await readRejected(files, `${folder}rejected.jsonl`),
    board: await readBoard(files, `${folder}board.jsonl`, result.core.ballots, work),
    lines: () => files.lines(`${folder}board.jsonl`, MAX_LINE),
  };
}

/** @throws Unreadable for exit 2, Malformed for V01. */
export async function readBundle(files: Archive, work: Work): Promise<BundleFiles> {
  for (const name of TOP) files.require(name);
  const about = await jsonFile(files, "bundle.json", info);
  const names = about.elections.flatMap((id) => OF_ELECTION.map((name) => `elections/${id}/${name}`));
  for (const name of names) files.require(name);
  if (new Set(about.elections).size !== about.elections.length) throw new Malformed("bundle.json: an election is listed twice");
  const known = new Set([...TOP, MARKS, ...names]);
  const surplus = files.names.find((name) => !known.has(name));
  if (surplus !== undefined) throw new Malformed(`surplus file ${JSON.stringify(surplus.slice(0, 100))}`);
  await textFile(files, "README.txt", MAX_README);
  const bundle: BundleFiles = {
    info: about,
    roll: await jsonFile(files, "roll.json", rollStatement),
    keygen: await jsonFile(files, "keygen.json", keygen),
    destroyed: await jsonFile(files, "destroyed.json", destroyed),
    ledger: await jsonFile(files, "ledger.json", ledger),
    attendance: files.names.includes(MARKS) ? await jsonFile(files, MARKS, marks) : null,
    elections: [],
  };
  for (const id of about.elections) bundle.elections.push(await readElection(files, id, work));
  return bundle;
}

/** @throws Unreadable for exit 2, Malformed for V01. */
export async function readAnnex(files: Archive, work: Work): Promise<Annex> {
  const file = "annex.json";
  files.require(file);
  if (files.names.some((name) => name !== file && name !== LOG)) throw new Malformed("surplus file in the annex");
  const tree = new Tree();
  const found: Annex = {
    meeting: "", keepUntil: 0, roll: [], rollRoot: "", checkins: [], checkpoints: new Set(), replacements: [], exclusions: [], trustees: [], cosigners: [],
    brokenAttempts: 0, log: null, again: () => checkinsOf(files, file),
  };
  for await (const entry of readObject(files.stream(file), annex, file)) {
    await work.pause();
    const [name, value, bytes] = entry;
    if (name === "meeting") found.meeting = value;
    else if (name === "keep_until") found.keepUntil = value;
    else if (name === "roll") {
      tree.append(leafHash(bytes));
      found.roll.push(kept(value));
    } else if (name === "checkins") {
      const { member, credential, elections, checkpoint } = value;
      found.checkins.push({ member, credential, elections });
      found.checkpoints.add(checkpoint);
    } else if (name === "replacements") found.replacements.push(value);
    else if (name === "exclusions") found.exclusions.push(value);
    else if (name === "trustees") found.trustees.push(value);
    else if (name === "cosigners") found.cosigners.push(value);
    else if (name === "attempts") found.brokenAttempts += 1;
  }
  if (files.names.includes(LOG)) found.log = await readLog(files, work);
  return { ...found, rollRoot: b64u(tree.root()) };
}

/** Checks the form of every line. @throws Unreadable, Malformed */
async function readLog(files: Archive, work: Work): Promise<NonNullable<Annex["log"]>> {
  let number = 0;
  let start: NonNullable<Annex["log"]>["start"] | null = null;
  for await (const { line, ended } of files.lines(LOG, MAX_LINE)) {
    const place = `${LOG} line ${++number}`;
    if (!ended) throw new Malformed(`${LOG}: the last line does not end`);
    if (start === null) start = parseJson(line, logStart, place);
    else parseJson(line, logEvent, place);
    await work.pause();
  }
  if (start === null) throw new Malformed(`${LOG}: empty`);
  return { start, lines: () => eventsOf(files) };
}

async function* eventsOf(files: Archive): AsyncGenerator<{ line: Bytes; event: LogEvent }, void, undefined> {
  let first = true;
  for await (const { line } of files.lines(LOG, MAX_LINE)) {
    if (!first) yield { line, event: JSON.parse(fromUtf8(line)) as LogEvent };
    first = false;
  }
}

/** The same object for the many entries without an exception. */
const NO_EXCEPTION: RollEntry["exception"] = { kind: "none", method: "", officers: [] };

function kept({ member, name, weight, passkeys, exception }: RollEntry): RollEntry {
  const { kind, method, officers } = exception;
  const plain = kind === "none" && method === "" && officers.length === 0;
  return { member, name, weight, passkeys, exception: plain ? NO_EXCEPTION : exception };
}

async function* checkinsOf(files: Archive, file: string): AsyncGenerator<Checkin, void, undefined> {
  for await (const bytes of readAgain(files.stream(file), annex, "checkins", file)) yield JSON.parse(fromUtf8(bytes)) as Checkin;
}
