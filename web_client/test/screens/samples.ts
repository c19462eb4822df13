/** Elections and tallies as the server sends them, with every field. */
import type { FloorMeeting } from "../../src/api/types_floor.ts";
import type { AgendaItem, ElectionSummary, Question, TallyCore } from "../../src/api/types.ts";
import type { ConductMeeting } from "../../src/api/types_conduct.ts";
import type { SitesMeeting } from "../../src/api/types_sites.ts";

export const question = (fields: Partial<Question> = {}): Question => ({
  type: "yes-no-abstain", text: "?", options: ["yes", "no", "abstain"], min: 1, max: 1, blank: false, score: 1, ranks: 0, seats: 1, ...fields,
});

export const election = (fields: Partial<ElectionSummary> = {}): ElectionSummary => ({
  election: "e1", agenda_item: "a1", title: "Vote", questions: [question()], secrecy: "trustees", voting_again: "once", majority: { kind: "simple", of: "cast" },
  tie: "rejected", kiosk: false, grace_s: 2, closes_at: 0, ends_at: 0, weighted: false, state: "draft", electorate_size: 0, present_weight: 50, roll_weight: 60, cast: 0, voted: false,
  excluded: [], warnings: [], me: { lineage: "", credential: "", weight: 1, seq: 0 }, result: null, ...fields,
});

export const core = (cast: number, counts: number[][] = []): TallyCore => ({
  v: 1, election: "e1", manifest: "", closing: "", aggregate: "", ballots: cast, cast, cast_weight: cast, replacements: 0, kiosk: 0, voids: 0, counts,
  rejected: [], quorum: { met: true, count: 50, base: 60 }, outcome: [], exceptions: 0, halls: [], counted_at: 0,
});

/** An item at the top; its number and place are its own business. */
export const item = (id: string, title: string, state: AgendaItem["state"], fields: Partial<AgendaItem> = {}): AgendaItem => ({
  id, title, state, parent: "", position: 0, number: "1", minutes: 0, internal: false, carried_from: "", version: 0, ...fields,
});

/** What a snapshot says of a meeting that is neither interrupted nor bound by anything. */
export const conduct: ConductMeeting = {
  notice_days: 0, notice_latest: 0, waived: false, binding: false, until: 0, reason: "", presiding: null, offered_to: null, lost_chair: "", deputies: [],
};

/** What a snapshot says of a meeting in which nobody speaks and nothing is moved. */
export const quiet: FloorMeeting = {
  speaking: { turn_s: 0, group_s: 0, order_s: 0, open: true, queue: [], now: null, groups: [], pro: 0, contra: 0 }, motions: [], motion_rules: { seconders: 1 },
};

/** What a snapshot says of a meeting without halls. */
export const alone: SitesMeeting = { sites: [], disputes: [], presence: null, alerts: [] };
