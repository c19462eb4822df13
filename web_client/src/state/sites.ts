/** Sites, presence and disputes from events. Pure. */
import type { EventType, Meeting } from "../api/types.ts";
import type { Presence, Site, SiteEvent, SiteState } from "../api/types_sites.ts";

type BodyOf<T extends SiteEvent["type"], E = SiteEvent> = E extends { type: infer U; body: infer B } ? (T extends U ? B : never) : never;
type Handlers = { [T in SiteEvent["type"]]: (meeting: Meeting, body: BodyOf<T>, at: number) => Meeting };

/** Events whose body does not carry all that the snapshot shows of them. */
export const SITES_INCOMPLETE: readonly EventType[] = [
  "SiteAdded",
  "SiteChanged",
  "SiteTested",
  "SeatsSigned",
  "SeatMoved",
  "SeatDisputed",
  "PresenceAsked",
  "PresenceMissed",
  "RelayTwice",
  "RelayClock",
  "RelayForked",
  "RelayRewound",
  "CodeElsewhere",
];

export const siteOf = (meeting: Meeting, site: string): Site | undefined => meeting.sites.find((one) => one.site === site);

/** How the seat of a hall begins, which is its computer's: camera, microphone and loudspeakers. */
const HALL = "site:";

/** The seat of a hall in the room's media. */
export const seatOfHall = (site: string): string => HALL + site;

/** Whose seat it is: a hall's or a member's; empty when nobody present has it. */
export const seatName = (meeting: Meeting, owner: string): string =>
  owner.startsWith(HALL) ? (siteOf(meeting, owner.slice(HALL.length))?.name ?? "") : (meeting.present.find((person) => person.member === owner)?.name ?? "");

/** How many are checked in there, by those who are present. */
export const presentAt = (meeting: Meeting, site: string): number => meeting.present.filter((person) => person.site === site).length;

const become =
  (state: SiteState) =>
  (meeting: Meeting, { site }: { site: string }, at: number): Meeting => ({
    ...meeting,
    sites: meeting.sites.map((one) => (one.site === site ? { ...one, state, since: at } : one)),
  });

const same = (meeting: Meeting): Meeting => meeting;

function asked(meeting: Meeting, presence: string, fields: Partial<Presence>): Meeting {
  return meeting.presence?.presence === presence ? { ...meeting, presence: { ...meeting.presence, ...fields } } : meeting;
}

export const SITES: Handlers = {
  SiteAdded: same,
  SiteChanged: same,
  SiteTested: same,
  SiteRemoved: (meeting, { site }) => ({ ...meeting, sites: meeting.sites.filter((one) => one.site !== site) }),
  SiteConnected: become("connected"),
  SiteDegraded: become("degraded"),
  SiteLost: become("lost"),
  SiteRejoined: become("rejoined"),
  SeatsSigned: same,
  SeatMoved: same,
  SeatDisputed: same,
  DisputeDecided: (meeting, { dispute }) => ({ ...meeting, disputes: meeting.disputes.filter((one) => one.dispute !== dispute) }),
  PresenceAsked: same,
  PresenceMissed: same,
  PresenceConfirmed: (meeting, { presence, confirmed }) => asked(meeting, presence, { confirmed }),
  RelayEnrolled: same,
  RelayRevoked: same,
  RelayTwice: same,
  RelayClock: same,
  RelayForked: same,
  RelayRewound: same,
  CodeElsewhere: same,
  RelayCaughtUp: same,
};

/** Whether the chair should look at it: a line that is gone or weak. */
export const inTrouble = (site: Site): boolean => site.state === "lost" || site.state === "degraded";

/** Halls and the main room; members by themselves are no place. */
export const places = (meeting: Meeting): Site[] => meeting.sites.filter((one) => one.kind !== "remote");

export interface SeatCheck {
  /** On the list and not checked in there. */
  missing: string[];
  /** Checked in there and not on the list. */
  extra: string[];
}

/** What the custodian sees before signing: the list beside who is checked in at the site. */
export function checkSeats(meeting: Meeting, site: string, seats: ReadonlySet<string>): SeatCheck {
  const here = new Set(meeting.present.filter((person) => person.site === site).map((person) => person.member));
  return { missing: [...seats].filter((member) => !here.has(member)), extra: [...here].filter((member) => !seats.has(member)) };
}
