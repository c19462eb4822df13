/** Snapshot plus events gives the meeting's state. Pure: no clock, no network. */
import type {
  AgendaItem,
  ElectionSummary,
  EventBody,
  EventType,
  Meeting,
  MeetingEvent,
  MeetingState,
  Person,
  Quorum,
} from "../api/types.ts";
import type { Visitor, VisitorState } from "../api/types_papers.ts";
import { REMOTE, type Site } from "../api/types_sites.ts";
import { CLOSED, CLOSED_INCOMPLETE } from "./closed.ts";
import { MOTIONS, MOTIONS_INCOMPLETE } from "./motions.ts";
import { SITES, SITES_INCOMPLETE } from "./sites.ts";
import { forNewItem, SPEAKING } from "./speaking.ts";

type BodyOf<T extends EventType, E = EventBody> = E extends { type: infer U; body: infer B } ? (T extends U ? B : never) : never;
type Handlers = { [T in EventType]: (meeting: Meeting, body: BodyOf<T>, at: number) => Meeting };

/** Events whose body does not carry all that the snapshot shows of them. */
const INCOMPLETE: ReadonlySet<EventType> = new Set<EventType>([
  ...MOTIONS_INCOMPLETE,
  ...SITES_INCOMPLETE,
  ...CLOSED_INCOMPLETE,
  "MeetingConvened",
  "RollFrozen",
  "CheckInBegan",
  "MeetingClosed",
  "KeyMessagePosted",
  "KeyGenerated",
  "ElectionDrafted",
  "ElectionOpened",
  "TallyComputed",
  "ElectionVoided",
  "KeyRestarted",
  "ElectorExcluded",
  "MeetingRescheduled",
  "MeetingResumed",
  "MeetingAdjourned",
  "MeetingContinued",
  "AgendaItemAdded",
  "AgendaItemChanged",
  "AgendaItemMoved",
  "AgendaItemRemoved",
  "ChairHandedOver",
  "DeputyPresides",
  "ChairResumed",
  "ElectionAborted",
]);

/** Fewer cosignatures never close a box. */
const COSIGNATURES_LEAST = 3;

/** Whose roles and place in the order of deputies the events do not tell. */
const isOfficer = (meeting: Meeting, member: string): boolean =>
  [meeting.presiding, ...meeting.deputies, ...meeting.cosigners, ...meeting.key.trustees].some((one) => one?.member === member);

const knows = (meeting: Meeting, member: string): boolean => meeting.present.some((p) => p.member === member);

/** Events that say everything, but for some states of the meeting. */
function sometimesIncomplete(before: Meeting, event: MeetingEvent): boolean {
  switch (event.type) {
    case "MemberReturned": // after having been lost
      return !knows(before, event.body.member);
    case "MemberCheckedIn": // the credential is in no event
      return event.body.member === before.me.member || (!knows(before, event.body.member) && isOfficer(before, event.body.member));
    case "ChairTaken": // who presided until now may be a deputy from now on
      return before.presiding !== null;
    case "ClosingCosigned": {
      const state = before.elections.find((one) => one.election === event.body.election)?.state;
      return event.body.cosignatures >= COSIGNATURES_LEAST && (state === "closing" || state === "closed");
    }
    case "ResultDeclared":
      return before.elections.find((one) => one.election === event.body.election)?.result === null;
    default:
      return false;
  }
}

/** Whether the snapshot shows more of this event than its body says. */
const incomplete = (before: Meeting, event: MeetingEvent): boolean => INCOMPLETE.has(event.type) || sometimesIncomplete(before, event);

/** How many members must be present. */
export const neededFor = (quorum: { num: number; den: number }, roll: number): number =>
  Math.ceil((quorum.num * roll) / quorum.den);

function withPresent(meeting: Meeting, present: Person[]): Meeting {
  const quorum: Quorum = { ...meeting.quorum, present: present.length, met: present.length >= meeting.quorum.needed };
  return { ...meeting, present, quorum };
}

const inState = (meeting: Meeting, state: MeetingState): Meeting => ({ ...meeting, state });

function change(meeting: Meeting, member: string, fields: Partial<Person>): Meeting {
  return { ...meeting, present: meeting.present.map((p) => (p.member === member ? { ...p, ...fields } : p)) };
}

function changeElection(meeting: Meeting, election: string, fields: Partial<ElectionSummary>): Meeting {
  return {
    ...meeting,
    elections: meeting.elections.map((e) => (e.election === election ? { ...e, ...fields } : e)),
  };
}

