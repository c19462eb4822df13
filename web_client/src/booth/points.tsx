/** Questions answered by points for each option, or by an order of preference. */
import { announce } from "./announce.ts";
import { moveRank, rankNext, ranking, setScore } from "./choice.ts";
import { t } from "./i18n.ts";
import { type QuestionProps, testid } from "./question.tsx";

function Scores({ question, at, marks, set }: QuestionProps) {
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

function Ranks({ question, at, marks, set }: QuestionProps) {
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
    if (next === marks) return;
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
        {/* Never truly disabled: the button that was just pressed would lose the focus. */}
        {rank >= 0 && (
          <span class="rank-moves">
            <button type="button" class="button button-plain" aria-label={t("rank.up", name)} aria-disabled={rank === 0} data-testid={`${testid(at, index)}-up`} onClick={() => move(index, -1)}>
              ↑
            </button>
            <button type="button" class="button button-plain" aria-label={t("rank.down", name)} aria-disabled={rank === order.length - 1} data-testid={`${testid(at, index)}-down`} onClick={() => move(index, 1)}>
              ↓
            </button>
          </span>
        )}
      </div>
    );
  });
}

export const score = Scores;
export const rank = Ranks;
