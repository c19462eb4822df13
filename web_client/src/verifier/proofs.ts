/**
 * Checks V13 and V14: the proofs of the ballots, many at once. Each equation z·P = A + c·Q gets a random
 * 128-bit weight and their sum must vanish; when it does not, the ballots of the batch are checked singly.
 */
import type { QuestionProof } from "../ballot/ballot.ts";
import { type Rng, mod } from "../ballot/encoding.ts";
import { G, Point, sumOfMultiples } from "../ballot/group.ts";
import { type CheckRun, eachElection } from "./context.ts";
import { CheckFailed } from "./report.ts";

/** Large enough to share the doublings, small enough to answer the stop button. */
const BATCH = 16;

interface Proved {
  proofs: readonly QuestionProof[];
  e: bigint;
}

/** A sum of equations over the generator, the election's key and any other points. */
class Equations {
  private readonly points: Point[] = [];
  private readonly scalars: bigint[] = [];
  private onG = 0n;
  private onKey = 0n;
  private readonly rng: Rng;

  constructor(rng: Rng) {
    this.rng = rng;
  }

  private weight(): bigint {
    return this.rng(16).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  }

  private put(point: Point, factor: bigint): void {
    this.points.push(point);
    this.scalars.push(factor);
  }

  /** z·G = commitment + c·statement */
  overG(z: bigint, commitment: Point, c: bigint, statement: Point): void {
    const weight = this.weight();
    this.put(commitment, weight);
    this.put(statement, mod(weight * c));
    this.onG -= weight * z;
  }

  /** z·Y = commitment + c·(statement − shift·G) */
  overKey(z: bigint, commitment: Point, c: bigint, statement: Point, shift: bigint): void {
    const weight = this.weight();
    this.put(commitment, weight);
    this.put(statement, mod(weight * c));
    this.onKey -= weight * z;
    this.onG -= weight * c * shift;
  }

  hold(key: Point): boolean {
    return sumOfMultiples([...this.points, G, key], [...this.scalars, mod(this.onG), mod(this.onKey)]).is0();
  }
}

type Writer = (equations: Equations, proved: Proved) => void;

const optionEquations: Writer = (equations, { proofs, e }) => {
  for (const { options } of proofs) {
    for (const { alpha, beta, a0, b0, a1, b1, c0, z0, z1 } of options) {
      const c1 = mod(e - c0);
      equations.overG(z0, a0, c0, alpha);
      equations.overKey(z0, b0, c0, beta, 0n);
      equations.overG(z1, a1, c1, alpha);
      equations.overKey(z1, b1, c1, beta, 1n);
    }
  }
};

const sumEquations: Writer = (equations, { proofs, e }) => {
  for (const { options, as, bs, zs } of proofs) {
    const alpha = options.reduce((sum, option) => sum.add(option.alpha), Point.ZERO);
    const beta = options.reduce((sum, option) => sum.add(option.beta), Point.ZERO);
    equations.overG(zs, as, e, alpha);
    equations.overKey(zs, bs, e, beta, 1n);
  }
};

const proofCheck = (write: Writer, fault: string): CheckRun =>
  eachElection(async (election, { work, rng }) => {
    const all = election.decoded;
    const holds = (some: readonly Proved[]): boolean => {
      const equations = new Equations(rng);
      for (const one of some) write(equations, one);
      return equations.hold(election.manifest.trusteeKey);
    };
    const starts = Array.from({ length: Math.ceil(all.length / BATCH) }, (_, i) => i * BATCH);
    await work.each(starts, (start) => {
      const batch = all.slice(start, start + BATCH);
      if (holds(batch)) return;
      const culprit = batch.findIndex((one) => !holds([one]));
      throw new CheckFailed(`ballot ${start + Math.max(culprit, 0) + 1}: ${fault}`);
    });
  });

export const PROOF_CHECKS = {
  V13: proofCheck(optionEquations, "an option is not proved to be 0 or 1"),
  V14: proofCheck(sumEquations, "a question is not proved to have exactly one option"),
};
