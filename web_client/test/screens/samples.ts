/** Elections and tallies as the server sends them, with every field. */
import type { ElectionSummary, Question, TallyCore } from "../../src/api/types.ts";

export const question = (fields: Partial<Question> = {}): Question => ({
  type: "yes-no-abstain", text: "?", options: ["yes", "no", "abstain"], min: 1, max: 1, blank: false, score: 1, ranks: 0, seats: 1, ...fields,
});

export const election = (fields: Partial<ElectionSummary> = {}): ElectionSummary => ({
  election: "e1", agenda_item: "a1", title: "Vote", questions: [question()], secrecy: "trustees", voting_again: "once", majority: { kind: "simple", of: "cast" },
  tie: "rejected", kiosk: false, closes_at: 0, weighted: false, state: "draft", electorate_size: 0, present_weight: 50, roll_weight: 60, cast: 0, voted: false,
  excluded: [], warnings: [], me: { lineage: "", credential: "", weight: 1, seq: 0 }, result: null, ...fields,
});

export const core = (cast: number, counts: number[][] = []): TallyCore => ({
  v: 1, election: "e1", manifest: "", closing: "", aggregate: "", ballots: cast, cast, cast_weight: cast, replacements: 0, kiosk: 0, voids: 0, counts,
  trustees: [], rejected: [], quorum: { met: true, count: 50, base: 60 }, outcome: [], exceptions: 0, counted_at: 0,
});
