/** Checking many ballots at once: one random linear combination, and the culprit named when it fails. */
import { type QuestionProof, type ReadBallot, ballotSigned, challengeOf, decodeProofs, proofFault, readBallot, requireNative } from "./ballot.ts";
import { type Bytes, type Json, type Rng, mod } from "./encoding.ts";
import { type VotingCode, VotingError, ensure } from "./errors.ts";
import { G, Point, decodeAnyPoint, sumOfMultiples } from "./group.ts";
import type { OpenManifest } from "./manifest.ts";

/** Short weights keep the multiplications of the commitments short; the error is at most 2^-128. */
const WEIGHT_BYTES = 16;

export interface Refusal {
  /** Position in the batch. */
  index: number;
  code: VotingCode;
  message: string;
}

export interface BatchResult {
  /** Σα, Σβ per question and option, 32 bytes each, when nothing was refused. */
  sums: Bytes[];
  refused: Refusal | null;
}

interface Checked {
  proofs: QuestionProof[];
  e: bigint;
}

/** The terms of one batch's equation A + c·Q − z·P = 0, summed with random weights. */
class Combination {
  private readonly points: Point[] = [];
  private readonly scalars: bigint[] = [];
  private onG = 0n;
  private onKey = 0n;
  private readonly rng: Rng;

  constructor(rng: Rng) {
    this.rng = rng;
  }

  private weight(): bigint {
    return this.rng(WEIGHT_BYTES).reduce((x, byte) => (x << 8n) | BigInt(byte), 0n);
  }

  private term(point: Point, x: bigint): void {
    this.points.push(point);
    this.scalars.push(x);
  }

  add({ proofs, e }: Checked): void {
    for (const { options, as, bs, zs } of proofs) {
      const [p5, p6] = [this.weight(), this.weight()];
      for (const { alpha, beta, a0, b0, a1, b1, c0, z0, z1 } of options) {
        const [p1, p2, p3, p4] = [this.weight(), this.weight(), this.weight(), this.weight()];
        const c1 = mod(e - c0);
        this.term(a0, p1);
        this.term(b0, p2);
        this.term(a1, p3);
        this.term(b1, p4);
        this.term(alpha, mod(p1 * c0 + p3 * c1 + p5 * e));
        this.term(beta, mod(p2 * c0 + p4 * c1 + p6 * e));
        this.onG -= p1 * z0 + p3 * z1 + p4 * c1;
        this.onKey -= p2 * z0 + p4 * z1;
      }
      this.term(as, p5);
      this.term(bs, p6);
      this.onG -= p5 * zs + p6 * e;
      this.onKey -= p6 * zs;
    }
  }

  holds(key: Point): boolean {
    return sumOfMultiples([...this.points, G, key], [...this.scalars, this.onG, this.onKey]).is0();
  }
}

function batchHolds(manifest: OpenManifest, checked: readonly Checked[], rng: Rng): boolean {
  const combination = new Combination(rng);
  for (const one of checked) combination.add(one);
  return combination.holds(manifest.trusteeKey);
}

function open(manifest: OpenManifest, ballot: ReadBallot): Checked {
  requireNative(manifest, ballot);
  ensure(ballotSigned(manifest, ballot), "voting.ballot-signature", "The ballot's signature does not verify.");
  return { proofs: decodeProofs(manifest, ballot), e: challengeOf(manifest, ballot) };
}

function refusal(index: number, error: unknown): Refusal {
  if (error instanceof VotingError) return { index, code: error.code, message: error.message };
  throw error;
}

function sum(manifest: OpenManifest, checked: readonly Checked[]): Bytes[] {
  return manifest.questions.flatMap(({ options }, q) =>
    options.flatMap((_, o) =>
      (["alpha", "beta"] as const).map((part) =>
        checked.reduce((total, { proofs }) => total.add(proofs[q]?.options[o]?.[part] ?? Point.ZERO), Point.ZERO).toBytes(),
      ),
    ),
  );
}

/** Checks signature, bytes and proofs of every ballot; hostile input ends in `refused`, never in an exception. */
export function checkBallots(manifest: OpenManifest, ballots: readonly (Json | undefined)[], rng: Rng): BatchResult {
  const checked: Checked[] = [];
  for (const [index, ballot] of ballots.entries()) {
    try {
      checked.push(open(manifest, readBallot(ballot)));
    } catch (error) {
      return { sums: [], refused: refusal(index, error) };
    }
  }
  if (!batchHolds(manifest, checked, rng)) {
    const faults = checked.map(({ proofs, e }) => proofFault(manifest, proofs, e));
    const index = faults.findIndex((fault) => fault !== null);
    return { sums: [], refused: { index, code: faults[index] ?? "voting.ballot-option-proof", message: "The ballot's proofs do not hold." } };
  }
  return { sums: sum(manifest, checked), refused: null };
}

/** Checks one ballot alone. @throws VotingError */
export function requireValidBallot(manifest: OpenManifest, ballot: Json): ReadBallot {
  const read = readBallot(ballot);
  const { proofs, e } = open(manifest, read);
  const fault = proofFault(manifest, proofs, e);
  if (fault !== null) throw new VotingError(fault, "The ballot's proofs do not hold.");
  return read;
}

/** Running totals of the encrypted votes. */
export class Sums {
  private readonly totals: Point[];

  constructor(manifest: OpenManifest) {
    this.totals = manifest.questions.flatMap(({ options }) => options.flatMap(() => [Point.ZERO, Point.ZERO]));
  }

  add(sums: readonly Bytes[]): void {
    ensure(sums.length === this.totals.length, "voting.tally", "The sums of a batch do not fit the questions.");
    for (const [i, bytes] of sums.entries()) this.totals[i] = (this.totals[i] ?? Point.ZERO).add(decodeAnyPoint(bytes));
  }

  /** Σα, Σβ per question and option, in order. */
  points(): Point[] {
    return [...this.totals];
  }
}

/** What checks ballots for a page: this function here, or workers that run it. */
export interface BallotVerifier {
  check(manifest: OpenManifest, ballots: readonly Json[]): Promise<BatchResult>;
}

export class InlineVerifier implements BallotVerifier {
  private readonly rng: Rng;

  constructor(rng: Rng) {
    this.rng = rng;
  }

  check(manifest: OpenManifest, ballots: readonly Json[]): Promise<BatchResult> {
    return Promise.resolve(checkBallots(manifest, ballots, this.rng));
  }
}
