/** The offline verifier: every check of section 10 over a bundle and, for auditors, its annex. */
import type { Bytes, Rng } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import { systemRng } from "../ballot/signing.ts";
import { ANNEX_RUNS } from "./annex.ts";
import { BOARD_CHECKS } from "./boards.ts";
import type { CheckRun, Context } from "./context.ts";
import { type BundleFiles, readAnnex, readBundle } from "./files.ts";
import type { Annex } from "./formats.ts";
import { KEYGEN_CHECKS } from "./keygen.ts";
import { MEETING_CHECKS } from "./meeting.ts";
import { OPENING_CHECKS } from "./opening.ts";
import { PROOF_CHECKS } from "./proofs.ts";
import { ANNEX_CHECKS, CHECK_IDS, type Check, CheckFailed, type CheckId, Malformed, type Report, Unreadable, check } from "./report.ts";
import { type Results, resultsOf } from "./results.ts";
import { Work, type WorkOptions } from "./work.ts";

type Run = Record<Exclude<CheckId, "V01">, CheckRun>;
const RUNS: Run = { ...MEETING_CHECKS, ...KEYGEN_CHECKS, ...BOARD_CHECKS, ...PROOF_CHECKS, ...OPENING_CHECKS, ...ANNEX_RUNS };

const between = (first: CheckId, last: CheckId): CheckId[] => CHECK_IDS.filter((id) => id >= first && id <= last);

/** Failed check, and the checks that it leaves without meaning (section 10). */
const VOIDS: Partial<Record<CheckId, readonly CheckId[]>> = {
  V01: between("V02", "V28"),
  V02: between("V03", "V28"),
  V06: ["V07"],
  V08: [...between("V09", "V22"), "V24", "V25"],
  V12: ["V13", "V14", "V15", "V17", "V18", "V19", "V20"],
  V23: ["V24", "V25", "V27", "V28"],
};

export interface VerifyOptions extends Omit<WorkOptions, "progress"> {
  /** Called when a check begins, as it goes on, and with its result. */
  onStart?: (id: CheckId) => void;
  onProgress?: (id: CheckId, done: number, total: number) => void;
  onCheck?: (check: Check) => void;
  rng?: Rng;
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

async function open(bundle: Bytes, annex: Bytes | null, work: Work): Promise<Opened | Report> {
  try {
    return { bundle: await readBundle(bundle, work), annex: annex === null ? null : await readAnnex(annex) };
  } catch (error) {
    if (error instanceof Unreadable) {
      return { verdict: "unreadable", checks: CHECK_IDS.map((id) => check(id, null, "not checked: unreadable")), detail: error.message };
    }
    if (!(error instanceof Malformed)) throw error;
    const later = CHECK_IDS.slice(1).map((id) => check(id, null, "not checked: V01 failed"));
    return { verdict: "failed", checks: [check("V01", false, error.message), ...later] };
  }
}

async function runOne(id: Exclude<CheckId, "V01">, context: Context, reason: string | undefined): Promise<Check> {
  if (reason !== undefined) return check(id, null, reason);
  try {
    await RUNS[id](context);
    return check(id, true);
  } catch (error) {
    if (error instanceof CheckFailed || error instanceof VotingError) return check(id, false, error.message);
    throw error;
  }
}

/**
 * Runs every check over the bytes of bundle.zip and annex.zip; hostile bytes end in a report.
 * @throws Stopped when `stopped` says so.
 */
export async function verify(bundle: Bytes, annex: Bytes | null, options: VerifyOptions = {}): Promise<Verification> {
  let running: CheckId = "V01";
  const work = new Work({ ...options, progress: (done, total) => options.onProgress?.(running, done, total) });
  options.onStart?.(running);
  const opened = await open(bundle, annex, work);
  if ("verdict" in opened) {
    for (const one of opened.checks) options.onCheck?.(one);
    return { report: opened, results: null };
  }
  const context: Context = { ...opened, work, rng: options.rng ?? systemRng, elections: [] };
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
  return { report: { verdict: ok ? "ok" : "failed", checks }, results: ok ? resultsOf(context) : null };
}
