/** Section 8, rules: quorum, majority and ties as exact integers. */
import type { Question } from "./cells.ts";
import { ensure } from "./errors.ts";
import type { MajorityKind, OpenManifest } from "./manifest.ts";

export interface Turnout {
  /** Lineages that voted, and their weight. */
  cast: number;
  castWeight: number;
}

export interface Quorum {
  met: boolean;
  count: number;
  base: number;
}

export interface Outcome {
  kind: "carried" | "rejected" | "elected" | "none" | "no-quorum" | "too-few";
  options: number[];
  /** Options with equal votes that could not all be elected. */
  tied: number[];
  /** Votes of every option; empty without a count. */
  votes: number[];
}

/** In secret votes with fewer lineages that voted, no share is made. */
export const LEAST_CAST = 3;

export const isTooFew = ({ secret }: OpenManifest, cast: number): boolean => secret && cast < LEAST_CAST;

export function quorumOf({ rules, present, presentWeight, rollSize, rollWeight }: OpenManifest, { cast, castWeight }: Turnout): Quorum {
  const { num, den, by, in: unit } = rules.quorum;
  const members = unit === "members";
  const count = by === "present" ? (members ? present : presentWeight) : members ? cast : castWeight;
  const base = members ? rollSize : rollWeight;
  return { met: BigInt(count) * BigInt(den) >= BigInt(num) * BigInt(base), count, base };
}

/** Votes of each option from the counts of its cells. */
export function votesOf({ type, options, ranks }: Question, counts: readonly number[]): number[] {
  if (type !== "borda") return counts.slice(0, options.length);
  return options.map((_, o) => counts.slice(o * ranks, (o + 1) * ranks).reduce((sum, n, r) => sum + (ranks - r) * n, 0));
}

const REACHES: Readonly<Record<MajorityKind, (votes: number, base: number) => boolean>> = {
  simple: () => true,
  absolute: (votes, base) => 2 * votes > base,
  "two-thirds": (votes, base) => 3 * votes >= 2 * base,
  "three-quarters": (votes, base) => 4 * votes >= 3 * base,
};

/** Votes that count as given without a choice. */
function undecided({ type, options, blank }: Question, counts: readonly number[]): number {
  if (type === "yes-no-abstain") return counts[2] ?? 0;
  return blank ? (counts[options.length] ?? 0) : 0;
}

export function majorityBase({ rules, presentWeight, rollWeight }: OpenManifest, question: Question, counts: readonly number[], castWeight: number): number {
  return { cast: castWeight, decided: castWeight - undecided(question, counts), present: presentWeight, roll: rollWeight }[rules.majority.of];
}

interface Decision {
  kind: Outcome["kind"];
  options: number[];
  tied: number[];
  /** The most that a casting vote may elect. */
  room: number;
}

/** What the votes alone decide. */
function decide(question: Question, votes: readonly number[], reaches: (votes: number) => boolean): Decision {
  if (question.type === "yes-no-abstain") {
    const [yes = 0, no = 0] = votes;
    const carried = yes > no && reaches(yes);
    return { kind: carried ? "carried" : "rejected", options: carried ? [0] : [], tied: yes === no ? [0, 1] : [], room: 1 };
  }
  const { seats } = question;
  const candidates = [...votes.keys()].filter((o) => (votes[o] ?? 0) > 0 && reaches(votes[o] ?? 0));
  const byVotes = candidates.map((o) => votes[o] ?? 0).sort((a, b) => b - a);
  const last = byVotes.length <= seats ? 0 : (byVotes[seats - 1] ?? 0);
  const above = candidates.filter((o) => (votes[o] ?? 0) > last);
  const equal = candidates.filter((o) => (votes[o] ?? 0) === last);
  const fit = above.length + equal.length <= seats;
  const options = fit ? [...above, ...equal].sort((a, b) => a - b) : above;
  return { kind: options.length > 0 ? "elected" : "none", options, tied: fit ? [] : equal, room: seats - above.length };
}

/** True when the chair may decide the tie so. */
function castingFits({ type }: Question, { tied, room }: Decision, options: readonly number[]): boolean {
  const ascending = options.every((option, i) => i === 0 || option > (options[i - 1] ?? 0));
  const number = options.length === 0 || (type === "yes-no-abstain" ? options.length === 1 : options.length === room);
  return ascending && number && options.every((option) => tied.includes(option));
}

function withCasting(question: Question, decision: Decision, options: readonly number[]): Decision {
  ensure(castingFits(question, decision, options), "voting.tally", "The chair's casting vote does not fit the tie.");
  if (question.type === "yes-no-abstain") {
    const carries = options[0] === 0;
    return { ...decision, kind: carries ? "carried" : "rejected", options: carries ? [0] : [] };
  }
  const elected = [...decision.options, ...options].sort((a, b) => a - b);
  return { ...decision, kind: elected.length > 0 ? "elected" : "none", options: elected };
}

const without = (kind: Outcome["kind"]): Outcome => ({ kind, options: [], tied: [], votes: [] });

/** Why no question is decided at all, or null. */
function noDecision(manifest: OpenManifest, turnout: Turnout): Outcome["kind"] | null {
  if (isTooFew(manifest, turnout.cast)) return "too-few";
  return quorumOf(manifest, turnout).met ? null : "no-quorum";
}

/** A tie that the chair decides: the options, and how many of them may be elected (or carried). */
export interface Tie {
  tied: number[];
  room: number;
}

/** The ties for which the chair's casting vote is asked for, by question. */
export function tiesToDecide(manifest: OpenManifest, turnout: Turnout, counts: readonly (readonly number[])[]): Map<number, Tie> {
  const ties = new Map<number, Tie>();
  if (manifest.rules.tie !== "casting-vote" || noDecision(manifest, turnout) !== null) return ties;
  for (const [q, question] of manifest.questions.entries()) {
    const { tied, room } = decided(manifest, question, counts[q] ?? [], turnout.castWeight);
    if (tied.length > 0) ties.set(q, { tied, room });
  }
  return ties;
}

function decided(manifest: OpenManifest, question: Question, counts: readonly number[], castWeight: number): Decision {
  const base = majorityBase(manifest, question, counts, castWeight);
  const decision = decide(question, votesOf(question, counts), (votes) => REACHES[manifest.rules.majority.kind](votes, base));
  // A tie of yes and no is one only where the chair decides it: it rejects otherwise.
  const asks = question.type !== "yes-no-abstain" || manifest.rules.tie === "casting-vote";
  return asks ? decision : { ...decision, tied: [] };
}

/**
 * The outcome of each question; `counts` is empty when too few voted.
 * @throws VotingError `voting.tally` when a casting vote is missing, not asked for, or does not fit
 */
export function evaluate(
  manifest: OpenManifest, turnout: Turnout, counts: readonly (readonly number[])[], castings: ReadonlyMap<number, readonly number[]> = new Map(),
): Outcome[] {
  const ties = tiesToDecide(manifest, turnout, counts);
  const asked = ties.size === castings.size && [...castings.keys()].every((q) => ties.has(q));
  ensure(asked, "voting.tally", "There is a casting vote without a tie, or a tie without one.");
  const why = noDecision(manifest, turnout);
  return manifest.questions.map((question, q) => {
    if (why !== null) return without(why);
    const own = counts[q] ?? [];
    const decision = decided(manifest, question, own, turnout.castWeight);
    const casting = castings.get(q);
    const { kind, options, tied } = casting === undefined ? decision : withCasting(question, decision, casting);
    return { kind, options, tied, votes: votesOf(question, own) };
  });
}
