/** Section 5: a question of the manifest, read strictly. */
import { QUESTION_TYPES, type Question } from "./cells.ts";
import type { Json } from "./encoding.ts";
import { ensure } from "./errors.ts";
import { Fields, allDifferent, textItem } from "./strict.ts";

const YES_NO_ABSTAIN = "yes no abstain";

/** Whether the fields of a question fit its type. */
function fits({ type, options, min, max, blank, score, ranks, seats }: Question): boolean {
  const n = options.length;
  const chosen = type === "m-of-n" || type === "multi-seat";
  if ((blank && !chosen) || (type === "score" ? score < 1 : score !== 1) || (type !== "borda" && ranks !== 0)) return false;
  switch (type) {
    case "yes-no-abstain":
      return options.join(" ") === YES_NO_ABSTAIN && n === 3 && min === 1 && max === 1 && seats === 1;
    case "one-of-n":
      return min === 1 && max === 1 && seats === 1;
    case "m-of-n":
      return min <= max && max >= 1 && max <= n;
    case "multi-seat":
      return seats >= 2 && seats < n && max === seats && min <= max;
    case "approval":
      return min === 0 && max === n;
    default:
      return min === 0 && max === 0 && (type === "score" || (n <= 10 && ranks >= 1 && ranks <= n));
  }
}

export function readQuestion(value: Json): Question {
  const f = new Fields(value, "A question", ["type", "text", "options", "min", "max", "blank", "score", "ranks", "seats"]);
  const options = f.list("options", 2, 32).map((option) => textItem(option, "An option"));
  const question: Question = {
    type: f.one("type", QUESTION_TYPES), text: f.longText("text"), options, min: f.int("min", 0, 32), max: f.int("max", 0, 32),
    blank: f.flag("blank"), score: f.int("score", 1, 10), ranks: f.int("ranks", 0, 10), seats: f.int("seats", 1, options.length),
  };
  ensure(allDifferent(options) && fits(question), "voting.manifest", "A question's fields do not fit its type.");
  return question;
}
