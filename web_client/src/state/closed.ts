/** Closed sessions: who is inside, and what somebody outside still holds. Pure. */
import type { EventType, Me, Meeting, MeetingEvent } from "../api/types.ts";
import type { Admitted, ClosedEvent, ClosedSession, OutsideMeeting, Snapshot } from "../api/types_closed.ts";
import { siteOf } from "./sites.ts";

type BodyOf<T extends ClosedEvent["type"], E = ClosedEvent> = E extends { type: infer U; body: infer B } ? (T extends U ? B : never) : never;
type Handlers = { [T in ClosedEvent["type"]]: (meeting: Meeting, body: BodyOf<T>, at: number) => Meeting };

/** The reason stands in no event. */
export const CLOSED_INCOMPLETE: readonly EventType[] = ["ClosedSessionBegan", "EventWithheld"];

/** The list with the id in it, or without. */
const having = (ids: readonly string[], id: string, wanted: boolean): string[] => {
  const others = ids.filter((one) => one !== id);
  return wanted && id !== "" ? [...others, id] : others;
};

function admit<S extends Admitted>(session: S, body: BodyOf<"ClosedSessionAdmitted">): S {
  return { ...session, sites: having(session.sites, body.site, body.admitted), visitors: having(session.visitors, body.visitor, body.admitted) };
}

export const CLOSED: Handlers = {
  ClosedSessionBegan: (meeting, { sites, visitors }, since) => ({ ...meeting, closed_session: { since, reason: "", sites, visitors } }),
  ClosedSessionAdmitted: (meeting, body) => (meeting.closed_session ? { ...meeting, closed_session: admit(meeting.closed_session, body) } : meeting),
  ClosedSessionEnded: (meeting) => ({ ...meeting, closed_session: null }),
  EventWithheld: (meeting) => meeting,
};

/** Whether this is all that somebody outside may know. */
export const isOutside = (snapshot: Snapshot): snapshot is OutsideMeeting => !("agenda" in snapshot);

/** On the roll or with an office, the role observer alone being none. */
const insider = (me: Me): boolean => me.entitled || me.roles.some((role) => role !== "member" && role !== "observer");

const staysInside = (me: Me, visitors: readonly string[]): boolean => insider(me) || visitors.includes(me.member);

function sessionAfter(meeting: Meeting, event: MeetingEvent): ClosedSession | null {
  if (event.type === "ClosedSessionBegan") return { since: event.at, reason: "", ...event.body };
  return event.type === "ClosedSessionAdmitted" && meeting.closed_session ? admit(meeting.closed_session, event.body) : null;
}

/** What is left of the snapshot when this event puts me outside, else null; the server's own word follows. */
export function outsideAfter(meeting: Meeting, event: MeetingEvent): OutsideMeeting | null {
  const session = event.seq > meeting.seq ? sessionAfter(meeting, event) : null;
  return session === null || staysInside(meeting.me, session.visitors) ? null : outsideOf(meeting, session, event.seq);
}

function outsideOf(meeting: Meeting, session: ClosedSession, seq: number): OutsideMeeting {
  const { id, title, organisation, unit, state, starts_at, time_zone, me, sites, quorum } = meeting;
  return { id, title, organisation, unit, state, starts_at, time_zone, me, sites, quorum, seq, closed_session: { ...session, reason: "", visitors: [], address: "" } };
}

export interface Heard {
  outside: OutsideMeeting;
  /** The server may have more for us now. */
  stale: boolean;
}

/** An event as it reaches somebody outside. What is withheld says nothing and asks for nothing. */
export function hearOutside(outside: OutsideMeeting, event: MeetingEvent): Heard {
  if (event.seq <= outside.seq) return { outside, stale: false };
  const next = { ...outside, seq: event.seq };
  if (event.seq > outside.seq + 1) return { outside, stale: true };
  if (event.type === "EventWithheld") return { outside: next, stale: false };
  if (event.type !== "ClosedSessionAdmitted") return { outside: next, stale: true };
  const closed = { ...admit(next.closed_session, event.body), visitors: [] };
  const mine = event.body.visitor === outside.me.member;
  return { outside: { ...next, closed_session: closed }, stale: mine || closed.address !== "" };
}

/** Whether a site's screens, loudspeakers and relay are outside now. */
export const siteIsOut = (meeting: Meeting | null, site: string): boolean => {
  const session = meeting?.closed_session;
  return site !== "" && session !== null && session !== undefined && !session.sites.includes(site);
};

/** What the computer of a hall shows while that is outside: its custodian may know more, who stands before it may not. */
export const hallOutside = (meeting: Meeting, hall: string): OutsideMeeting | null =>
  meeting.closed_session && siteIsOut(meeting, hall) ? outsideOf(meeting, meeting.closed_session, meeting.seq) : null;

/** The hall in which I am checked in, while it is outside; else empty. */
export function myHallOutside(meeting: Meeting): string {
  const site = siteOf(meeting, meeting.me.site);
  return site?.kind === "hall" && siteIsOut(meeting, site.site) ? site.name : "";
}

/** Whether this page may have come by way of a relay that is outside: only the server knows. */
export const perhapsOut = (meeting: Meeting, hall: string): boolean => siteIsOut(meeting, hall) || myHallOutside(meeting) !== "";

/** A wall of my own follows the rule of the room that I am in: anybody may stand before it. */
export function wallIsOut(meeting: Meeting): boolean {
  const mine = siteOf(meeting, meeting.me.site);
  return siteIsOut(meeting, mine?.kind === "hall" ? mine.site : "main");
}
