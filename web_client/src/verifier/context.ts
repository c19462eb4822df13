/** What the checks work on: the parsed files, and what earlier checks have computed from them. */
import { type Bytes, H, type Rng, fromB64u, jcs } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import type { OpenManifest } from "../ballot/manifest.ts";
import { type Note, checkpointHash, openCheckpoint, parseNote } from "../ballot/note.ts";
import { isTooFew } from "../ballot/rules.ts";
import { type Aggregate, aggregate } from "../ballot/tally.ts";
import type { BatchChecker } from "./batch.ts";
import type { BundleFiles, ElectionFiles } from "./files.ts";
import type { Annex, RollEntry } from "./formats.ts";
import { CheckFailed, given } from "./report.ts";
import type { Scan } from "./scan.ts";
import type { Work } from "./work.ts";

/** One election, once V02 has opened its manifest. */
export class Election {
  readonly manifest: OpenManifest;
  readonly files: ElectionFiles;
  /** Set by V09 when the list is the manifest's. */
  electorateHolds = false;
  /** Set when the ballots were read. */
  scan: Scan | null = null;
  private total: Aggregate | null = null;

  constructor(manifest: OpenManifest, files: ElectionFiles) {
    this.manifest = manifest;
    this.files = files;
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

  /** What the ballots came to. @throws CheckFailed when they were not read */
  get read(): Scan {
    return given(this.scan ?? undefined, "the ballots");
  }

  get cast(): number {
    return this.read.lineages.cast;
  }

  get tooFew(): boolean {
    return isTooFew(this.manifest, this.cast);
  }

  /** True when there are trustees, and enough ballots for their shares. */
  get opened(): boolean {
    return this.manifest.secret && !this.tooFew;
  }

  /** The recomputed sums of all counted ballots of a secret vote. */
  get aggregate(): Aggregate {
    this.total ??= aggregate(this.manifest, this.read.sums.totals());
    return this.total;
  }

  signKey(trustee: number): Bytes {
    const key = this.manifest.trustees.signKeys[trustee - 1];
    if (key === undefined) throw new CheckFailed(`there is no trustee ${trustee}`);
    return fromB64u(key);
  }

  get chairKey(): Bytes {
    return fromB64u(given(this.manifest.cosigners.find(({ name }) => name === "chair"), "the chair's key").key);
  }
}

export interface Context {
  readonly bundle: BundleFiles;
  readonly annex: Annex | null;
  readonly work: Work;
  readonly rng: Rng;
  readonly checker: BatchChecker;
  /** Set by V02, in the order of bundle.json. */
  elections: Election[];
}

export const rollHash = ({ bundle }: Context): Bytes => H("fm1/roll", jcs(bundle.roll.core));

const byMember = new WeakMap<Annex, ReadonlyMap<string, RollEntry>>();

/** The annex's roll entry of a member. */
export function rollEntry(annex: Annex, member: string): RollEntry | undefined {
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

export const different = (values: readonly string[]): boolean => new Set(values).size === values.length;
