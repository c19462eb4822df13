/** Checking many ballots at once: one random linear combination, and the culprit named when it fails. */
import {
  BOTH, type QuestionProof, type ReadBallot, type Which, ballotSigned, challengeOf, decodeProofs, plainAllowed, proofFault, readBallot, requireLengths, requireNative,
} from "./ballot.ts";
import { type Bytes, type Json, type JsonObject, type Rng, b64u, mod } from "./encoding.ts";
import { VotingError, ensure } from "./errors.ts";
import { G, Point, decodeAnyPoint, mulPublic, sumOfMultiples } from "./group.ts";
import type { OpenManifest } from "./manifest.ts";
import { type Cipher, type Range, branches } from "./ranges.ts";

/** Short weights keep the multiplications of the commitments short; the error is at most 2^-128. */
const WEIGHT_BYTES = 16;

export interface Refusal {
  /** Position in the batch. */
  index: number;
  code: VotingError["code"];
  message: string;
}

/** A ballot that adds to the totals, or (checked before) one that another replaces and that leaves them. */
export interface Item {
  ballot: Json;
  sign: 1 | -1;
}

export interface BatchResult {
  /** Totals per cell, weighted: Σα, Σβ of 32 bytes each in secret votes, else numbers; empty when something was refused. */
  sums: Bytes[];
  counts: number[];
  refused: Refusal | null;
}

type Sum = typeof sumOfMultiples;

interface Checked {
  proofs: QuestionProof[];
  e: bigint;
}

/** The terms of one batch's equations A + c·Q − z·P = 0, summed with random weights. */
export class Combination {
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

  term(point: Point, x: bigint): void {
    this.points.push(point);
    this.scalars.push(x);
  }

  /** Adds the equations of one range; returns what they ask of α and β. */
  range(range: Range, e: bigint): { onAlpha: bigint; onBeta: bigint } {
    let [onAlpha, onBeta] = [0n, 0n];
    for (const [i, c] of branches(range, e).entries()) {
      const [p, q, z] = [this.weight(), this.weight(), range.z[i] ?? 0n];
      this.term(range.a[i] ?? G, p);
      this.term(range.b[i] ?? G, q);
      onAlpha += p * c;
      onBeta += q * c;
      this.onG -= p * z + q * c * BigInt(range.lo + i);
      this.onKey -= q * z;
    }
    return { onAlpha, onBeta };
  }

  /** Adds every equation of a ballot's cells, of its constraints, or of both. */
  add({ layouts }: OpenManifest, { proofs, e }: Checked, which: Which): void {
    for (const [q, { cells, constraints }] of proofs.entries()) {
      const factors = cells.map(({ range }) => (which.cells ? this.range(range, e) : { onAlpha: 0n, onBeta: 0n }));
      for (const [i, range] of which.constraints ? constraints.entries() : []) {
        const { onAlpha, onBeta } = this.range(range, e);
        for (const [cell, weight] of layouts[q]?.constraints[i]?.terms ?? []) {
          const factor = factors[cell];
          if (factor === undefined) continue;
          factor.onAlpha += BigInt(weight) * onAlpha;
          factor.onBeta += BigInt(weight) * onBeta;
        }
      }
      for (const [i, { alpha, beta }] of cells.entries()) {
        const { onAlpha, onBeta } = factors[i] ?? { onAlpha: 0n, onBeta: 0n };
        this.term(alpha, mod(onAlpha));
        this.term(beta, mod(onBeta));
      }
    }
  }

  holds(key: Point, sum: Sum): boolean {
    return sum([...this.points, G, key], [...this.scalars, this.onG, this.onKey]).is0();
  }
}

/**
 * True when every proof of these ballots holds; false also says nothing about which one fails.
 * `sum` may be one for many points, which the booth's page need not load.
 */
export function batchHolds(manifest: OpenManifest, checked: readonly Checked[], rng: Rng, which = BOTH, sum: Sum = sumOfMultiples): boolean {
  const combination = new Combination(rng);
  for (const one of checked) combination.add(manifest, one, which);
  return combination.holds(manifest.trusteeKey, sum);
}

const decoded = (manifest: OpenManifest, ballot: ReadBallot): Checked => ({ proofs: decodeProofs(manifest, ballot), e: challengeOf(manifest, ballot) });

/** Throws unless an unsigned ballot is right in itself; what the booth asks of its own work. @throws VotingError */
export function requireSound(manifest: OpenManifest, unsigned: JsonObject, rng: Rng): void {
  const ballot = readBallot({ ...unsigned, sig: b64u(new Uint8Array(64)) });
  if (!manifest.secret) return;
  ensure(batchHolds(manifest, [decoded(manifest, ballot)], rng), "voting.ballot-option-proof", "The ballot's proofs do not hold.");
}

function requireOwn(manifest: OpenManifest, ballot: ReadBallot): void {
  requireNative(manifest, ballot);
  ensure(ballotSigned(manifest, ballot), "voting.ballot-signature", "The ballot's signature does not verify.");
  requireLengths(manifest, ballot);
  if (!manifest.secret) ensure(plainAllowed(manifest, ballot), "voting.ballot-option-proof", "The ballot's answers are not allowed.");
}

