/** One question of a ballot: radio buttons or boxes to tick here, points and orders in points.tsx. All of it works by keyboard alone. */
import type { Question } from "../ballot/manifest.ts";
import { blankCell, chosenCount, type Lack, type Marks, pickOne, shapeOf, toggle } from "./choice.ts";
import { say, t } from "./i18n.ts";
import { Later } from "./later.tsx";
import { pickText } from "../ui/rule_words.ts";

export interface QuestionProps {
  question: Question;
  /** Position on the ballot, from 0. */
  at: number;
  marks: Marks;
  lack: Lack | null;
  set: (marks: Marks) => void;
}

const MARKS = ["✓", "✕", "○"];
const TONES = ["yes", "no", "abstain"];
export const markOf = (question: Question, index: number): string => (question.type === "yes-no-abstain" ? (MARKS[index] ?? "") : "");
export const toneOf = (question: Question, index: number): string => (question.type === "yes-no-abstain" ? (TONES[index] ?? "any") : "any");

/** Options of a yes-no-abstain question are translated, names never are. */
export const optionText = (type: Question["type"], option: string): string =>
  type === "yes-no-abstain" && (option === "yes" || option === "no" || option === "abstain") ? t(`option.${option}`) : option;

export const testid = (at: number, option: number): string => (at === 0 ? `booth-option-${option}` : `booth-option-${at}-${option}`);

/** What is still missing, in words. */
export function lackText(question: Question, lack: Lack): string {
  if (lack === "more") return t("choose.more", { max: question.max });
  if (lack === "one") return t("choose.missing");
  return pickText(say, question);
}

export function QuestionField(props: QuestionProps) {
  const { question, at, lack } = props;
  const hint = `booth-hint-${at}`;
  const shape = shapeOf(question);
  return (
    <fieldset class="stack-tight" aria-describedby={hint} data-testid={`booth-question-${at}`} data-type={question.type}>
      <legend class="pre booth-question" dir="auto">
        {question.text}
      </legend>
      <p id={hint} class="muted">
        {pickText(say, question)}
        {shape === "several" && ` ${t("choose.chosen", { n: chosenCount(question, props.marks) })}`}
      </p>
      {shape === "one" && <One {...props} />}
      {shape === "several" && <Several {...props} />}
      {(shape === "score" || shape === "rank") && <Later load={() => import("./points.tsx").then((points) => points[shape])} props={props} />}
      {lack !== null && (
        <p class="note note-bad" role="alert">
          {lackText(question, lack)}
        </p>
      )}
    </fieldset>
  );
}

function One({ question, at, marks, set }: QuestionProps) {
  return question.options.map((option, index) => (
    <label key={option} class={`option tone-${toneOf(question, index)}`}>
      <input type="radio" name={`question-${at}`} checked={marks?.[index] === 1} data-testid={testid(at, index)} onChange={() => set(pickOne(question, index))} />
      <span class="option-mark" aria-hidden="true">
        {markOf(question, index)}
      </span>
      <span dir="auto">{optionText(question.type, option)}</span>
    </label>
  ));
}

function Several({ question, at, marks, set }: QuestionProps) {
  const blank = blankCell(question);
  const box = (cell: number, label: string) => (
    <label key={cell} class={`option tone-any ${cell === blank ? "option-blank" : ""}`}>
      <input type="checkbox" checked={marks?.[cell] === 1} data-testid={testid(at, cell)} onChange={() => set(toggle(question, marks, cell))} />
      <span dir="auto">{label}</span>
    </label>
  );
  return (
    <>
      {question.options.map((option, index) => box(index, option))}
      {blank >= 0 && box(blank, t("option.blank"))}
    </>
  );
}
