/** The wire's JSON shapes (docs/spec/wire.md). Times are seconds since 1970, UTC. */

import type { ConductCard, ConductCommand, ConductEvent, ConductItem, ConductMeeting, ConductState, OwnNotice } from "./types_conduct.ts";
import type { Question } from "../ballot/cells.ts";
import type { FloorCommand, FloorEvent, FloorMeeting, Motion } from "./types_floor.ts";

export type { Question, QuestionType } from "../ballot/cells.ts";

import type { MySite, SiteEvent, SitesMeeting } from "./types_sites.ts";
import type { ClosedCommand, ClosedEvent, ClosedSession } from "./types_closed.ts";
import type { GuestPart, RoomEvent, RoomPart, VisitorState } from "./types_papers.ts";

export type Role = "chair" | "secretary" | "registrar" | "teller" | "observer" | "member" | "auditor";
export const ROLES: readonly Role[] = ["chair", "secretary", "registrar", "teller", "observer", "member", "auditor"];

export interface Named {
  id: string;
  name: string;
}

export interface Info {
  organisation: Named;
  rp_id: string;
  version: string;
  build: string;
  demo: boolean;
}

/** The ledger's name, the installation's Ed25519 key (b64u) and a consistency proof between two sizes. */
export interface LedgerProof {
  origin: string;
  key: string;
  proof: string[];
}

export interface Grant {
  id?: string;
  role: Role;
  unit: string;
  from?: number;
  until: number | null;
}

export interface Session extends GuestPart {
  member: { id: string; name: string; code: string; unit: string };
  organisation: Named;
  roles: Grant[];
  expires_at: number;
}

export interface Assertion {
  authenticator_data: string;
  client_data_json: string;
  signature: string;
}

/** A passkey's signature over a challenge that the page computed. */
export interface Signed {
  nonce: string;
  passkey: string;
  assertion: Assertion;
}

export type NoncePurpose = "roll" | "check-in" | "trustee" | "cosign" | "action" | "replace" | "presence";

export interface EnrolBegin {
  nonce: string;
  rp: Named;
  user: { id: string; name: string; display_name: string };
  exclude: string[];
  algorithms: number[];
}

export interface Unit {
  id: string;
  parent: string | null;
  name: string;
}

export interface Organisation {
  organisation: Named;
  units: Unit[];
  roles: Role[];
}

export interface Member {
  id: string;
  code: string;
  name: string;
  unit: string;
  roles: Grant[];
  passkeys: number;
  weight: number;
  state: "invited" | "active";
}

export interface MeetingCard extends ConductCard {
  id: string;
  title: string;
  unit: string;
  state: MeetingState;
  starts_at: number;
  time_zone: string;
  open_election: string | null;
}

export type MeetingState = "draft" | "convened" | "checking-in" | "opened" | "closed" | ConductState;
export type AgendaState = "waiting" | "current" | "done" | "deferred";
export type FloorMode = "open" | "chaired";
export type Secrecy = "trustees" | "open" | "roll-call";
export type MajorityKind = "simple" | "absolute" | "two-thirds" | "three-quarters";
export type MajorityBase = "cast" | "decided" | "present" | "roll";

export interface AgendaItem extends ConductItem {
  id: string;
  title: string;
  state: AgendaState;
}

export interface Person {
  member: string;
  name: string;
  site: string;
  state: "present" | "away";
  hand: number | null;
  floor: boolean;
  muted: boolean;
  roles: Role[];
}

export interface Quorum {
  num: number;
  den: number;
  present: number;
  roll: number;
  needed: number;
  met: boolean;
}

export interface Majority {
  kind: MajorityKind;
  of: MajorityBase;
}

export type ElectionState = "draft" | "open" | "closing" | "closed" | "counting" | "tied" | "counted" | "declared" | "too-few" | "void";

export interface Outcome {
  kind: "carried" | "rejected" | "no-quorum" | "too-few" | "elected" | "none";
  options: number[];
  tied: number[];
  votes: number[];
}

/** A hall that was cut off at the end of a vote; late with its ballots, or without any unreachable. */
export interface TallyHall {
  site: string;
  name: string;
  state: "unreachable" | "late";
  ballots: number;
}