/** The sites with so many more or fewer members at one of them. */
const counted = (sites: readonly Site[], site: string, by: number): Site[] => sites.map((one) => (one.site === site ? { ...one, present: one.present + by } : one));

const byMember = (a: { member: string }, b: { member: string }): number => (a.member < b.member ? -1 : Number(a.member > b.member));

function arrive(meeting: Meeting, member: string, name: string, site: string): Meeting {
  const me = member === meeting.me.member ? { ...meeting.me, checked_in: true, site } : meeting.me;
  const before = meeting.present.find((p) => p.member === member);
  const sites = counted(before ? counted(meeting.sites, before.site, -1) : meeting.sites, site, 1);
  if (before) return { ...change(meeting, member, { state: "present", site }), me, sites };
  const roles = me.member === member ? me.roles : [];
  const person: Person = { member, name, site, state: "present", hand: null, floor: false, muted: false, roles };
  return withPresent({ ...meeting, me, sites }, [...meeting.present, person].sort(byMember));
}

function depart(meeting: Meeting, member: string): Meeting {
  const me = member === meeting.me.member ? { ...meeting.me, checked_in: false, site: "", companion: false } : meeting.me;
  const site = meeting.present.find((p) => p.member === member)?.site;
  const sites = site === undefined ? meeting.sites : counted(meeting.sites, site, -1);
  const deputies = meeting.deputies.filter((one) => one.member !== member);
  return withPresent({ ...meeting, me, sites, deputies }, meeting.present.filter((p) => p.member !== member));
}

function startItem(agenda: AgendaItem[], item: string): AgendaItem[] {
  return agenda.map((entry) => {
    if (entry.id === item) return { ...entry, state: "current" };
    return entry.state === "current" ? { ...entry, state: "done" } : entry;
  });
}

function removed(meeting: Meeting, { member, name }: { member: string; name: string }, is: boolean): Meeting {
  const others = meeting.removed.filter((one) => one.member !== member);
  const me = member === meeting.me.member ? { ...meeting.me, removed: is } : meeting.me;
  return { ...meeting, me, removed: is ? [...others, { member, name }].sort(byMember) : others };
}

/** A binding quorum takes the meeting along, in session only. */
function quorumNow(meeting: Meeting, body: { present: number; needed: number }, met: boolean): Meeting {
  const quorum = { ...meeting.quorum, present: body.present, needed: body.needed, met };
  const from: MeetingState = met ? "quorum-lost" : "opened";
  const state = meeting.binding && meeting.state === from ? (met ? "opened" : "quorum-lost") : meeting.state;
  return { ...meeting, quorum, state };
}

const setItem = (meeting: Meeting, item: string, fields: Partial<AgendaItem>): Meeting => ({
  ...meeting,
  agenda: meeting.agenda.map((one) => (one.id === item ? { ...one, ...fields } : one)),
});

const presides = (meeting: Meeting, member: string, name: string): Meeting => ({ ...meeting, presiding: { member, name }, offered_to: null });

const withoutVisitor = (meeting: Meeting, visitor: string): Visitor[] => (meeting.visitors ?? []).filter((one) => one.visitor !== visitor);

const visiting = (meeting: Meeting, visitor: string, state: VisitorState): Meeting =>
  visitor === meeting.me.member ? { ...meeting, me: { ...meeting.me, visitor: state } } : meeting;

