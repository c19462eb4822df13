/** From what a voter ticks to the cells' values of section 5, and back to words for a second device. */
import { type Question, layoutOf } from "./cells.ts";

const zeros = (n: number): number[] => Array.from({ length: n }, () => 0);

/** These options get one vote each. */
export function chosen(question: Question, options: readonly number[]): number[] {
  const cells = zeros(layoutOf(question).cells);
  for (const option of options) cells[option] = 1;
  return cells;
}

/** An empty vote that counts as cast; only where the question has a blank cell. */
export const blankVote = (question: Question): number[] => chosen(question, [question.options.length]);

/** Points for each option. */
export const scored = (_question: Question, points: readonly number[]): number[] => [...points];

/** Options from the best on, as many as the question has ranks. */
export function ranked(question: Question, order: readonly number[]): number[] {
  const cells = zeros(layoutOf(question).cells);
  for (const [rank, option] of order.entries()) cells[option * question.ranks + rank] = 1;
  return cells;
}

/** What the values say of each option: votes, points, or the rank from 1 (0 without one). */
export function meaning(question: Question, cells: readonly number[]): { blank: boolean; options: number[] } {
  const { options, ranks, type } = question;
  if (type !== "borda") return { blank: question.blank && cells[options.length] === 1, options: cells.slice(0, options.length) };
  return { blank: false, options: options.map((_, o) => cells.slice(o * ranks, (o + 1) * ranks).indexOf(1) + 1) };
}
