/** What a voter has marked so far, as the values of a question's cells (voting.md section 5). Pure. */
import type { Question } from "../ballot/manifest.ts";

/** One value per cell; null where the voter has not touched the question. */
export type Marks = readonly number[] | null;

export type Shape = "one" | "several" | "score" | "rank";

/** How a question is answered on the page. */
export function shapeOf(question: Question): Shape {
  if (question.type === "score") return "score";
  if (question.type === "borda") return "rank";
  return question.type === "yes-no-abstain" || question.type === "one-of-n" ? "one" : "several";
}

/** Number of cells of a question. */
export function cellCount(question: Question): number {
  if (question.type === "borda") return question.options.length * question.ranks;
  return question.options.length + (question.blank ? 1 : 0);
}

const empty = (question: Question): number[] => Array.from({ length: cellCount(question) }, () => 0);

/** Index of the blank cell, or -1. */
export const blankCell = (question: Question): number => (question.blank ? question.options.length : -1);

/** Marks one option and no other. */
export function pickOne(question: Question, option: number): Marks {
  return empty(question).map((_, cell) => Number(cell === option));
}

/** Marks or unmarks one of several options; the blank cell and the options exclude each other. */
export function toggle(question: Question, marks: Marks, cell: number): Marks {
  const blank = blankCell(question);
  const now = marks ?? empty(question);
  const value = now[cell] === 1 ? 0 : 1;
  return now.map((old, at) => {
    if (at === cell) return value;
    return value === 1 && (cell === blank || at === blank) ? 0 : old;
  });
}

/** Gives an option points. */
export function setScore(question: Question, marks: Marks, option: number, points: number): Marks {
  return (marks ?? empty(question)).map((old, at) => (at === option ? points : old));
}

/** The options in the order of their ranks, best first. */
export function ranking(question: Question, marks: Marks): number[] {
  const order: number[] = [];
  for (let rank = 0; rank < question.ranks; rank += 1) {
    const option = question.options.findIndex((_, at) => marks?.[at * question.ranks + rank] === 1);
    if (option >= 0) order.push(option);
  }
  return order;
}

/** Puts an option at the next free rank, or takes it out and moves those behind it up. */
export function rankNext(question: Question, marks: Marks, option: number): Marks {
  const order = ranking(question, marks);
  if (order.includes(option)) return ranked(question, order.filter((one) => one !== option));
  return order.length < question.ranks ? ranked(question, [...order, option]) : marks;
}

/** Moves a ranked option by one place. */
export function moveRank(question: Question, marks: Marks, option: number, by: 1 | -1): Marks {
  const order = ranking(question, marks);
  const from = order.indexOf(option);
  const to = from + by;
  if (from < 0 || to < 0 || to >= order.length) return marks;
  const other = order[to] as number;
  return ranked(question, order.map((one) => (one === option ? other : one === other ? option : one)));
}

function ranked(question: Question, order: readonly number[]): Marks {
  const marks = empty(question);
  order.forEach((option, rank) => (marks[option * question.ranks + rank] = 1));
  return marks;
}

export type Lack = "one" | "fewer" | "more" | "points" | "ranks";

/** What is missing before a question is answered, or null. */
export function lackOf(question: Question, marks: Marks): Lack | null {
  const shape = shapeOf(question);
  if (shape === "score") return marks === null ? "points" : null;
  if (shape === "rank") return ranking(question, marks).length === question.ranks ? null : "ranks";
  const chosen = chosenCount(question, marks);
  if (shape === "one") return chosen === 1 ? null : "one";
  if (marks?.[blankCell(question)] === 1) return null;
  if (marks === null && question.type !== "approval" && question.min > 0) return "fewer";
  if (chosen > question.max) return "more";
  return chosen < question.min ? "fewer" : null;
}

/** How many options are marked, the blank cell aside. */
export function chosenCount(question: Question, marks: Marks): number {
  return (marks ?? []).slice(0, question.options.length).filter((value) => value === 1).length;
}

/** The cells to seal; an untouched question that needs nothing is all zero. */
export const cellsOf = (question: Question, marks: Marks): number[] => [...(marks ?? empty(question))];
