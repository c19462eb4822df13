/** What is asked and how it is decided, in a few lines. */
import type { ElectionSummary } from "../api/types.ts";
import { say } from "../i18n/index.ts";
import { pickText } from "../ui/rule_words.ts";
import { optionText, rulesOf, rulesText } from "./words.ts";

export function QuestionLines({ election }: { election: ElectionSummary }) {
  return (
    <>
      {election.questions.map((question, at) => (
        <div key={at} class="stack-tight">
          <p class="pre" dir="auto">
            {question.text}
          </p>
          <p class="muted" dir="auto">
            {question.options.map((option) => optionText(question.type, option)).join(" · ")}
          </p>
          <p class="small">
            {pickText(say, question)} {rulesText(question, rulesOf(election))}
          </p>
        </div>
      ))}
    </>
  );
}