/** The signed core of a tally (voting.md section 8). */
export interface TallyCore {
  v: 1;
  election: string;
  manifest: string;
  closing: string;
  aggregate: string;
  ballots: number;
  cast: number;
  cast_weight: number;
  replacements: number;
  kiosk: number;
  voids: number;
  counts: number[][];
  rejected: { trustee: number; hash: string }[];
  quorum: { met: boolean; count: number; base: number };
  outcome: Outcome[];
  exceptions: number;
  halls: TallyHall[];
  counted_at: number;
}

export interface ElectionSummary {
  election: string;
  agenda_item: string;
  title: string;
  questions: Question[];
  secrecy: Secrecy;
  voting_again: "once" | "last-counts";
  majority: Majority;
  tie: "rejected" | "casting-vote";
  kiosk: boolean;
  /** For so many seconds after its end ballots are taken. */
  grace_s: number;
  closes_at: number;
  /** Until when it stays open as announced, or 0. */
  ends_at: number;
  weighted: boolean;
  state: ElectionState;
  electorate_size: number;
  /** Votes of everyone present at opening and of everyone on the roll. */
  present_weight: number;
  roll_weight: number;
  cast: number;
  voted: boolean;
  excluded: string[];
  warnings: ("small" | "repeat")[];
  me: { lineage: string; credential: string; weight: number; seq: number };
  result: TallyCore | null;
}

/** Where my lineage stands in an open vote: its first and current credential, weight, ballots so far and the last one's leaf. */
export interface VotePlace {
  lineage: string;
  credential: string;
  weight: number;
  seq: number;
  prev: string;
}

/** What the chair sees before opening a vote. */
export interface ElectionPreview {
  electorate_size: number;
  present: number;
  excluded: number;
  repeats: string[];
  small: boolean;
  weights: Record<string, number>;
  refusal: string;
}

export interface TrusteeInfo {
  index: number;
  member: string;
  name: string;
}

export interface CosignerInfo {
  name: string;
  member: string;
  ready: boolean;
}

export interface Me extends MySite {
  member: string;
  roles: Role[];
  checked_in: boolean;
  credential: string | null;
  entitled: boolean;
  removed: boolean;
  trustee: number;
  cosigner: string;
  /** Where I stand as a visitor, or empty. */
  visitor?: VisitorState | "";
  /** Own motions that nobody else sees yet. */
  drafts: Motion[];
  /** Null for who was not called. */
  notice: OwnNotice | null;
}

export interface Meeting extends ConductMeeting, RoomPart, SitesMeeting {
  id: string;
  title: string;
  unit: string;
  organisation: string | Named;
  state: MeetingState;
  starts_at: number;
  time_zone: string;
  opened_at: number | null;
  closed_at: number | null;
  agenda: AgendaItem[];
  quorum: Quorum;
  present: Person[];
  floor: { mode: FloorMode };
  speaking: FloorMeeting["speaking"];
  motions: Motion[];
  motion_rules: FloorMeeting["motion_rules"];
  roll: { frozen: boolean; hash: string; size: number };
  key: { state: "waiting" | "running" | "ready"; trustees: TrusteeInfo[]; code: string };
  cosigners: CosignerInfo[];
  elections: ElectionSummary[];
  rehearsal: boolean;
  challenge_s: number;
  removed: { member: string; name: string }[];
  /** Absent from a snapshot that was kept by an earlier version. */
  closed_session?: ClosedSession | null;
  me: Me;
  seq: number;
}

export interface RollCore {
  v: 1;
  meeting: string;
  organisation: string;
  root: string;
  size: number;
  weight: number;
  exceptions: number;
  frozen_at: number;
  rp: { id: string; origins: string[] };
  registrar: { passkey: string; key: string };
}

export interface RollStatement {
  core: RollCore;
  nonce: string;
  assertion: Assertion;
}

export interface RollEntry {
  member: string;
  name: string;
  weight: number;
  passkeys: { id: string; key: string }[];
  exception: { kind: "none" | "first" | "replaced" | "added"; method: string; officers: string[] };
  salt: string;
}

export interface CheckInBegin {
  nonce: string;
  roll: RollStatement;
  checkpoint: string;
  site: string;
  mine: RollEntry;
}

export interface Keygen {
  attempt: number;
  complaint: { by: number; against: number; at_fault: number } | null;
  can_restart: boolean;
  /** Trustees whose share is destroyed on record. */
  destroyed: number[];
  threshold: number;
  count: number;
  trustees: TrusteeInfo[];
  messages: unknown[];
  code: string;
}

