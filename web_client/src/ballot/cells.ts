/** Section 5, without anything imported so that the booth's page can use it: what each type of question seals (its cells), and which sums of cells must lie in a range (its constraints). */
export const QUESTION_TYPES = ["yes-no-abstain", "one-of-n", "m-of-n", "multi-seat", "approval", "score", "borda"] as const;
export type QuestionType = (typeof QUESTION_TYPES)[number];

export interface Question {
  type: QuestionType;
  text: string;
  options: string[];
  min: number;
  max: number;
  blank: boolean;
  score: number;
  ranks: number;
  seats: number;
}

/** Σ weight · cell lies in lo..hi. */
export interface Constraint {
  lo: number;
  hi: number;
  terms: readonly (readonly [cell: number, weight: number])[];
}

/** The sealed numbers of one question: `cells` of them, each 0..most. */
export interface Layout {
  cells: number;
  most: number;
  constraints: readonly Constraint[];
  /** Bytes of the question in a sealed ballot. */
  bytes: number;
}

export const MAX_CELLS = 128;

/** Bytes of a range proof for one of m values. */
export const rangeBytes = (m: number): number => 128 * m - 32;

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const sum = (lo: number, hi: number, cells: readonly number[]): Constraint => ({ lo, hi, terms: cells.map((cell) => [cell, 1]) });

function constraintsOf({ type, options, min, max, blank, ranks }: Question): Constraint[] {
  const n = options.length;
  switch (type) {
    case "approval":
    case "score":
      return [];
    case "borda":
      return [
        ...upTo(ranks).map((r) => sum(1, 1, upTo(n).map((o) => o * ranks + r))),
        ...upTo(n).map((o) => sum(ranks === n ? 1 : 0, 1, upTo(ranks).map((r) => o * ranks + r))),
      ];
    default: {
      const options = sum(min, max, upTo(n));
      return [blank ? { ...options, terms: [...options.terms, [n, max]] } : options];
    }
  }
}

export function layoutOf(question: Question): Layout {
  const { type, options, blank, score, ranks } = question;
  const cells = type === "borda" ? options.length * ranks : options.length + (blank ? 1 : 0);
  const constraints = constraintsOf(question);
  const bytes = constraints.reduce((all, { lo, hi }) => all + rangeBytes(hi - lo + 1), cells * (64 + rangeBytes(score + 1)));
  return { cells, most: score, constraints, bytes };
}

/** True when the cells' values are an answer that the question allows. */
export function allowed({ cells, most, constraints }: Layout, values: readonly number[]): boolean {
  return (
    values.length === cells &&
    values.every((value) => Number.isInteger(value) && value >= 0 && value <= most) &&
    constraints.every((constraint) => {
      const total = sumOf(constraint, values);
      return total >= constraint.lo && total <= constraint.hi;
    })
  );
}

export const sumOf = ({ terms }: Constraint, values: readonly number[]): number =>
  terms.reduce((total, [cell, weight]) => total + weight * (values[cell] ?? 0), 0);
