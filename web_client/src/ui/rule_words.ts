/** The rules of a vote in sentences, from the manifest's data, the same on every page. Keys: i18n/rules_*.json. */
import type { Question } from "../ballot/manifest.ts";

export type Say = (key: string, params?: Record<string, string | number>) => string;

export interface VoteRules {
  majority: { kind: string; of: string };
  tie: string;
  quorum?: { num: number; den: number; by: string; in: string };
}

const POINTS = new Set(["score", "borda"]);

/** What the voter may mark. */
export function pickText(say: Say, question: Question): string {
  const { type, min, max, options } = question;
  if (type === "score") return say("rule.pick.score", { max: question.score });
  if (type === "borda") return say("rule.pick.rank", { n: question.ranks });
  if (type === "yes-no-abstain" || type === "one-of-n") return say("rule.pick.one");
  const blank = question.blank ? ` ${say("rule.pick.blank")}` : "";
  if (type === "approval") return say("rule.pick.any");
  if (min === max) return say("rule.pick.exactly", { n: max }) + blank;
  return say(min === 0 ? "rule.pick.up-to" : "rule.pick.between", { min, max, n: options.length }) + blank;
}

/** What carries or elects. */
export function winText(say: Say, question: Question, { majority }: VoteRules): string {
  const yes = question.type === "yes-no-abstain";
  const votes = say(POINTS.has(question.type) ? "rule.points" : "rule.votes");
  const most = { votes, n: question.seats };
  if (majority.kind === "simple") {
    if (yes) return say("rule.win.yes-simple");
    return say(question.seats === 1 ? "rule.win.one" : "rule.win.some", most);
  }
  const needed = { share: say(`rule.share.${majority.kind}`), base: say(`rule.base.${majority.of}`) };
  if (yes) return say("rule.win.yes", needed);
  return say(question.seats === 1 ? "rule.win.one-of" : "rule.win.some-of", { ...most, ...needed });
}

/** What happens in a tie. */
export function tieText(say: Say, question: Question, { tie }: VoteRules): string {
  if (tie === "casting-vote") return say("rule.tie.casting-vote");
  return say(question.type === "yes-no-abstain" ? "rule.tie.yes" : "rule.tie.rejected");
}

/** The quorum, or "" where none is asked for. */
export function quorumText(say: Say, { quorum }: VoteRules): string {
  if (!quorum || quorum.num === 0) return "";
  return say(`rule.quorum.${quorum.by}.${quorum.in}`, { num: quorum.num, den: quorum.den });
}

/** Every sentence on how one question is decided. */
export function ruleSentences(say: Say, question: Question, rules: VoteRules): string[] {
  return [winText(say, question, rules), tieText(say, question, rules), quorumText(say, rules)].filter((one) => one !== "");
}
