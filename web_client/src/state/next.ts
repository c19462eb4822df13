/** The chair's one next step, bound to the rules of the meeting, and why it cannot be taken yet. */
import type { ElectionSummary, Meeting } from "../api/types.ts";
import { cosignQuorum, isOver, leadsNow } from "./meeting.ts";

export type Step =
  | "convene"
  | "begin-check-in"
  | "open"
  | "resume"
  | "start-item"
  | "open-vote"
  | "close-vote"
  | "casting-vote"
  | "wait"
  | "declare"
  | "close"
  | "done";

export type Why =
  | "roll-not-frozen"
  | "nobody-present"
  | "key-not-ready"
  | "cosigners-missing"
  | "too-few-present"
  | "waiting-cosigners"
  | "waiting-tellers"
  | "closing"
  | "closes-later"
  | "notice-too-short"
  | "no-quorum"
  | "quorum-lost"
  | "not-presiding"
  | "timer-running"
  | "over"
  | "cancelled";

export interface Next {
  step: Step;
  /** The agenda item or election that the step is about. */
  target: string;
  why: Why | null;
}

/** Below this the server refuses a secret vote. */
export const SMALLEST_ELECTORATE = 5;

const next = (step: Step, target = "", why: Why | null = null): Next => ({ step, target, why });

/** Why a drafted vote cannot be opened now, or null. */
export function whyNotOpen(meeting: Meeting, election: ElectionSummary): Why | null {
  const secret = election.secrecy === "trustees";
  if (meeting.state === "quorum-lost") return "quorum-lost";
  if (secret && meeting.key.state !== "ready") return "key-not-ready";
  if (meeting.cosigners.filter((c) => c.ready).length < cosignQuorum(meeting.cosigners.length)) return "cosigners-missing";
  const least = secret ? SMALLEST_ELECTORATE : 1;
  return meeting.quorum.present - election.excluded.length < least ? "too-few-present" : null;
}

function whyNotClosed(election: ElectionSummary, now: number): Why | null {
  if (election.closes_at > 0) return "closes-later";
  return now < election.ends_at ? "timer-running" : null;
}

function duringElection(election: ElectionSummary, now: number): Next {
  if (election.state === "open") return next("close-vote", election.election, whyNotClosed(election, now));
  if (election.state === "closing") return next("wait", election.election, "waiting-cosigners");
  if (election.state === "closed") return next("wait", election.election, "waiting-cosigners");
  if (election.state === "tied") return next("casting-vote", election.election);
  if (election.state === "counting") return next("wait", election.election, "waiting-tellers");
  return next("declare", election.election);
}

/** Steps that are not commands of who presides: the chair's own key signs them. */
const SIGNED_ALONE: ReadonlySet<Step> = new Set<Step>(["declare", "casting-vote", "wait"]);

function whileOpened(meeting: Meeting, now: number): Next {
  const running = meeting.elections.find((e) => e.state !== "draft" && !isOver(e));
  if (running) return duringElection(running, now);
  const current = meeting.agenda.find((item) => item.state === "current");
  const draft = meeting.elections.find((e) => e.state === "draft" && e.agenda_item === current?.id);
  if (draft) return next("open-vote", draft.election, whyNotOpen(meeting, draft));
  const waiting = meeting.agenda.find((item) => item.state === "waiting");
  return waiting ? next("start-item", waiting.id) : next("close");
}

function mayConvene(meeting: Meeting, now: number): Why | null {
  return meeting.notice_latest > 0 && !meeting.waived && now > meeting.notice_latest ? "notice-too-short" : null;
}

function mayOpen(meeting: Meeting): Why | null {
  if (meeting.quorum.present === 0) return "nobody-present";
  return meeting.binding && !meeting.quorum.met ? "no-quorum" : null;
}

/**
 * What the chair does next in this meeting.
 * @param now seconds since 1970, for what waits for a time.
 */
export function nextStep(meeting: Meeting, now: number): Next {
  const found = stepOf(meeting, now);
  const elsewhere = meeting.presiding !== null && !leadsNow(meeting) && !SIGNED_ALONE.has(found.step);
  return elsewhere ? { ...found, why: "not-presiding" } : found;
}

function stepOf(meeting: Meeting, now: number): Next {
  switch (meeting.state) {
    case "draft":
      return next("convene", "", mayConvene(meeting, now));
    case "convened":
    case "adjourned":
      return next("begin-check-in", "", meeting.roll.frozen ? null : "roll-not-frozen");
    case "checking-in":
      return next("open", "", mayOpen(meeting));
    case "opened":
    case "quorum-lost":
      return whileOpened(meeting, now);
    case "recess":
      return next("resume");
    case "cancelled":
      return next("done", "", "cancelled");
    case "closed":
      return next("done", "", "over");
  }
}
