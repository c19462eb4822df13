/** What a verification says: a verdict, every numbered check of section 10, and the figures. */
import type { ElectionFigures } from "./results.ts";

export const TITLES = {
  V01: "files are those of the specification, strict canonical JSON",
  V02: "manifests are well-formed and of one organisation, meeting and server",
  V03: "ledger: root and size, signed by the server",
  V04: "ledger: roll, key, and opening, closing and tally of each vote, in order",
  V05: "roll: signed by the registrar's passkey and named by the manifests",
  V06: "key generation: all messages signed, in order, points and salts as announced",
  V07: "key generation: proofs, keys and transcript as certified",
  V08: "board: order of entries, signed checkpoints, roots recomputed",
  V09: "electorate: list, weights and repeated votes as the manifest says",
  V10: "lineages: ballots, replacements and voids follow each other",
  V11: "ballots: signatures",
  V12: "ballots: canonical bytes",
  V13: "ballots: every cell is in its range",
  V14: "ballots: every constraint is in its range",
  V15: "ballots: nothing copied between ballots",
  V16: "closing: numbers of ballots and voters, times, enough cosignatures",
  V17: "intents: signed, for this box, before the shares",
  V18: "shares: signed, for this box, one per trustee",
  V19: "shares: proofs of correct decryption",
  V20: "counts follow from the shares or from the plain ballots",
  V21: "quorum and outcome recomputed, casting votes where a tie asks for them",
  V22: "tally: fields, times, hash on the board, signatures",
  V23: "annex: the roll's entries give its root, size and weight",
  V24: "annex: each voter's credential is signed by a passkey of the roll; the electorate",
  V25: "annex: one lineage per member; non-voters' check-ins too",
  V26: "annex: check-ins hold a signed, consistent ledger with the roll",
  V27: "annex: trustees' statements are signed by passkeys of the roll",
  V28: "annex: cosigners' statements are signed by passkeys of the roll",
  V29: "voids: signed, at most five of a voter, no voided ballot was cast",
  V30: "evidence: refused shares are signed and wrong, and named in the tally",
  V31: "destruction: signed, after the challenge period, in the ledger",
  V32: "annex: replacements are signed by a passkey of their member",
  V33: "annex: exceptions are witnessed, exclusions and names as the manifests say",
  V34: "annex: the attendance log gives what openings and closings signed of it, and who was present",
} as const;

export type CheckId = keyof typeof TITLES;
export type Verdict = "ok" | "failed" | "unreadable";
export const CHECK_IDS = Object.keys(TITLES) as CheckId[];
export const ANNEX_CHECKS: readonly CheckId[] = ["V23", "V24", "V25", "V26", "V27", "V28", "V32", "V33", "V34"];

/** One check; `ok` is null when it was not run. */
export interface Check {
  id: CheckId;
  ok: boolean | null;
  title: string;
  detail?: string;
}

export interface Report {
  verdict: Verdict;
  checks: Check[];
  /** In order of opening; empty unless V02 passed. Right only when the verdict is "ok". */
  elections: ElectionFigures[];
  detail?: string;
}

const EXIT_CODES: Readonly<Record<Verdict, number>> = { ok: 0, failed: 1, unreadable: 2 };
export const exitCode = (report: Report): number => EXIT_CODES[report.verdict];

export function check(id: CheckId, ok: boolean | null, detail = ""): Check {
  return { id, ok, title: TITLES[id], ...(detail === "" ? {} : { detail }) };
}

/** Something in the record that does not hold; its message says what, for the report. */
export class CheckFailed extends Error {}

/** A check that has nothing to look at in a record of an earlier version; its message says why. */
export class NotApplicable extends Error {}

/** A file's form is wrong: V01. */
export class Malformed extends Error {}

/** The files cannot be read at all: exit 2. */
export class Unreadable extends Error {}

/** Throws `CheckFailed` unless the condition holds. */
export function hold(condition: boolean, detail: string): asserts condition {
  if (!condition) throw new CheckFailed(detail);
}

/** `value`, which an earlier check has shown to be there. */
export function given<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new CheckFailed(`${what} is missing`);
  return value;
}
