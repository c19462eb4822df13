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

type BodyOf<T extends EventType, E = EventBody> = E extends { type: infer U; body: infer B } ? (T extends U ? B : never) : never;
type Handlers = { [T in EventType]: (meeting: Meeting, body: BodyOf<T>, at: number) => Meeting };

/** Events whose body does not carry all that the snapshot shows of them. */
const INCOMPLETE: ReadonlySet<EventType> = new Set<EventType>([
  "MeetingConvened",
  "RollFrozen",
  "CheckInBegan",
  "MemberReturned",
  "MemberReadmitted",
  "MeetingOpened",
  "MeetingClosed",
  "KeyMessagePosted",
  "KeyGenerated",
  "ElectionDrafted",
  "ElectionOpened",
  "ElectionClosed",
  "ClosingCosigned",
  "TallyComputed",
  "TallySigned",
  "ResultDeclared",
  "ElectionVoided",
  "KeyRestarted",
  "ElectorExcluded",
]);

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

function arrive(meeting: Meeting, member: string, name: string, site: string): Meeting {
  const me = member === meeting.me.member ? { ...meeting.me, checked_in: true } : meeting.me;
  if (meeting.present.some((p) => p.member === member)) return { ...change(meeting, member, { state: "present" }), me };
  const roles = me.member === member ? me.roles : [];
  const person: Person = { member, name, site, state: "present", hand: null, floor: false, muted: false, roles };
  return withPresent({ ...meeting, me }, [...meeting.present, person]);
}

function depart(meeting: Meeting, member: string): Meeting {
  const me = member === meeting.me.member ? { ...meeting.me, checked_in: false } : meeting.me;
  return withPresent({ ...meeting, me }, meeting.present.filter((p) => p.member !== member));
}

function startItem(agenda: AgendaItem[], item: string): AgendaItem[] {
  return agenda.map((entry) => {
    if (entry.id === item) return { ...entry, state: "current" };
    return entry.state === "current" ? { ...entry, state: "done" } : entry;
  });
}

const removed = (meeting: Meeting, member: string, is: boolean): Meeting =>
  member === meeting.me.member ? { ...meeting, me: { ...meeting.me, removed: is } } : meeting;

const quorumNow = (meeting: Meeting, body: { present: number; needed: number }, met: boolean): Meeting => ({
  ...meeting,
  quorum: { ...meeting.quorum, present: body.present, needed: body.needed, met },
});

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
  AgendaItemStarted: (m, body) => ({ ...m, agenda: startItem(m.agenda, body.item) }),
  HandRaised: (m, body, at) => change(m, body.member, { hand: at }),
  HandLowered: (m, body) => change(m, body.member, { hand: null }),
  FloorGranted: (m, body) => change(m, body.member, { floor: true, hand: null }),
  FloorWithdrawn: (m, body) => change(m, body.member, { floor: false }),
  FloorModeSet: (m, body) => ({ ...m, floor: { mode: body.mode } }),
  MemberMuted: (m, body) => change(m, body.member, { muted: body.muted }),
  AllMuted: (m) => ({
    ...m,
    present: m.present.map((p) => (p.roles.includes("chair") ? p : { ...p, muted: true })),
  }),
  MemberRemoved: (m, body) => removed(m, body.member, true),
  MemberReadmitted: (m, body) => removed(m, body.member, false),
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
  ElectionClosed: (m, body) => changeElection(m, body.election, { state: "closing", cast: body.cast }),
  ClosingCosigned: (m) => m,
  IntentPosted: (m) => m,
  SharePosted: (m) => m,
  TallyComputed: (m, body) => changeElection(m, body.election, { state: "counted" }),
  TallySigned: (m) => m,
  ResultDeclared: (m, body) => changeElection(m, body.election, { state: "declared" }),
  KeyRestarted: (m) => ({ ...m, key: { ...m.key, state: "running", code: "" } }),
  ShareDestroyed: (m) => m,
  ElectorExcluded: (m) => m,
  ShareRejected: (m) => m,
  ElectionVoided: (m, body) => changeElection(m, body.election, { state: "void" }),
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
  return { meeting: { ...handler(meeting, event.body, event.at), seq: event.seq }, stale: INCOMPLETE.has(event.type) };
}

/** Members who asked to speak, first come first. */
export const queue = (meeting: Meeting): Person[] =>
  meeting.present.filter((p) => p.hand !== null).sort((a, b) => (a.hand ?? 0) - (b.hand ?? 0));

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

/** Signed by those who must sign it; there is something to check. */
export const hasResult = (election: ElectionSummary): boolean => election.state === "declared" || election.state === "too-few";

/** Nothing more happens in this election. */
export const isOver = (election: ElectionSummary): boolean => hasResult(election) || election.state === "void";

/** Opened and not over: at most one of a meeting. */
export const isRunning = (election: ElectionSummary): boolean => election.state !== "draft" && !isOver(election);
