/** One question of a ballot: radio buttons, boxes to tick, points or an order. Everything works by keyboard alone. */
import type { Question } from "../ballot/manifest.ts";
import { announce } from "../ui/announce.ts";
import { blankCell, chosenCount, type Lack, type Marks, moveRank, pickOne, rankNext, ranking, setScore, shapeOf, toggle } from "./choice.ts";
import { say, t } from "./i18n.ts";
import { pickText } from "../ui/rule_words.ts";

interface Props {
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

const testid = (at: number, option: number): string => (at === 0 ? `booth-option-${option}` : `booth-option-${at}-${option}`);

/** What is still missing, in words. */
export function lackText(question: Question, lack: Lack): string {
  if (lack === "more") return t("choose.more", { max: question.max });
  if (lack === "one") return t("choose.missing");
  return pickText(say, question);
}

export function QuestionField(props: Props) {
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
      {shape === "score" && <Scores {...props} />}
      {shape === "rank" && <Ranks {...props} />}
      {lack !== null && (
        <p class="note note-bad" role="alert">
          {lackText(question, lack)}
        </p>
      )}
    </fieldset>
  );
}

function One({ question, at, marks, set }: Props) {
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

function Several({ question, at, marks, set }: Props) {
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

function Scores({ question, at, marks, set }: Props) {
  const levels = Array.from({ length: question.score + 1 }, (_, points) => points);
  return question.options.map((option, index) => (
    <fieldset key={option} class="score" data-testid={testid(at, index)}>
      <legend dir="auto">{option}</legend>
      <div class="score-levels">
        {levels.map((points) => (
          <label key={points} class="score-level">
            <input
              type="radio"
              name={`question-${at}-${index}`}
              checked={(marks?.[index] ?? 0) === points && marks !== null}
              data-testid={`${testid(at, index)}-points-${points}`}
              onChange={() => set(setScore(question, marks, index, points))}
            />
            <span>{points}</span>
          </label>
        ))}
      </div>
    </fieldset>
  ));
}

function Ranks({ question, at, marks, set }: Props) {
  const order = ranking(question, marks);
  const place = (option: number): void => {
    const next = rankNext(question, marks, option);
    if (next === marks) return announce(t("rank.full", { n: question.ranks }));
    const rank = ranking(question, next).indexOf(option);
    announce(rank < 0 ? t("rank.removed", { name: question.options[option] ?? "" }) : t("rank.placed", { name: question.options[option] ?? "", n: rank + 1 }));
    set(next);
  };
  const move = (option: number, by: 1 | -1): void => {
    const next = moveRank(question, marks, option, by);
    announce(t("rank.placed", { name: question.options[option] ?? "", n: ranking(question, next).indexOf(option) + 1 }));
    set(next);
  };
  // The list keeps its order, so that focus and reading position stay while ranks change.
  return question.options.map((option, index) => {
    const rank = order.indexOf(index);
    const name = { name: option, n: rank + 1 };
    return (
      <div key={option} class={`option rank tone-any ${rank >= 0 ? "rank-on" : ""}`} data-rank={rank + 1}>
        <button type="button" class="rank-main" aria-pressed={rank >= 0} data-testid={testid(at, index)} onClick={() => place(index)}>
          <span class="rank-number" aria-hidden="true">
            {rank >= 0 ? rank + 1 : "–"}
          </span>
          <span dir="auto">{option}</span>
          <span class="visually-hidden">{rank >= 0 ? t("rank.is", { n: rank + 1 }) : t("rank.none")}</span>
        </button>
        {rank >= 0 && (
          <span class="rank-moves">
            <button type="button" class="button button-plain" aria-label={t("rank.up", name)} disabled={rank === 0} data-testid={`${testid(at, index)}-up`} onClick={() => move(index, -1)}>
              ↑
            </button>
            <button type="button" class="button button-plain" aria-label={t("rank.down", name)} disabled={rank === order.length - 1} data-testid={`${testid(at, index)}-down`} onClick={() => move(index, 1)}>
              ↓
            </button>
          </span>
        )}
      </div>
    );
  });
}

/** The answers as the voter gave them, for the review. */
export function Chosen({ question, at, marks }: { question: Question; at: number; marks: Marks }) {
  const lines = chosenLines(question, marks);
  return (
    <div class="stack-tight" data-testid={`booth-chosen-${at}`}>
      {lines.length === 0 && <p class="chosen tone-any">{t("review.nothing")}</p>}
      {lines.map(({ option, text, mark, tone }) => (
        <p key={option} class={`chosen ${lines.length > 1 ? "chosen-small" : ""} tone-${tone}`}>
          <span class="option-mark" aria-hidden="true">
            {mark}
          </span>
          <span dir="auto">{text}</span>
        </p>
      ))}
    </div>
  );
}

function chosenLines(question: Question, marks: Marks): { option: number; text: string; mark: string; tone: string }[] {
  const name = (option: number): string => optionText(question.type, question.options[option] ?? t("option.blank"));
  const line = (option: number, text: string, mark = markOf(question, option)) => ({ option, text, mark, tone: toneOf(question, option) });
  if (shapeOf(question) === "rank") return ranking(question, marks).map((option, rank) => line(option, name(option), `${rank + 1}.`));
  if (shapeOf(question) === "score") {
    return question.options.map((_, option) => line(option, t("review.points", { name: name(option), n: marks?.[option] ?? 0 })));
  }
  return (marks ?? []).flatMap((value, option) => (value === 1 ? [line(option, name(option))] : []));
}
