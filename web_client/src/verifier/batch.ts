/** Checks of many ballots at once, V11 to V14 and the totals: a pure function, and what runs it in several workers. */
import {
  BOTH, type QuestionProof, type ReadBallot, type Which, ballotSigned, challengeOf, decodeProofs, plainAllowed, plainInRange, proofFault, readBallot, requireLengths,
} from "../ballot/ballot.ts";
import { sumOfMany } from "../ballot/buckets.ts";
import { type Bytes, type Json, type Rng, fromUtf8 } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import { decodeAnyPoint } from "../ballot/group.ts";
import type { OpenManifest } from "../ballot/manifest.ts";
import { Sums, batchHolds } from "../ballot/verify.ts";

/** Ballots whose weight is a fact of V10; the totals mean something only when that holds. */
export interface Batch {
  /** Board lines that hold a ballot each. */
  lines: Bytes[];
  /** Cells (α, β or plain values) that leave the totals, since a later ballot replaces theirs. */
  leave: { cells: Bytes; weight: number }[];
}

export type BallotCheck = "V11" | "V12" | "V13" | "V14";

export interface BatchOutcome {
  /** Position in the batch of the first ballot that fails, by check. */
  faults: Partial<Record<BallotCheck, number>>;
  sums: Bytes[];
  counts: number[];
}

interface Proved {
  index: number;
  proofs: QuestionProof[];
  e: bigint;
}

/** The ballot of a board line whose form is known to be right; null when its answers cannot even be counted. */
function ballotOf(line: Bytes): ReadBallot | null {
  try {
    return readBallot((JSON.parse(fromUtf8(line)) as { ballot: Json }).ballot);
  } catch (error) {
    if (error instanceof VotingError) return null;
    throw error;
  }
}

function decoded(manifest: OpenManifest, ballot: ReadBallot): QuestionProof[] | null {
  try {
    return decodeProofs(manifest, ballot);
  } catch (error) {
    if (error instanceof VotingError) return null;
    throw error;
  }
}

function lengthsFit(manifest: OpenManifest, ballot: ReadBallot): boolean {
  try {
    requireLengths(manifest, ballot);
    return true;
  } catch (error) {
    if (error instanceof VotingError) return false;
    throw error;
  }
}

/** Takes the cells of replaced ballots out of the totals; their bytes were checked when they came in. */
function leaveTotals(manifest: OpenManifest, sums: Sums, { cells, weight }: Batch["leave"][number]): void {
  if (!manifest.secret) {
    let at = 0;
    sums.addPlain({ choices: manifest.layouts.map((layout) => cells.subarray(at, (at += layout.cells))) }, -weight);
    return;
  }
  const ciphers = Array.from({ length: cells.length / 64 }, (_, i) => ({
    alpha: decodeAnyPoint(cells.subarray(64 * i, 64 * i + 32)), beta: decodeAnyPoint(cells.subarray(64 * i + 32, 64 * i + 64)),
  }));
  sums.addCiphers(ciphers, -weight);
}

/** Finds the first ballot whose cells, or whose constraints, are not proved. */
function proofFaults(manifest: OpenManifest, all: readonly Proved[], rng: Rng, strict: boolean): BatchOutcome["faults"] {
  const hold = (some: readonly Proved[], which: Which): boolean =>
    strict ? some.every(({ proofs, e }) => proofFault(manifest, proofs, e, which) === null) : batchHolds(manifest, some, rng, which, sumOfMany);
  // Both checks at once; only where something is wrong, each by itself.
  if (all.length === 0 || hold(all, BOTH)) return {};
  const faults: BatchOutcome["faults"] = {};
  for (const [id, which] of [["V13", { cells: true, constraints: false }], ["V14", { cells: false, constraints: true }]] as const) {
    if (hold(all, which)) continue;
    const culprit = all.find((one) => !hold([one], which));
    faults[id] = culprit?.index ?? 0;
  }
  return faults;
}

/** Checks one batch. Hostile bytes end in `faults`. */
export function checkBatch(manifest: OpenManifest, { lines, leave }: Batch, rng: Rng, strict = false): BatchOutcome {
  const faults: BatchOutcome["faults"] = {};
  const sums = new Sums(manifest);
  const proved: Proved[] = [];
  const fault = (id: BallotCheck, index: number): void => {
    faults[id] ??= index;
  };
  for (const [index, line] of lines.entries()) {
    const ballot = ballotOf(line);
    if (ballot === null) {
      fault("V12", index);
      continue;
    }
    if (!ballotSigned(manifest, ballot)) fault("V11", index);
    if (manifest.secret) {
      const proofs = decoded(manifest, ballot);
      if (proofs === null) fault("V12", index);
      else {
        proved.push({ index, proofs, e: challengeOf(manifest, ballot) });
        sums.addCells(proofs, ballot.weight);
      }
    } else if (!lengthsFit(manifest, ballot) || !plainInRange(manifest, ballot)) fault("V12", index);
    else {
      if (!plainAllowed(manifest, ballot)) fault("V14", index);
      sums.addPlain(ballot, ballot.weight);
    }
  }
  for (const one of leave) leaveTotals(manifest, sums, one);
  const { sums: points, counts } = sums.result();
  return { faults: { ...faults, ...proofFaults(manifest, proved, rng, strict) }, sums: points, counts };
}

/** Runs batches somewhere; answers come in the order of the calls' promises. */
export interface BatchChecker {
  /** Batches that are worth having under way at once. */
  readonly lanes: number;
  check(manifest: OpenManifest, batch: Batch): Promise<BatchOutcome>;
  /** Gives back whatever it holds. */
  stop(): void;
}

/** In the calling thread. */
export class InlineChecker implements BatchChecker {
  readonly lanes = 1;
  private readonly rng: Rng;
  private readonly strict: boolean;

  constructor(rng: Rng, strict = false) {
    this.rng = rng;
    this.strict = strict;
  }

  check(manifest: OpenManifest, batch: Batch): Promise<BatchOutcome> {
    return Promise.resolve(checkBatch(manifest, batch, this.rng, this.strict));
  }

  stop(): void {
    // nothing is held
  }
}