/** Checks one ballot alone, its place on the board apart. @throws VotingError */
export function requireValidBallot(manifest: OpenManifest, value: Json): ReadBallot {
  const ballot = readBallot(value);
  requireOwn(manifest, ballot);
  if (!manifest.secret) return ballot;
  const { proofs, e } = decoded(manifest, ballot);
  const fault = proofFault(manifest, proofs, e);
  if (fault !== null) throw new VotingError(fault, "The ballot's proofs do not hold.");
  return ballot;
}

/** Weighted totals per cell. */
export class Sums {
  private readonly points: Point[];
  private readonly numbers: number[];

  constructor({ layouts, secret }: OpenManifest) {
    const cells = layouts.reduce((all, layout) => all + layout.cells, 0);
    this.points = secret ? Array.from({ length: 2 * cells }, () => Point.ZERO) : [];
    this.numbers = secret ? [] : Array.from({ length: cells }, () => 0);
  }

  private put(at: number, point: Point): void {
    this.points[at] = (this.points[at] ?? Point.ZERO).add(point);
  }

  addCells(proofs: readonly QuestionProof[], weight: number): void {
    this.addCiphers(proofs.flatMap(({ cells }) => cells), weight);
  }

  /** Adds the cells of all questions, in order; a negative weight takes them away. */
  addCiphers(ciphers: readonly Cipher[], weight: number): void {
    const size = Math.abs(weight);
    const times = (point: Point): Point => {
      const many = size === 1 ? point : mulPublic(point, BigInt(size));
      return weight < 0 ? many.negate() : many;
    };
    for (const [i, { alpha, beta }] of ciphers.entries()) {
      this.put(2 * i, times(alpha));
      this.put(2 * i + 1, times(beta));
    }
  }

  addPlain({ choices }: Pick<ReadBallot, "choices">, weight: number): void {
    for (const [i, value] of choices.flatMap((choice) => [...choice]).entries()) this.numbers[i] = (this.numbers[i] ?? 0) + weight * value;
  }

  add({ sums, counts }: Pick<BatchResult, "sums" | "counts">): void {
    ensure(sums.length === this.points.length && counts.length === this.numbers.length, "voting.tally", "The sums of a batch do not fit the questions.");
    for (const [i, bytes] of sums.entries()) this.put(i, decodeAnyPoint(bytes));
    for (const [i, n] of counts.entries()) this.numbers[i] = (this.numbers[i] ?? 0) + n;
  }

  /** Σα, Σβ per cell of all questions, in order. */
  totals(): Point[] {
    return [...this.points];
  }

  /** The totals of plain votes, per question. */
  counts({ layouts }: OpenManifest): number[][] {
    let at = 0;
    return layouts.map(({ cells }) => this.numbers.slice(at, (at += cells)));
  }

  result(): BatchResult {
    return { sums: this.points.map((point) => point.toBytes()), counts: [...this.numbers], refused: null };
  }
}

function refusal(index: number, error: unknown): Refusal {
  if (error instanceof VotingError) return { index, code: error.code, message: error.message };
  throw error;
}

/** Checks signature, bytes and proofs of every new ballot; hostile input ends in `refused`, never in an exception. */
export function checkBallots(manifest: OpenManifest, items: readonly Item[], rng: Rng): BatchResult {
  const sums = new Sums(manifest);
  const checked: { index: number; one: Checked }[] = [];
  for (const [index, { ballot: value, sign }] of items.entries()) {
    try {
      const ballot = readBallot(value);
      if (sign === 1) requireOwn(manifest, ballot);
      if (manifest.secret) {
        const one = decoded(manifest, ballot);
        if (sign === 1) checked.push({ index, one });
        sums.addCells(one.proofs, sign * ballot.weight);
      } else {
        sums.addPlain(ballot, sign * ballot.weight);
      }
    } catch (error) {
      return { sums: [], counts: [], refused: refusal(index, error) };
    }
  }
  if (checked.length > 0 && !batchHolds(manifest, checked.map(({ one }) => one), rng)) {
    const faults = checked.map(({ index, one: { proofs, e } }) => ({ index, code: proofFault(manifest, proofs, e) }));
    const { index, code } = faults.find((fault) => fault.code !== null) ?? { index: 0, code: null };
    return { sums: [], counts: [], refused: { index, code: code ?? "voting.ballot-option-proof", message: "The ballot's proofs do not hold." } };
  }
  return sums.result();
}

/** What checks ballots for a page: the function above, or workers that run it. */
export interface BallotVerifier {
  check(manifest: OpenManifest, items: readonly Item[]): Promise<BatchResult>;
}

export class InlineVerifier implements BallotVerifier {
  private readonly rng: Rng;

  constructor(rng: Rng) {
    this.rng = rng;
  }

  check(manifest: OpenManifest, items: readonly Item[]): Promise<BatchResult> {
    return Promise.resolve(checkBallots(manifest, items, this.rng));
  }
}
