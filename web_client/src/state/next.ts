/** The chair's one next step, bound to the rules of the meeting, and why it cannot be taken yet. */
import type { ElectionSummary, Meeting } from "../api/types.ts";
import { cosignQuorum, isOver } from "./meeting.ts";

export type Step =
  | "convene"
  | "begin-check-in"
  | "open"
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
  | "over";

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
  if (secret && meeting.key.state !== "ready") return "key-not-ready";
  if (meeting.cosigners.filter((c) => c.ready).length < cosignQuorum(meeting.cosigners.length)) return "cosigners-missing";
  const least = secret ? SMALLEST_ELECTORATE : 1;
  return meeting.quorum.present - election.excluded.length < least ? "too-few-present" : null;
}

function duringElection(election: ElectionSummary): Next {
  if (election.state === "open") return next("close-vote", election.election, election.closes_at > 0 ? "closes-later" : null);
  if (election.state === "closing") return next("wait", election.election, "waiting-cosigners");
  if (election.state === "closed") return next("wait", election.election, "waiting-cosigners");
  if (election.state === "tied") return next("casting-vote", election.election);
  if (election.state === "counting") return next("wait", election.election, "waiting-tellers");
  return next("declare", election.election);
}

function whileOpened(meeting: Meeting): Next {
  const running = meeting.elections.find((e) => e.state !== "draft" && !isOver(e));
  if (running) return duringElection(running);
  const current = meeting.agenda.find((item) => item.state === "current");
  const draft = meeting.elections.find((e) => e.state === "draft" && e.agenda_item === current?.id);
  if (draft) return next("open-vote", draft.election, whyNotOpen(meeting, draft));
  const waiting = meeting.agenda.find((item) => item.state === "waiting");
  return waiting ? next("start-item", waiting.id) : next("close");
}

/** What the chair does next in this meeting. */
export function nextStep(meeting: Meeting): Next {
  switch (meeting.state) {
    case "draft":
      return next("convene");
    case "convened":
      return next("begin-check-in", "", meeting.roll.frozen ? null : "roll-not-frozen");
    case "checking-in":
      return next("open", "", meeting.quorum.present === 0 ? "nobody-present" : null);
    case "opened":
      return whileOpened(meeting);
    case "closed":
      return next("done", "", "over");
  }
}
