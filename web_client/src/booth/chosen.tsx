/** What was chosen, in words: on the review and on the second device of an audit. */
import type { Question } from "../ballot/manifest.ts";
import { type Marks, ranking, shapeOf } from "./choice.ts";
import { t } from "./i18n.ts";
import { markOf, optionText, toneOf } from "./question.tsx";

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
