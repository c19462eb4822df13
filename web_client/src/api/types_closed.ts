/** The wire's JSON shapes of closed sessions (docs/spec/conduct.md, section 11). */
import type { Me, Meeting, MeetingState, Named, Quorum } from "./types.ts";
import type { Site } from "./types_sites.ts";

/** Who is inside beside members and officers. */
export interface Admitted {
  sites: string[];
  visitors: string[];
}

export interface ClosedSession extends Admitted {
  since: number;
  /** Empty for who is outside. */
  reason: string;
}

/** The snapshot of who is outside, or comes by way of a relay that is. */
export interface OutsideMeeting {
  id: string;
  title: string;
  organisation: string | Named;
  unit: string;
  state: MeetingState;
  starts_at: number;
  time_zone: string;
  /** `address`: where the server is, for who is kept out by a hall's relay alone; else empty. */
  closed_session: ClosedSession & { address: string };
  me: Me;
  seq: number;
  sites: Site[];
  quorum: Quorum;
}

export type Snapshot = Meeting | OutsideMeeting;

export type ClosedEvent =
  | { type: "ClosedSessionBegan"; body: Admitted }
  | { type: "ClosedSessionAdmitted"; body: { site: string; visitor: string; admitted: boolean } }
  | { type: "ClosedSessionEnded" | "EventWithheld"; body: object };

export type ClosedCommand =
  | ({ command: "begin-closed-session"; reason: string } & Admitted)
  | { command: "admit-inside"; site: string; visitor: string; admitted: boolean }
  | { command: "end-closed-session" };
