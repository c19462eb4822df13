/** What a verification confirms, as data for a report, a page or a terminal. */
import { sha256 } from "@noble/hashes/sha2.js";
import { fromB64u, hex } from "../ballot/encoding.ts";
import type { Rules, Secrecy } from "../ballot/manifest.ts";
import { majorityBase } from "../ballot/rules.ts";
import type { Context, Election } from "./context.ts";
import type { BundleFiles } from "./files.ts";
import type { ManifestForm, Mark, Tally } from "./formats.ts";

type Core = Tally["core"];

/** One election of the JSON report (section 10). */
export interface ElectionFigures
  extends Pick<ManifestForm, "election" | "title" | "secrecy" | "rehearsal" | "questions" | "roll_size" | "present" | "electorate_size" | "exceptions" | "excluded" | "repeats">,
    Pick<Core, "ballots" | "cast" | "cast_weight" | "replacements" | "kiosk" | "voids" | "counts" | "rejected" | "quorum" | "outcome" | "halls"> {
  /** Who was present when the vote was closed; null in a record without an attendance log. */
  at_closing: Pick<Mark, "met" | "present" | "present_weight"> | null;
}

function atClosing(election: string, { attendance }: BundleFiles): ElectionFigures["at_closing"] {
  const mark = attendance?.marks.find((one) => one.election === election && one.when === "closing");
  return mark === undefined ? null : { met: mark.met, present: mark.present, present_weight: mark.present_weight };
}

export function figuresOf({ manifest: open, files }: Election, bundle: BundleFiles): ElectionFigures {
  const manifest = files.board.opening?.manifest;
  const { core } = files.tally;
  return {
    election: open.election, at_closing: atClosing(open.election, bundle), title: open.title, secrecy: open.secrecy, rehearsal: open.rehearsal, questions: manifest?.questions ?? [],
    roll_size: open.rollSize, present: open.present, electorate_size: open.electorateSize, exceptions: open.exceptions, excluded: open.excluded,
    repeats: open.repeats, ballots: core.ballots, cast: core.cast, cast_weight: core.cast_weight, replacements: core.replacements,
    kiosk: core.kiosk, voids: core.voids, counts: core.counts, rejected: core.rejected, quorum: core.quorum, outcome: core.outcome, halls: core.halls,
  };
}

/** What the report in words needs beside the figures. */
export interface ElectionDetails extends ElectionFigures {
  secrecy: Secrecy;
  votingAgain: "once" | "last-counts";
  rules: Rules;
  openedAt: number;
  countedAt: number;
  rollWeight: number;
  presentWeight: number;
  electorateWeight: number;
  leastElectorate: number;
  /** Tellers of the key, and how many of them open the box; 0 in plain votes. */
  trustees: number;
  threshold: number;
  cosigners: string[];
  cosignQuorum: number;
  castings: { question: number; options: number[] }[];
  /** What the majority is of, per question; 0 without a count. */
  bases: number[];
}

export interface Results {
  organisation: string;
  meeting: string;
  rehearsal: boolean;
  /** b64u, as in bundle.json. */
  serverKey: string;
  /** SHA-256 of the key's 32 bytes, lower-case hex. */
  fingerprint: string;
  annex: boolean;
  /** Whether the record says who was there, in an attendance log. */
  attendance: boolean;
  /** Until when the auditors keep the annex, in seconds; 0 without one. */
  keepUntil: number;
  /** Trustees who have destroyed their shares on record, and how many there are. */
  destroyed: number;
  trustees: number;
  /** Attempts of key generation that were broken off, where the annex tells. */
  brokenAttempts: number;
  elections: ElectionDetails[];
}

function detailsOf(election: Election, bundle: BundleFiles): ElectionDetails {
  const { manifest, files } = election;
  const figures = figuresOf(election, bundle);
  return {
    ...figures, secrecy: manifest.secrecy, votingAgain: manifest.votingAgain, rules: manifest.rules, openedAt: manifest.openedAt,
    countedAt: files.tally.core.counted_at, rollWeight: manifest.rollWeight, presentWeight: manifest.presentWeight,
    electorateWeight: manifest.electorateWeight, leastElectorate: manifest.leastElectorate, trustees: manifest.trustees.count,
    threshold: manifest.trustees.threshold, cosigners: manifest.cosigners.map(({ name }) => name), cosignQuorum: manifest.cosignQuorum,
    castings: files.board.entries("casting").map(({ question, options }) => ({ question, options })),
    bases: manifest.questions.map((question, q) => majorityBase(manifest, question, figures.counts[q] ?? [], figures.cast_weight)),
  };
}

/** Call when every check has passed. */
export function resultsOf({ bundle, annex, elections }: Context): Results {
  const key = bundle.info.server_key;
  return {
    organisation: bundle.info.organisation.name,
    meeting: bundle.info.meeting.title,
    rehearsal: bundle.info.meeting.rehearsal,
    serverKey: key,
    fingerprint: hex(sha256(fromB64u(key))),
    annex: annex !== null,
    attendance: bundle.attendance !== null,
    keepUntil: annex?.keepUntil ?? 0,
    destroyed: bundle.destroyed.statements.length,
    trustees: bundle.keygen.count,
    brokenAttempts: annex?.brokenAttempts ?? 0,
    elections: elections.map((one) => detailsOf(one, bundle)),
  };
}
