/** A question as it is being written, and the manifest's question made of it (voting.md section 5). Pure. */
import type { Question, QuestionType } from "../api/types.ts";

export const TYPES: readonly QuestionType[] = ["yes-no-abstain", "one-of-n", "m-of-n", "multi-seat", "approval", "score", "borda"];
export const MOST_QUESTIONS = 8;
export const MOST_OPTIONS: Readonly<Record<QuestionType, number>> = {
  "yes-no-abstain": 3,
  "one-of-n": 32,
  "m-of-n": 31,
  "multi-seat": 31,
  approval: 32,
  score: 32,
  borda: 10,
};
const YES_NO = ["yes", "no", "abstain"];

/** Numbers are kept as typed, so that a half-written one is not changed under the writer's hands. */
export interface DraftQuestion {
  type: QuestionType;
  text: string;
  options: readonly string[];
  min: string;
  max: string;
  blank: boolean;
  score: string;
  ranks: string;
  seats: string;
}

export const emptyDraft = (): DraftQuestion => ({ type: "yes-no-abstain", text: "", options: ["", ""], min: "1", max: "2", blank: false, score: "5", ranks: "2", seats: "1" });

export const usesOptions = (type: QuestionType): boolean => type !== "yes-no-abstain";
export const usesPoints = (type: QuestionType): boolean => type === "score" || type === "borda";

const whole = (typed: string, least: number, most: number): number => {
  const value = Number.parseInt(typed, 10);
  return Number.isNaN(value) ? least : Math.min(Math.max(value, least), Math.max(least, most));
};

/** The fields that the type fixes are set, the others brought into their bounds; the server checks them anew. */
export function questionOf(draft: DraftQuestion): Question {
  const options = usesOptions(draft.type) ? draft.options.map((option) => option.trim()).filter(Boolean) : YES_NO;
  const n = options.length;
  const seats = whole(draft.seats, 1, n);
  const shared = { type: draft.type, text: draft.text.trim(), options, blank: false, score: 1, ranks: 0, seats };
  switch (draft.type) {
    case "yes-no-abstain":
    case "one-of-n":
      return { ...shared, min: 1, max: 1, seats: 1 };
    case "m-of-n": {
      const max = whole(draft.max, 1, n);
      return { ...shared, min: whole(draft.min, 0, max), max, blank: draft.blank };
    }
    case "multi-seat": {
      const places = whole(draft.seats, 2, n - 1);
      return { ...shared, min: whole(draft.min, 0, places), max: places, seats: places, blank: draft.blank };
    }
    case "approval":
      return { ...shared, min: 0, max: n };
    case "score":
      return { ...shared, min: 0, max: 0, score: whole(draft.score, 1, 10) };
    case "borda":
      return { ...shared, min: 0, max: 0, ranks: whole(draft.ranks, 1, n) };
  }
}
