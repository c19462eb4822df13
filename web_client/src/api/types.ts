/** The wire's JSON shapes (docs/spec/wire.md). Times are seconds since 1970, UTC. */

export type Role = "chair" | "secretary" | "registrar" | "teller" | "member" | "auditor";
export const ROLES: readonly Role[] = ["chair", "secretary", "registrar", "teller", "member", "auditor"];

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

export interface Session {
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

export type NoncePurpose = "roll" | "check-in" | "trustee" | "cosign" | "action";

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
  state: "invited" | "active";
}

export interface MeetingCard {
  id: string;
  title: string;
  unit: string;
  state: MeetingState;
  starts_at: number;
  time_zone: string;
  open_election: string | null;
}

export type MeetingState = "draft" | "convened" | "checking-in" | "opened" | "closed";
export type AgendaState = "waiting" | "current" | "done";
export type FloorMode = "open" | "chaired";
export type QuestionType = "yes-no-abstain" | "one-of-n";
export type MajorityKind = "simple" | "absolute" | "two-thirds" | "three-quarters";
export type MajorityBase = "cast" | "present" | "roll";

export interface AgendaItem {
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

export type ElectionState = "draft" | "open" | "closing" | "closed" | "counting" | "counted" | "declared" | "too-few" | "void";

export interface Outcome {
  kind: "carried" | "rejected" | "no-quorum" | "too-few" | "elected" | "none";
  option: number;
}

/** The signed core of a tally (voting.md section 8). */
export interface TallyCore {
  v: 1;
  election: string;
  manifest: string;
  closing: string;
  aggregate: string;
  cast: number;
  counts: number[][];
  trustees: number[];
  quorum: { met: boolean; present: number; roll: number };
  outcome: Outcome[];
  exceptions: number;
  counted_at: number;
}

export interface ElectionSummary {
  election: string;
  agenda_item: string;
  title: string;
  type: QuestionType;
  text: string;
  options: string[];
  majority: Majority;
  state: ElectionState;
  electorate_size: number;
  cast: number;
  voted: boolean;
  result: TallyCore | null;
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

export interface Me {
  member: string;
  roles: Role[];
  checked_in: boolean;
  credential: string | null;
  removed: boolean;
  trustee: number;
  cosigner: string;
}

export interface Meeting {
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
  roll: { frozen: boolean; hash: string; size: number };
  key: { state: "waiting" | "running" | "ready"; trustees: TrusteeInfo[]; code: string };
  cosigners: CosignerInfo[];
  elections: ElectionSummary[];
  me: Me;
  seq: number;
}

export interface RollCore {
  v: 1;
  meeting: string;
  organisation: string;
  root: string;
  size: number;
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
  weight: 1;
  passkeys: { id: string; key: string }[];
  exception: string;
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
  core: TallyCore;
  tally_hash: string;
  signatures: { server: string; chair: string; trustees: { trustee: number; sig: string }[] };
  entries: number;
}

/** Everything that happened in a meeting, numbered from 1 without gaps. */
export type MeetingEvent = { seq: number; at: number } & EventBody;

export type EventBody =
  | { type: "MeetingDrafted" | "MeetingConvened" | "CheckInBegan" | "MeetingOpened" | "MeetingClosed" | "AllMuted"; body: object }
  | { type: "RollFrozen"; body: { hash: string; size: number; exceptions: number } }
  | { type: "MemberCheckedIn"; body: { member: string; name: string; site: string } }
  | { type: "MemberDeparted"; body: { member: string; reason: "left" | "lost" | "removed" | "closed"; until: number } }
  | {
      type: "MemberAway" | "MemberReturned" | "HandRaised" | "HandLowered" | "FloorGranted" | "FloorWithdrawn" | "MemberRemoved" | "MemberReadmitted";
      body: { member: string };
    }
  | { type: "QuorumReached" | "QuorumLost"; body: { present: number; needed: number } }
  | { type: "AgendaItemStarted"; body: { item: string } }
  | { type: "FloorModeSet"; body: { mode: FloorMode } }
  | { type: "MemberMuted"; body: { member: string; muted: boolean } }
  | { type: "KeyMessagePosted"; body: { round: string; trustee: number } }
  | { type: "KeyGenerated"; body: { key: string; code: string } }
  | { type: "CosignerNamed"; body: { name: string } }
  | { type: "ElectionDrafted" | "TallyComputed" | "ElectionVoided"; body: { election: string } }
  | { type: "ElectionOpened"; body: { election: string; manifest: string; present: number } }
  | { type: "BallotAccepted"; body: { election: string; count: number } }
  | { type: "BoardPublished"; body: { election: string; size: number } }
  | { type: "ElectionClosed"; body: { election: string; cast: number } }
  | { type: "ClosingCosigned"; body: { election: string; cosignatures: number } }
  | { type: "IntentPosted" | "SharePosted"; body: { election: string; trustee: number } }
  | { type: "TallySigned"; body: { election: string; signer: string } }
  | { type: "ResultDeclared"; body: { election: string; outcome: Outcome[]; counts: number[][] } };

export type EventType = EventBody["type"];

export type Command =
  | { command: "convene" | "begin-check-in" | "open" | "close" | "raise-hand" | "lower-hand" | "mute-all" | "leave" }
  | { command: "start-item"; item: string }
  | { command: "set-floor-mode"; mode: FloorMode }
  | { command: "grant-floor" | "withdraw-floor" | "mute" | "unmute" | "remove" | "readmit"; member: string };
