/** Options and outcomes in exact words; the rules themselves are in ui/rule_words.ts. */
import type { ElectionSummary, Outcome, Question, QuestionType, TallyCore } from "../api/types.ts";
import { say, t, tn } from "../i18n/index.ts";
import type { Voted } from "../state/wall.ts";
import { ruleSentences, type VoteRules, winText } from "../ui/rule_words.ts";

/** Options of a yes-no-abstain question are translated; names never are. */
export function optionText(type: QuestionType, option: string): string {
  if (type === "yes-no-abstain" && (option === "yes" || option === "no" || option === "abstain")) return t(`option.${option}`);
  return option;
}

export const optionMark = (type: QuestionType, index: number): string =>
  type === "yes-no-abstain" ? (["✓", "✕", "○"][index] ?? "") : "";

export const optionTone = (type: QuestionType, index: number): string =>
  type === "yes-no-abstain" ? (["yes", "no", "abstain"][index] ?? "any") : "any";

/** The rules of an election, for the sentences; the quorum is the meeting's. */
export const rulesOf = (election: Pick<ElectionSummary, "majority" | "tie">, quorum?: VoteRules["quorum"]): VoteRules => ({
  majority: election.majority,
  tie: election.tie,
  ...(quorum ? { quorum } : {}),
});

/** What is needed, before anything is counted. */
export const rulesText = (question: Question, rules: VoteRules): string => ruleSentences(say, question, rules).join(" ");

const SHARES = { absolute: [1, 2], "two-thirds": [2, 3], "three-quarters": [3, 4] } as const;

/** Votes of the blank cell, or of those who abstained. */
function aside(question: Question, counts: readonly number[]): number {
  if (question.type === "yes-no-abstain") return counts[2] ?? 0;
  return question.blank ? (counts[question.options.length] ?? 0) : 0;
}

/** The number of votes that the majority asks for, as voting.md section 8 counts; null where none is asked. */
export function votesNeeded(election: Voted, core: TallyCore, at: number): number | null {
  const { kind, of } = election.majority;
  const question = election.questions[at];
  if (kind === "simple" || !question) return null;
  const decided = core.cast_weight - aside(question, core.counts[at] ?? []);
  const base = { cast: core.cast_weight, decided, present: election.present_weight, roll: election.roll_weight }[of];
  const [num, den] = SHARES[kind];
  return kind === "absolute" ? Math.floor(base / 2) + 1 : Math.ceil((num * base) / den);
}

/** What was needed, with the figures of the count. */
export function neededText(election: Voted, core: TallyCore, at: number): string {
  const question = election.questions[at];
  if (!question) return "";
  const rule = winText(say, question, rulesOf(election));
  const votes = votesNeeded(election, core, at);
  return votes === null ? rule : `${rule} ${tn("needed.votes", votes)}`;
}

export function outcomeText(question: Question, outcome: Outcome): string {
  if (outcome.kind === "elected") {
    const names = outcome.options.map((option) => question.options[option] ?? "");
    return names.length === 1 ? t("outcome.elected", { name: names[0] ?? "" }) : t("outcome.elected-some", { names: names.join(", ") });
  }
  return t(`outcome.${outcome.kind}`);
}

/** Who is left tied, in words, or "". */
export function tiedText(question: Question, outcome: Outcome): string {
  if (outcome.tied.length === 0) return "";
  const names = outcome.tied.map((option) => optionText(question.type, question.options[option] ?? "")).join(", ");
  return t("outcome.tied", { names });
}
