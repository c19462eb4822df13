/** What a meeting asks of me now, and whose turn it is. Pure: reads the snapshot only. */
import type { Meeting, Role } from "../api/types.ts";
import type { Site } from "../api/types_sites.ts";
import { cosignQuorum, hasResult, inSession, isEnded, isRunning, leadsNow, roomOpen } from "./meeting.ts";

export type Duty =
  | "vote"
  | "cosign"
  | "count"
  | "declare"
  | "check-in"
  | "hall"
  | "cosigner-key"
  | "teller-key"
  | "freeze-roll"
  | "convene"
  | "begin-check-in"
  | "open"
  | "lead"
  | "accept-chair"
  | "resume-chair"
  | "audit";

const PAGES: Record<Duty, string> = {
  vote: "/room/votes",
  cosign: "",
  count: "/teller",
  declare: "/room/chair",
  "check-in": "/check-in",
  hall: "",
  "cosigner-key": "",
  "teller-key": "/teller",
  "freeze-roll": "/prepare",
  convene: "/prepare",
  "begin-check-in": "/prepare",
  open: "/room/chair",
  lead: "/room/chair",
  "accept-chair": "/room/chair",
  "resume-chair": "/room/chair",
  audit: "/audit",
};

/** Where a duty is done. */
export const pageOf = (meeting: string, duty: Duty): string => `/meetings/${meeting}${PAGES[duty]}`;

/** The first hall that I look after and whose page is not open there. */
export const hallToOpen = (meeting: Meeting): Site | undefined =>
  meeting.sites.find((site) => site.kind === "hall" && site.custodian === meeting.me.member && ["invited", "tested", "lost"].includes(site.state));

const running = (meeting: Meeting) => meeting.elections.find(isRunning);

function inTheVote(meeting: Meeting): Duty[] {
  const election = running(meeting);
  const { me } = meeting;
  switch (election?.state) {
    case "open":
      return me.checked_in && me.credential !== null && !election.voted ? ["vote"] : [];
    case "closed":
      return meeting.cosigners.some((cosigner) => cosigner.name === me.cosigner && cosigner.ready) ? ["cosign"] : [];
    case "counting":
      return me.trustee > 0 ? ["count"] : [];
    case "counted":
      return me.roles.includes("chair") && me.checked_in ? ["declare"] : [];
    default:
      return [];
  }
}

function toPrepare(meeting: Meeting): Duty[] {
  const is = (...roles: Role[]): boolean => roles.some((role) => meeting.me.roles.includes(role));
  const asked: Duty[] = [];
  if (!meeting.roll.frozen && is("registrar")) asked.push("freeze-roll");
  if (meeting.state === "draft" && meeting.roll.frozen && is("secretary", "chair")) asked.push("convene");
  if ((meeting.state === "convened" || meeting.state === "adjourned") && meeting.roll.frozen && is("secretary", "chair")) asked.push("begin-check-in");
  return asked;
}

function toLead(meeting: Meeting): Duty[] {
  if (!meeting.me.roles.includes("chair") || !meeting.me.checked_in) return [];
  if (meeting.state === "checking-in") return ["open"];
  if (!inSession(meeting)) return [];
  if (meeting.offered_to?.member === meeting.me.member) return ["accept-chair"];
  if (meeting.lost_chair === meeting.me.member) return ["resume-chair"];
  const state = running(meeting)?.state ?? "open";
  return leadsNow(meeting) && state === "open" ? ["lead"] : [];
}

/**
 * Everything this meeting asks of me, the most urgent first.
 * @param voter whether I hold the role member, here or in a unit below: the snapshot lists roles of the meeting's own unit only.
 */
export function duties(meeting: Meeting, voter: boolean): Duty[] {
  const { me } = meeting;
  const toCheck: Duty[] = me.roles.includes("auditor") && meeting.elections.some(hasResult) ? ["audit"] : [];
  if (me.removed || isEnded(meeting)) return toCheck;
  const here = roomOpen(meeting);
  const asked = inTheVote(meeting);
  if (here && !me.checked_in && voter) asked.push("check-in");
  if (hallToOpen(meeting)) asked.push("hall");
  if (meeting.roll.frozen && meeting.cosigners.some((cosigner) => cosigner.name === me.cosigner && !cosigner.ready)) asked.push("cosigner-key");
  if (me.trustee > 0 && meeting.key.state !== "ready") asked.push("teller-key");
  return [...asked, ...toPrepare(meeting), ...toLead(meeting), ...toCheck];
}

export type Turn = "roll" | "convene" | "begin-check-in" | "checking-in" | "vote" | "closing" | "cosign" | "count" | "declare" | "key" | "cosigners" | "agenda" | "recess" | "quorum-lost" | "adjourned" | "over";

function turnInSession(meeting: Meeting): Turn {
  switch (running(meeting)?.state) {
    case "open":
      return "vote";
    case "closing":
      return "closing";
    case "closed":
      return "cosign";
    case "counting":
      return "count";
    case "counted":
      return "declare";
    default:
  }
  if (!meeting.elections.some((election) => election.state === "draft")) return "agenda";
  if (meeting.key.state !== "ready") return "key";
  return meeting.cosigners.filter((cosigner) => cosigner.ready).length < cosignQuorum(meeting.cosigners.length) ? "cosigners" : "agenda";
}

/** What the meeting waits for, and so whose turn it is. */
export function turn(meeting: Meeting): Turn {
  switch (meeting.state) {
    case "draft":
      return meeting.roll.frozen ? "convene" : "roll";
    case "convened":
      return meeting.roll.frozen ? "begin-check-in" : "roll";
    case "checking-in":
      return "checking-in";
    case "opened":
      return turnInSession(meeting);
    case "quorum-lost":
      return running(meeting) ? turnInSession(meeting) : "quorum-lost";
    case "recess":
      return "recess";
    case "adjourned":
      return "adjourned";
    case "closed":
    case "cancelled":
      return "over";
  }
}