const APPLY: Handlers = {
  MeetingDrafted: (m) => m,
  MeetingConvened: (m) => inState(m, "convened"),
  RollFrozen: (m, body) => ({
    ...m,
    roll: { frozen: true, hash: body.hash, size: body.size },
    quorum: { ...m.quorum, roll: body.size, needed: neededFor(m.quorum, body.size) },
  }),
  CheckInBegan: (m) => inState(m, "checking-in"),
  MemberCheckedIn: (m, body) => arrive(m, body.member, body.name, body.site),
  MemberDeparted: (m, body) => depart(m, body.member),
  MemberAway: (m, body) => change(m, body.member, { state: "away" }),
  MemberReturned: (m, body) => change(m, body.member, { state: "present" }),
  QuorumReached: (m, body) => quorumNow(m, body, true),
  QuorumLost: (m, body) => quorumNow(m, body, false),
  MeetingOpened: (m, _, at) => ({ ...inState(m, "opened"), opened_at: at }),
  MeetingClosed: (m, _, at) => ({ ...inState(m, "closed"), closed_at: at }),
  AgendaItemStarted: (m, body) => forNewItem({ ...m, agenda: startItem(m.agenda, body.item) }),
  ...SPEAKING,
  ...MOTIONS,
  ...SITES,
  ...CLOSED,
  FloorModeSet: (m, body) => ({ ...m, floor: { mode: body.mode } }),
  MemberMuted: (m, body) => change(m, body.member, { muted: body.muted }),
  AllMuted: (m) => ({
    ...m,
    present: m.present.map((p) => (p.roles.includes("chair") ? p : { ...p, muted: true })),
  }),
  MemberRemoved: (m, body) => removed(m, body, true),
  MemberReadmitted: (m, body) => removed(m, body, false),
  KeyMessagePosted: (m) => ({ ...m, key: { ...m.key, state: m.key.state === "ready" ? "ready" : "running" } }),
  KeyGenerated: (m, body) => ({ ...m, key: { ...m.key, state: "ready", code: body.code } }),
  CosignerNamed: (m, body) => ({
    ...m,
    cosigners: m.cosigners.map((c) => (c.name === body.name ? { ...c, ready: true } : c)),
  }),
  ElectionDrafted: (m) => m,
  ElectionOpened: (m, body) => changeElection(m, body.election, { state: "open" }),
  BallotAccepted: (m, body) => count(m, body.election, body.count),
  BoardPublished: (m) => m,
  ElectionClosed: (m, body) => changeElection(m, body.election, { state: "closed", cast: body.cast }),
  ClosingCosigned: (m) => m,
  IntentPosted: (m) => m,
  SharePosted: (m) => m,
  TallyComputed: (m, body) => changeElection(m, body.election, { state: "counted" }),
  TallySigned: (m) => m,
  ResultDeclared: (m, body) => changeElection(m, body.election, { state: body.outcome.some((one) => one.kind === "too-few") ? "too-few" : "declared" }),
  KeyRestarted: (m) => ({ ...m, key: { ...m.key, state: "running", code: "" } }),
  ShareDestroyed: (m) => m,
  ElectorExcluded: (m) => m,
  ShareRejected: (m) => m,
  ElectionVoided: (m, body) => changeElection(m, body.election, { state: "void" }),
  MeetingCancelled: (m, body) => ({ ...inState(m, "cancelled"), reason: body.reason }),
  MeetingRescheduled: (m, body) => ({ ...m, ...body }),
  NoticeWaived: (m) => ({ ...m, waived: true }),
  MemberExcused: (m) => m,
  ExcuseWithdrawn: (m) => m,
  RecessBegan: (m, body) => ({ ...inState(m, "recess"), until: body.until }),
  MeetingResumed: (m) => ({ ...inState(m, m.binding && !m.quorum.met ? "quorum-lost" : "opened"), until: 0 }),
  MeetingAdjourned: (m, body) => ({ ...inState(m, "adjourned"), until: body.continues_at, presiding: null, offered_to: null }),
  MeetingContinued: (m) => ({ ...inState(m, "opened"), until: 0 }),
  AgendaItemAdded: (m) => m,
  AgendaItemChanged: (m, body) => setItem(m, body.item, body.title === "" ? {} : { title: body.title, minutes: body.minutes }),
  AgendaItemMoved: (m) => m,
  AgendaItemRemoved: (m, body) => ({ ...m, agenda: m.agenda.filter((one) => one.id !== body.item) }),
  AgendaItemDeferred: (m, body) => setItem(m, body.item, { state: "deferred" }),
  ChairTaken: (m, body) => ({ ...presides(m, body.member, body.name), deputies: m.deputies.filter((one) => one.member !== body.member) }),
  HandoverOffered: (m, body) => ({ ...m, offered_to: body.to === "" ? null : { member: body.to, name: body.name } }),
  ChairHandedOver: (m, body) => ({ ...presides(m, body.to, body.name), lost_chair: "" }),
  DeputyPresides: (m, body) => ({ ...presides(m, body.to, body.name), lost_chair: m.lost_chair || body.from }),
  ChairResumed: (m, body) => ({ ...presides(m, body.member, body.name), lost_chair: "" }),
  ElectionAborted: (m, body) => changeElection(m, body.election, { state: "void" }),
  PaperAdded: (m) => m,
  PaperChanged: (m) => m,
  PaperRemoved: (m) => m,
  PagePresented: (m) => m,
  LobbyEntered: (m, body) => visiting(m, body.visitor, "waiting"),
  VisitorAdmitted: (m, body) => ({ ...visiting(m, body.visitor, "admitted"), visitors: [...withoutVisitor(m, body.visitor), body] }),
  VisitorRefused: (m, body) => visiting(m, body.visitor, "refused"),
  VisitorLeft: (m, body) => ({ ...visiting(m, body.visitor, "left"), visitors: withoutVisitor(m, body.visitor) }),
  VisitorRemoved: (m, body) => ({ ...visiting(m, body.visitor, "removed"), visitors: withoutVisitor(m, body.visitor) }),
  MessagePosted: (m, body) => ({ ...m, ...(m.messages && { messages: { ...m.messages, last: body.id } }) }),
  MessageHidden: (m) => m,
  MessageRulesSet: (m, body) => ({ ...m, messages: { last: 0, ...m.messages, ...body } }),
  VoteTimerSet: (m, body) => changeElection(m, body.election, { ends_at: body.ends_at }),
};

