/** The wire's JSON shapes of sites, halls and presence (docs/spec/sites.md). */

export type SiteKind = "main" | "hall" | "remote";

/** The site of those who are at places of their own. */
export const REMOTE = "remote";
export type SiteState = "invited" | "tested" | "connected" | "degraded" | "lost" | "rejoined" | "closed";
export type LinkProfile = 0 | 64 | 128 | 256 | 512;
export const LINK_PROFILES: readonly LinkProfile[] = [64, 128, 256, 512, 0];

/** What the custodian measured and confirmed; loss is null where no media could be tried. */
export interface LineTest {
  rtt_ms: number;
  loss_permille: number | null;
  up_kbps: number;
  down_kbps: number;
  clock_ms: number;
  sound: boolean;
  picture: boolean;
}

export interface Site {
  site: string;
  name: string;
  kind: SiteKind;
  custodian: string;
  custodian_name: string;
  expected: number;
  profile: LinkProfile;
  state: SiteState;
  since: number;
  tested: (LineTest & { at: number }) | null;
  present: number;
  seats: { count: number; signed_at: number; hash: string } | null;
}

/** How many papers of the meeting a hall's relay has whole. */
export interface PapersHere {
  here: number;
  of: number;
}

export interface SiteText {
  name: string;
  custodian: string;
  expected: number;
  profile: LinkProfile;
}

/** A member claimed at two places, for the chair to decide. */
export interface Dispute {
  dispute: string;
  member: string;
  name: string;
  sites: string[];
  at: number;
}

/** A member of the roll on the custodian's list; `site` is where they are checked in. */
export interface SeatLine {
  member: string;
  name: string;
  site: string;
}

export type MyPresence = "asked" | "confirmed" | "missed" | "";

export interface Presence {
  presence: string;
  at: number;
  until: number;
  asked: number;
  confirmed: number;
  me: MyPresence;
}

export type AlertKind = "relay-twice" | "relay-clock" | "relay-forked" | "relay-rewound" | "code-elsewhere";

export interface SiteAlert {
  kind: AlertKind;
  site: string;
  at: number;
}

/** What the snapshot tells of sites. */
export interface SitesMeeting {
  sites: Site[];
  disputes: Dispute[];
  presence: Presence | null;
  alerts: SiteAlert[];
}

export interface MySite {
  site: string;
  /** In a hall with its own sound: no media by default. */
  companion: boolean;
}

export interface CurvePoint {
  seq: number;
  at: number;
  present: number;
  needed: number;
  by_site: Record<string, number>;
}

export interface AttendanceLine {
  member: string;
  code: string;
  name: string;
  site: string;
  from: number;
  until: number | null;
  confirmed: "yes" | "no" | "";
}

interface SiteNamed {
  site: string;
  name: string;
  expected: number;
  custodian: string;
  custodian_name: string;
}

type OfSite = "SiteRemoved" | "SiteConnected" | "SiteDegraded" | "SiteLost" | "SiteRejoined" | "RelayEnrolled" | "RelayRevoked" | "RelayTwice" | "RelayForked" | "RelayRewound" | "CodeElsewhere";

export type SiteEvent =
  | { type: "SiteAdded" | "SiteChanged"; body: SiteNamed }
  | { type: OfSite; body: { site: string } }
  | { type: "SiteTested"; body: { site: string; sound: boolean; picture: boolean } }
  | { type: "SeatsSigned"; body: { site: string; count: number; missing: number; extra: number; hash: string } }
  | { type: "SeatMoved"; body: { member: string; name: string; from: string; to: string } }
  | { type: "SeatDisputed"; body: { dispute: string; member: string; name: string; sites: string[] } }
  | { type: "DisputeDecided"; body: { dispute: string; decision: "keep" | "remove" } }
  | { type: "PresenceAsked"; body: { presence: string; site: string; asked: number; until: number } }
  | { type: "PresenceMissed"; body: { presence: string; missed: number } }
  | { type: "PresenceConfirmed"; body: { presence: string; confirmed: number } }
  | { type: "RelayClock"; body: { site: string; off_s: number } }
  | { type: "RelayCaughtUp"; body: { site: string; entries: number; refused: number; from: number } };
