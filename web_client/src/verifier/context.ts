/** What the checks work on: the parsed files, and what earlier checks have computed from them. */
import { type QuestionProof, type ReadBallot, challengeOf } from "../ballot/ballot.ts";
import { type Bytes, H, type JsonObject, fromB64u, jcs } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import { Point } from "../ballot/group.ts";
import type { OpenManifest } from "../ballot/manifest.ts";
import { leafHash } from "../ballot/merkle.ts";
import { type Note, checkpointHash, openCheckpoint, parseNote } from "../ballot/note.ts";
import { type Aggregate, aggregate } from "../ballot/tally.ts";
import type { BundleFiles, ElectionFiles } from "./files.ts";
import type { Annex, BallotForm, BoardEntry } from "./formats.ts";
import { CheckFailed, given } from "./report.ts";
import type { Work } from "./work.ts";

const asBallot = (form: BallotForm): ReadBallot => ({
  json: form as JsonObject,
  manifest: form.manifest,
  weight: form.weight,
  seq: form.seq,
  prev: form.prev,
  credential: fromB64u(form.credential),
  choices: form.choices.map((choice) => fromB64u(choice)),
  sig: fromB64u(form.sig),
});

/** One election, once V02 has opened its manifest. */
export class Election {
  readonly manifest: OpenManifest;
  readonly files: ElectionFiles;
  readonly ballots: ReadBallot[];
  /** Set by V12: the decoded proofs of every ballot, in order. */
  proofs: QuestionProof[][] | null = null;
  private sums: Aggregate | null = null;

  constructor(manifest: OpenManifest, files: ElectionFiles) {
    this.manifest = manifest;
    this.files = files;
    this.ballots = this.entries("ballot").map(({ ballot }) => asBallot(ballot));
  }

  entries<K extends BoardEntry["type"]>(type: K): Extract<BoardEntry, { type: K }>[] {
    return this.files.board.map(({ entry }) => entry).filter((entry): entry is Extract<BoardEntry, { type: K }> => entry.type === type);
  }

  get cast(): number {
    return this.ballots.length;
  }

  get leaves(): Bytes[] {
    return this.files.board.map(({ bytes }) => leafHash(bytes));
  }

  get serverKey(): Bytes {
    return fromB64u(this.manifest.board.key);
  }

  /** A checkpoint of this board signed by the server. @throws VotingError */
  note(text: string): Note {
    return openCheckpoint(text, this.manifest.board.origin, this.serverKey);
  }

  /** checkpoint_hash of closing.txt. @throws VotingError */
  get closingHash(): Bytes {
    return checkpointHash(parseNote(this.files.closing).body);
  }

  get decoded(): { proofs: QuestionProof[]; e: bigint }[] {
    const all = given(this.proofs ?? undefined, "the ballots' bytes");
    return this.ballots.map((ballot, i) => ({ proofs: given(all[i], "a ballot"), e: challengeOf(this.manifest, ballot) }));
  }

  /** The recomputed sums of all ballots. */
  get aggregate(): Aggregate {
    if (this.sums !== null) return this.sums;
    const all = given(this.proofs ?? undefined, "the ballots' bytes");
    const total = (q: number, o: number, part: "alpha" | "beta"): Point =>
      all.reduce((sum, questions) => sum.add(given(questions[q]?.options[o], "an option")[part]), Point.ZERO);
    const totals = this.manifest.questions.flatMap(({ options }, q) => options.flatMap((_, o) => [total(q, o, "alpha"), total(q, o, "beta")]));
    this.sums = aggregate(this.manifest, totals);
    return this.sums;
  }

  signKey(trustee: number): Bytes {
    const key = this.manifest.trustees.signKeys[trustee - 1];
    if (key === undefined) throw new CheckFailed(`there is no trustee ${trustee}`);
    return fromB64u(key);
  }
}

export interface Context {
  readonly bundle: BundleFiles;
  readonly annex: Annex | null;
  readonly work: Work;
  readonly rng: (n: number) => Bytes;
  /** Set by V02, in the order of bundle.json. */
  elections: Election[];
}

export const rollHash = ({ bundle }: Context): Bytes => H("fm1/roll", jcs(bundle.roll.core));

const byMember = new WeakMap<Annex, ReadonlyMap<string, Annex["roll"][number]>>();

/** The annex's roll entry of a member. */
export function rollEntry(annex: Annex, member: string): Annex["roll"][number] | undefined {
  const entries = byMember.get(annex) ?? new Map(annex.roll.map((entry) => [entry.member, entry]));
  byMember.set(annex, entries);
  return entries.get(member);
}

/** The annex, for checks that are not run without one. */
export function annexOf({ annex }: Context): Annex {
  return given(annex ?? undefined, "the annex");
}

/** Names the place in what fails inside. */
export async function within<T>(place: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof VotingError || error instanceof CheckFailed) throw new CheckFailed(`${place}: ${error.message}`);
    throw error;
  }
}

export type CheckRun = (context: Context) => void | Promise<void>;

/** A check of one election as a check of all. */
export const eachElection =
  (run: (election: Election, context: Context) => void | Promise<void>): CheckRun =>
  async (context) => {
    for (const election of context.elections) await within(election.files.id, () => run(election, context));
  };

/** A check of one ballot as a check of all. */
export const eachBallot = (run: (election: Election, ballot: ReadBallot, index: number) => void): CheckRun =>
  eachElection((election, { work }) => work.each(election.ballots, (ballot, i) => within(`ballot ${i + 1}`, () => run(election, ballot, i))));