export interface Board {
  entries: string[];
  size: number;
  opening: string;
  closing: string;
  cosignatures: number;
  needed: number;
  final: string;
}

export interface Inclusion {
  index: number;
  size: number;
  proof: string[];
  checkpoint: string;
}

export interface TallyAnswer {
  /** Null while the chair decides a tie. */
  core: TallyCore | null;
  /** Share entries kept as evidence, JCS strings. */
  rejected: string[];
  tally_hash: string;
  signatures: { server: string; chair: string; trustees: { trustee: number; sig: string }[] };
  entries: number;
}

/** Everything that happened in a meeting, numbered from 1 without gaps. */
export type MeetingEvent = { seq: number; at: number } & EventBody;

export type EventBody =
  | ConductEvent
  | ClosedEvent
  | RoomEvent
  | SiteEvent
  | { type: "MeetingDrafted" | "MeetingConvened" | "CheckInBegan" | "MeetingOpened" | "MeetingClosed" | "AllMuted"; body: object }
  | { type: "RollFrozen"; body: { hash: string; size: number; exceptions: number } }
  | { type: "MemberCheckedIn"; body: { member: string; name: string; site: string; proof: string } }
  | { type: "MemberDeparted"; body: { member: string; reason: "left" | "lost" | "removed" | "adjourned" | "closed"; until: number } }
  | {
      type: "MemberAway" | "MemberReturned";
      body: { member: string };
    }
  | { type: "MemberRemoved" | "MemberReadmitted"; body: { member: string; name: string } }
  | { type: "QuorumReached" | "QuorumLost"; body: { present: number; needed: number } }
  | { type: "AgendaItemStarted"; body: { item: string; title: string } }
  | { type: "FloorModeSet"; body: { mode: FloorMode } }
  | FloorEvent
  | { type: "MemberMuted"; body: { member: string; muted: boolean } }
  | { type: "KeyMessagePosted"; body: { round: string; trustee: number } }
  | { type: "KeyGenerated"; body: { key: string; code: string } }
  | { type: "KeyRestarted"; body: { attempt: number; reason: string } }
  | { type: "ShareDestroyed"; body: { trustee: number } }
  | { type: "ElectorExcluded"; body: { election: string; member: string; excluded: boolean } }
  | { type: "ShareRejected"; body: { election: string; trustee: number } }
  | { type: "CosignerNamed"; body: { name: string } }
  | { type: "ElectionDrafted" | "TallyComputed" | "ElectionVoided"; body: { election: string } }
  | { type: "ElectionOpened"; body: { election: string; manifest: string; present: number } }
  | { type: "BallotAccepted"; body: { election: string; count: number } }
  | { type: "BoardPublished"; body: { election: string; size: number } }
  | { type: "ElectionClosed"; body: { election: string; cast: number; present?: number; met?: boolean } }
  | { type: "ClosingCosigned"; body: { election: string; cosignatures: number } }
  | { type: "IntentPosted" | "SharePosted"; body: { election: string; trustee: number } }
  | { type: "TallySigned"; body: { election: string; signer: string } }
  | { type: "ResultDeclared"; body: { election: string; outcome: Outcome[]; counts: number[][] } };

export type EventType = EventBody["type"];

export type Command =
  | ConductCommand
  | ClosedCommand
  | { command: "convene" | "begin-check-in" | "open" | "close" | "raise-hand" | "lower-hand" | "mute-all" | "leave" }
  | { command: "start-item"; item: string }
  | { command: "set-floor-mode"; mode: FloorMode }
  | FloorCommand
  | { command: "grant-floor" | "withdraw-floor" | "mute" | "unmute" | "remove" | "readmit"; member: string };

/** A passkey of the member who is signed in. */
export interface MyPasskey {
  id: string;
  added_at: number;
  method: string;
  last_used_at: number | null;
  in_roll: boolean;
}

/** An enrolment that waits for its second officer. */
export interface UnconfirmedPasskey {
  passkey: string;
  member: string;
  name: string;
  method: string;
  made_by: string;
  at: number;
  /** I may be its second officer. */
  can_confirm: boolean;
}

/** What `roll/prepare` would freeze. */
export interface RollDraft {
  core: RollCore;
  roll_hash: string;
  unconfirmed: { member: string; name: string }[];
  exceptions: { member: string; name: string; kind: string; method: string; officers: string[] }[];
}