/** A counter never runs backwards, whatever order the messages come in. */
export function count(meeting: Meeting, election: string, cast: number): Meeting {
  const known = meeting.elections.find((e) => e.election === election)?.cast ?? 0;
  return cast > known ? changeElection(meeting, election, { cast }) : meeting;
}

export interface Applied {
  meeting: Meeting;
  /** The snapshot should be fetched again: a gap, an unknown event, or one that does not say everything. */
  stale: boolean;
}

/** Adds one event: an old one changes nothing, one after a gap only says that the snapshot is stale. */
export function apply(meeting: Meeting, event: MeetingEvent): Applied {
  if (event.seq <= meeting.seq) return { meeting, stale: false };
  if (event.seq > meeting.seq + 1) return { meeting, stale: true };
  // The handler of an event's own type takes its own body; TypeScript cannot follow the pairing.
  const handler = APPLY[event.type] as ((m: Meeting, body: unknown, at: number) => Meeting) | undefined;
  if (!handler) return { meeting: { ...meeting, seq: event.seq }, stale: true };
  return { meeting: { ...handler(meeting, event.body, event.at), seq: event.seq }, stale: incomplete(meeting, event) };
}

/** A snapshot with the events that are newer than it, as far as they follow without a gap. */
export const replay = (snapshot: Meeting, log: readonly MeetingEvent[]): Meeting =>
  log.reduce((meeting, event) => apply(meeting, event).meeting, snapshot);

const IN_SESSION: ReadonlySet<MeetingState> = new Set<MeetingState>(["opened", "recess", "quorum-lost"]);

/** Opened and neither adjourned nor closed. */
export const inSession = (meeting: { state: MeetingState }): boolean => IN_SESSION.has(meeting.state);

/** The room is open: members check in and out. */
export const roomOpen = (meeting: { state: MeetingState }): boolean => meeting.state === "checking-in" || inSession(meeting);

/** Closed or called off: nothing more happens. */
export const isEnded = (meeting: { state: MeetingState }): boolean => meeting.state === "closed" || meeting.state === "cancelled";

/** Whether I lead the meeting now: a chair, and nobody else presides. */
export const leadsNow = (meeting: Meeting): boolean =>
  meeting.me.roles.includes("chair") && (meeting.presiding === null || meeting.presiding.member === meeting.me.member);

/** How many cosignatures close a box with `w` cosigners of whom two may lie. */
export const cosignQuorum = (w: number): number => Math.floor((w + 2) / 2) + 1;

/** Who was removed and not let in again, as the log tells; with the names under which they checked in. */
export function removedMembers(log: readonly MeetingEvent[]): { member: string; name: string }[] {
  const names = new Map<string, string>();
  const out = new Set<string>();
  for (const event of log) {
    if (event.type === "MemberCheckedIn") names.set(event.body.member, event.body.name);
    else if (event.type === "MemberRemoved") out.add(event.body.member);
    else if (event.type === "MemberReadmitted") out.delete(event.body.member);
  }
  return [...out].map((member) => ({ member, name: names.get(member) ?? member }));
}

/** A check-in of this page, from a place of the member's own, that the server has taken as event `seq`. */
export interface OwnArrival {
  readonly seq: number;
  readonly credential: string;
}

/** A snapshot from before the member's check-in must not take them out of the room. */
export function afterArrival(meeting: Meeting, arrival: OwnArrival | null): Meeting {
  if (arrival === null || meeting.seq >= arrival.seq) return meeting;
  return { ...meeting, me: { ...meeting.me, checked_in: true, companion: false, credential: arrival.credential, site: REMOTE } };
}

/** Signed by those who must sign it; there is something to check. */
export const hasResult = (election: ElectionSummary): boolean => election.state === "declared" || election.state === "too-few";

/** Nothing more happens in this election. */
export const isOver = (election: ElectionSummary): boolean => hasResult(election) || election.state === "void";

/** Opened and not over: at most one of a meeting. */
export const isRunning = (election: ElectionSummary): boolean => election.state !== "draft" && !isOver(election);
