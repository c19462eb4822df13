/** HTTP to the server: one typed call per route, one error class. */
import type {
  CheckInBegin,
  ElectionPreview,
  Command,
  EnrolBegin,
  Grant,
  Info,
  Keygen,
  LedgerProof,
  MeetingCard,
  MeetingEvent,
  Member,
  MyPasskey,
  Organisation,
  Question,
  RollDraft,
  RollEntry,
  RollStatement,
  Session,
  Signed,
  TallyAnswer,
  UnconfirmedPasskey,
  Unit,
} from "./types.ts";
import type { Snapshot } from "./types_closed.ts";
import { askThrough, at, call, get, post, vote } from "./call.ts";
import { conduct } from "./conduct.ts";
import { thrifty } from "./thrift.ts";
import { votes } from "./votes.ts";

export { ApiError, onReach, onSignedOut } from "./call.ts";

askThrough(thrifty);

export const api = {
  ...votes,
  ...conduct,
  info: () => get<Info>("/api/info"),
  signOut: () => post<object>("/api/sign-out"),
  enrolBegin: (token: string) => post<EnrolBegin>("/api/enrol/begin", { token }),
  enrolFinish: (token: string, nonce: string, credential: object) =>
    post<Session>("/api/enrol/finish", { token, nonce, credential }),
  signInBegin: () => post<{ nonce: string; rp_id: string }>("/api/sign-in/begin"),
  signInFinish: (nonce: string, credential: object) => post<Session>("/api/sign-in/finish", { nonce, credential }),
  socketTicket: (meeting: string) => post<{ ticket: string }>("/api/socket-ticket", { meeting }),
  organisation: () => get<Organisation>("/api/organisation"),
  addUnit: (parent: string, name: string) => post<Unit>("/api/units", { parent, name }),
  members: () => get<{ members: Member[] }>("/api/members"),
  addMember: (name: string, unit: string) =>
    post<{ member: Member; enrolment_url: string }>("/api/members", { name, unit }),
  enrolmentLink: (member: string) =>
    post<{ enrolment_url: string }>(`/api/members/${encodeURIComponent(member)}/enrolment-link`),
  grant: (body: { member: string; role: string; unit: string; until: number; action: object; signed: Signed }) =>
    post<Grant>("/api/grants", body),
  endGrant: (id: string) => post<object>(`/api/grants/${encodeURIComponent(id)}/end`),
  meetings: () => get<{ meetings: MeetingCard[] }>("/api/meetings"),
  createMeeting: (body: {
    title: string;
    unit: string;
    starts_at: number;
    time_zone: string;
    agenda: { title: string }[];
    quorum: { num: number; den: number };
    notice_days: number;
    binding: boolean;
    template: string;
  }) => post<{ id: string }>("/api/meetings", body),
  meeting: (m: string) => get<Snapshot>(at(m)),
  events: (m: string, after: number) => get<{ events: MeetingEvent[] }>(at(m, `/events?after=${after}`)),
  addQuestion: (
    m: string,
    body: {
      agenda_item: string;
      title: string;
      questions: Question[];
      secrecy: string;
      voting_again: string;
      majority: { kind: string; of: string };
      tie: string;
      closes_after_s: number;
      kiosk: boolean;
      grace_s?: number;
    },
  ) => post<{ election: string }>(at(m, "/questions"), body),
  command: (m: string, command: Command) => post<{ seq: number }>(at(m, "/commands"), command),
  rehearse: (m: string, language: string) => post<{ id: string }>(at(m, "/rehearsal"), { language }),
  unconfirmed: (unit: string) => get<{ passkeys: UnconfirmedPasskey[] }>(`/api/passkeys/unconfirmed?unit=${encodeURIComponent(unit)}`),
  confirmPasskeys: (passkeys: string[], action: object, signed: Signed) => post<object>("/api/passkeys/confirm", { passkeys, action, signed }),
  myPasskeys: () => get<{ passkeys: MyPasskey[] }>("/api/passkeys"),
  removePasskey: (id: string, action: object, signed: Signed) => post<object>(`/api/passkeys/${encodeURIComponent(id)}/remove`, { action, signed }),
  addPasskeyBegin: (action: object, signed: Signed) => post<EnrolBegin>("/api/passkeys/begin", { action, signed }),
  addPasskeyFinish: (nonce: string, credential: object) => post<object>("/api/passkeys/finish", { nonce, credential }),
  replacementLink: (member: string) => post<{ enrolment_url: string }>(`/api/members/${encodeURIComponent(member)}/replacement-link`),
  setWeight: (member: string, weight: number, action: object, signed: Signed) => post<object>(`/api/members/${encodeURIComponent(member)}/weight`, { weight, action, signed }),
  auditorKey: () => get<{ recipient: string; at: number } | null>("/api/auditor-key"),
  setAuditorKey: (recipient: string, action: object, signed: Signed) => post<object>("/api/auditor-key", { recipient, action, signed }),
  prepareRoll: (m: string) => post<RollDraft>(at(m, "/roll/prepare")),
  freezeRoll: (m: string, rollHash: string, signed: Signed) =>
    post<{ statement: RollStatement }>(at(m, "/roll/freeze"), { roll_hash: rollHash, signed }),
  roll: (m: string) => get<{ statement: RollStatement; mine: RollEntry | null; size: number }>(at(m, "/roll")),
  ledger: (from: number, to: number) => get<LedgerProof>(`/api/ledger?from=${from}&to=${to}`),
  checkInBegin: (m: string, where: { site: string; code: string } | null) => post<CheckInBegin>(at(m, "/check-in/begin"), where ?? {}),
  checkInFinish: (m: string, body: { credential: string; site: string; checkpoint: string } & Signed) =>
    post<{ credential: string; seq: number }>(at(m, "/check-in/finish"), body),
  keygen: (m: string) => get<Keygen>(at(m, "/keygen")),
  keygenMessage: (m: string, message: object, statement?: Signed) =>
    post<object>(at(m, "/keygen/messages"), statement ? { message, statement } : { message }),
  restartKey: (m: string, reason: string, action: object, signed: Signed) => post<object>(at(m, "/keygen/restart"), { reason, action, signed }),
  shareCopy: (m: string) => get<{ copy: object | null }>(at(m, "/keygen/copy")),
  keepShareCopy: (m: string, copy: object) => call<object>("PUT", at(m, "/keygen/copy"), { copy }),
  shareDestroyed: (m: string, statement: object) => post<object>(at(m, "/keygen/destroyed"), { statement }),
  nameCosigner: (m: string, body: { name: string; key: string } & Signed) => post<object>(at(m, "/cosigners"), body),
  openElection: (m: string, e: string, action: object, signed: Signed) =>
    post<{ manifest: object }>(vote(m, e, "open"), { action, signed }),
  preview: (m: string, e: string) => get<ElectionPreview>(vote(m, e, "preview")),
  exclude: (m: string, e: string, body: { member: string; excluded: boolean; reason: string }) => post<object>(vote(m, e, "exclusions"), body),
  castingVote: (m: string, e: string, entry: object) => post<object>(vote(m, e, "casting"), { entry }),
  closeElection: (m: string, e: string, action: object, signed: Signed) =>
    post<object>(vote(m, e, "close"), { action, signed }),
  cosign: (m: string, e: string, line: string) =>
    post<{ cosignatures: number }>(vote(m, e, "cosignatures"), { line }),
  postIntent: (m: string, e: string, entry: object) => post<object>(vote(m, e, "intents"), { entry }),
  postShare: (m: string, e: string, entry: object) => post<object>(vote(m, e, "shares"), { entry }),
  tally: (m: string, e: string) => get<TallyAnswer>(vote(m, e, "tally")),
  signTally: (m: string, e: string, body: { signer: "chair" | "trustee"; trustee: number; sig: string }) =>
    post<object>(vote(m, e, "tally/signatures"), body),
};

/** Addresses of files that the browser downloads by itself. */
export const files = {
  bundle: (m: string): string => at(m, "/bundle.zip"),
  annex: (m: string): string => at(m, "/annex.age"),
  attendance: (m: string): string => at(m, "/attendance.csv"),
};
