/** Rules, options and outcomes in exact words. */
import type { ElectionSummary, Majority, Outcome, QuestionType, TallyCore } from "../api/types.ts";
import { t, tn } from "../i18n/index.ts";

/** Options of a yes-no-abstain question are translated; names never are. */
export function optionText(type: QuestionType, option: string): string {
  if (type === "yes-no-abstain" && (option === "yes" || option === "no" || option === "abstain")) return t(`option.${option}`);
  return option;
}

export const optionMark = (type: QuestionType, index: number): string =>
  type === "yes-no-abstain" ? (["✓", "✕", "○"][index] ?? "") : "";

export const optionTone = (type: QuestionType, index: number): string =>
  type === "yes-no-abstain" ? (["yes", "no", "abstain"][index] ?? "any") : "any";

/** What is needed, before anything is counted. */
export function majorityText(type: QuestionType, { kind, of }: Majority): string {
  if (kind === "simple") return type === "yes-no-abstain" ? t("needed.simple") : t("needed.simple-one");
  return t(`needed.${kind}`, { base: t(`base-of.${of}`) });
}

const SHARES = { absolute: [1, 2], "two-thirds": [2, 3], "three-quarters": [3, 4] } as const;

/** The number of votes that the majority asks for, as voting.md section 8 counts. */
export function votesNeeded({ kind, of }: Majority, core: TallyCore): number | null {
  if (kind === "simple") return null;
  const base = { cast: core.cast, present: core.quorum.present, roll: core.quorum.roll }[of];
  const [num, den] = SHARES[kind];
  return kind === "absolute" ? Math.floor(base / 2) + 1 : Math.ceil((num * base) / den);
}

/** What was needed, with the figures of the count. */
export function neededText(election: ElectionSummary, core: TallyCore): string {
  const rule = majorityText(election.type, election.majority);
  const votes = votesNeeded(election.majority, core);
  return votes === null ? rule : `${rule} ${tn("needed.votes", votes)}`;
}

export function outcomeText(election: ElectionSummary, outcome: Outcome): string {
  if (outcome.kind === "elected") return t("outcome.elected", { name: election.options[outcome.option] ?? "" });
  return t(`outcome.${outcome.kind}`);
}
