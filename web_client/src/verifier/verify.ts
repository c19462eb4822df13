/** The offline verifier: every check of section 10 over a bundle and, for auditors, its annex. */
import type { Rng } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import { systemRng } from "../ballot/signing.ts";
import { openAnnex } from "./age.ts";
import { ANNEX_RUNS } from "./annex.ts";
import { ATTENDANCE_CHECKS } from "./attendance.ts";
import { type BatchChecker, InlineChecker } from "./batch.ts";
import { BOARD_CHECKS } from "./boards.ts";
import type { CheckRun, Context } from "./context.ts";
import { type BundleFiles, MAX_LINE, readAnnex, readBundle } from "./files.ts";
import type { Annex } from "./formats.ts";
import { KEYGEN_CHECKS } from "./keygen.ts";
import { MEETING_CHECKS } from "./meeting.ts";
import { OPENING_CHECKS } from "./opening.ts";
import { ANNEX_CHECKS, CHECK_IDS, type Check, CheckFailed, type CheckId, Malformed, NotApplicable, type Report, Unreadable, check } from "./report.ts";
import { type Results, figuresOf, resultsOf } from "./results.ts";
import { Work, type WorkOptions } from "./work.ts";
import { Archive } from "./zip.ts";

type Run = Record<Exclude<CheckId, "V01">, CheckRun>;
const RUNS: Run = { ...MEETING_CHECKS, ...KEYGEN_CHECKS, ...BOARD_CHECKS, ...OPENING_CHECKS, ...ANNEX_RUNS, ...ATTENDANCE_CHECKS };

const between = (first: CheckId, last: CheckId): CheckId[] => CHECK_IDS.filter((id) => id >= first && id <= last);

const all = between("V02", "V34");
const counted = between("V16", "V22");

/** Failed check, and the checks that it leaves without meaning (section 10). */
const VOIDS: Partial<Record<CheckId, readonly CheckId[]>> = {
  V01: all,
  V02: between("V03", "V34"),
  V06: ["V07", "V31"],
  V08: [...between("V09", "V22"), "V24", "V25", "V29", "V30", "V32"],
  V09: ["V10", ...counted, "V24", "V25", "V30", "V32"],
  V10: [...counted, "V30", "V32"],
  V12: ["V13", "V14", "V15", ...between("V17", "V20"), "V30"],
  V23: ["V24", "V25", "V27", "V28", "V32", "V33", "V34"],
};

export interface VerifyOptions extends Omit<WorkOptions, "progress"> {
  /** Called when a check begins, as it goes on, and with its result. */
  onStart?: (id: CheckId) => void;
  onProgress?: (id: CheckId, done: number, total: number) => void;
  onCheck?: (check: Check) => void;
  rng?: Rng;
  /** What checks the ballots; the calling thread unless it is said. */
  checker?: BatchChecker;
  /** Text of a file with age identities, for an annex that is an age file. */
  identities?: string;
}

export interface Verification {
  report: Report;
  /** What the checks confirm, in data; null unless the verdict is "ok". */
  results: Results | null;
}

interface Opened {
  bundle: BundleFiles;
  annex: Annex | null;
}

/** A zip that cannot be read at all, or one whose form is wrong: a report in either case. */
function refusal(error: unknown): Report {
  if (error instanceof Unreadable) {
    return { verdict: "unreadable", checks: CHECK_IDS.map((id) => check(id, null, "not checked: unreadable")), elections: [], detail: error.message };
  }
  if (!(error instanceof Malformed)) throw error;
  const later = CHECK_IDS.slice(1).map((id) => check(id, null, "not checked: V01 failed"));
  return { verdict: "failed", checks: [check("V01", false, error.message), ...later], elections: [] };
}

async function open(bundle: Blob, annex: Blob | null, identities: string, work: Work): Promise<Opened | Report> {
  const archives: Archive[] = [];
  try {
    // Whether both can be read at all comes before what is in them.
    archives.push(await Archive.open(bundle));
    if (annex !== null) archives.push(await Archive.open(await openAnnex(annex, identities)));
    const [files, more] = archives;
    if (files === undefined) throw new Unreadable("no bundle");
    more?.require("annex.json");
    return { bundle: await readBundle(files, work), annex: more === undefined ? null : await readAnnex(more, work) };
  } catch (error) {
    return refusal(error instanceof Malformed ? await unreadableOr(error, archives) : error);
  }
}

/** That something cannot be read at all weighs more than that something is malformed. */
async function unreadableOr(malformed: Malformed, archives: readonly Archive[]): Promise<unknown> {
  try {
    for (const archive of archives) await archive.readThrough(MAX_LINE);
    return malformed;
  } catch (error) {
    return error;
  }
}

async function runOne(id: Exclude<CheckId, "V01">, context: Context, reason: string | undefined): Promise<Check> {
  if (reason !== undefined) return check(id, null, reason);
  try {
    await RUNS[id](context);
    return check(id, true);
  } catch (error) {
    if (error instanceof NotApplicable) return check(id, null, `not applicable: ${error.message}`);
    if (error instanceof CheckFailed || error instanceof VotingError) return check(id, false, error.message);
    throw error;
  }
}

/**
 * Runs every check over bundle.zip and annex.zip or annex.age; hostile bytes end in a report.
 * @throws Stopped when `stopped` says so.
 */
export async function verify(bundle: Blob, annex: Blob | null, options: VerifyOptions = {}): Promise<Verification> {
  let running: CheckId = "V01";
  const work = new Work({ ...options, progress: (done, total) => options.onProgress?.(running, done, total) });
  options.onStart?.(running);
  const opened = await open(bundle, annex, options.identities ?? "", work);
  if ("verdict" in opened) {
    for (const one of opened.checks) options.onCheck?.(one);
    return { report: opened, results: null };
  }
  const rng = options.rng ?? systemRng;
  const context: Context = { ...opened, work, rng, checker: options.checker ?? new InlineChecker(rng), elections: [] };
  const checks: Check[] = [];
  const reasons = new Map<CheckId, string>();
  if (annex === null) for (const id of ANNEX_CHECKS) reasons.set(id, "not checked: no annex given");
  for (const id of CHECK_IDS) {
    running = id;
    if (id !== "V01" && !reasons.has(id)) options.onStart?.(id);
    await work.pause();
    const done = id === "V01" ? check(id, true) : await runOne(id, context, reasons.get(id));
    checks.push(done);
    options.onCheck?.(done);
    if (done.ok === false) for (const other of VOIDS[id] ?? []) if (!reasons.has(other)) reasons.set(other, `not checked: ${id} failed`);
  }
  const ok = checks.every((one) => one.ok !== false);
  const report: Report = { verdict: ok ? "ok" : "failed", checks, elections: context.elections.map((one) => figuresOf(one, context.bundle)) };
  return { report, results: ok ? resultsOf(context) : null };
}
