/** HTTP to the server: one typed call per route, one error class. */
import type {
  Board,
  CheckInBegin,
  ElectionPreview,
  Command,
  EnrolBegin,
  Grant,
  Inclusion,
  Info,
  Keygen,
  LedgerProof,
  Meeting,
  MeetingCard,
  MeetingEvent,
  Member,
  MyPasskey,
  NoncePurpose,
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
  VotePlace,
} from "./types.ts";

/** A refusal by the server, or `network.unreachable` / `network.bad-answer` from here. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status: number) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
  }

  /** True when nobody knows whether the server took the request. */
  get unknown(): boolean {
    return this.code.startsWith("network.") || this.status >= 500;
  }
}

const TIMEOUT_MS = 20_000;

type Listener = (reached: boolean) => void;
const listeners = new Set<Listener>();

/** Tells after every request whether the server was reached. */
export function onReach(listener: Listener): void {
  listeners.add(listener);
}

const signedOut = new Set<() => void>();

/** Tells when the server no longer knows the session. */
export function onSignedOut(listener: () => void): void {
  signedOut.add(listener);
}

function report(reached: boolean): void {
  for (const listener of listeners) listener(reached);
}

function isError(value: unknown): value is { error: { code: string; message: string } } {
  if (typeof value !== "object" || value === null || !("error" in value)) return false;
  const { error } = value;
  return typeof error === "object" && error !== null && "code" in error && "message" in error;
}

async function answerOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    throw new ApiError("network.bad-answer", "The server's answer could not be read.", response.status);
  }
}

/**
 * Sends one request and gives the parsed answer.
 * @throws ApiError with the server's code, or `network.unreachable` after 20 s or without a connection.
 */
export async function call<T>(method: "GET" | "POST" | "PUT", path: string, body?: object): Promise<T> {
  let response: Response;
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), TIMEOUT_MS);
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      signal: deadline.signal,
      ...(body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
    });
  } catch {
    clearTimeout(timer);
    report(false);
    throw new ApiError("network.unreachable", "The server cannot be reached.", 0);
  }
  report(true);
  const value = await answerOf(response).finally(() => clearTimeout(timer));
  if (!response.ok) {
    if (isError(value)) {
      const { code, message } = value.error;
      if (response.status === 401 && code.startsWith("session.")) for (const listener of signedOut) listener();
      throw new ApiError(code, message, response.status);
    }
    throw new ApiError("network.bad-answer", `The server answered ${response.status}.`, response.status);
  }
  // The one place where an answer takes its declared shape; docs/spec/wire.md is the contract.
  return value as T;
}

const get = <T>(path: string): Promise<T> => call<T>("GET", path);
const post = <T>(path: string, body: object = {}): Promise<T> => call<T>("POST", path, body);
const at = (meeting: string, rest = ""): string => `/api/meetings/${encodeURIComponent(meeting)}${rest}`;
const vote = (meeting: string, election: string, rest: string): string =>
  at(meeting, `/elections/${encodeURIComponent(election)}/${rest}`);

export const api = {
  info: () => get<Info>("/api/info"),
  session: () => get<Session>("/api/session"),
  signOut: () => post<object>("/api/sign-out"),
  enrolBegin: (token: string) => post<EnrolBegin>("/api/enrol/begin", { token }),
  enrolFinish: (token: string, nonce: string, credential: object) =>
    post<Session>("/api/enrol/finish", { token, nonce, credential }),
  signInBegin: () => post<{ nonce: string; rp_id: string }>("/api/sign-in/begin"),
  signInFinish: (nonce: string, credential: object) => post<Session>("/api/sign-in/finish", { nonce, credential }),
  nonce: (purpose: NoncePurpose) => post<{ nonce: string; expires_at: number }>("/api/nonce", { purpose }),
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
  }) => post<{ id: string }>("/api/meetings", body),
  meeting: (m: string) => get<Meeting>(at(m)),
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
    },
  ) => post<{ election: string }>(at(m, "/questions"), body),
  command: (m: string, command: Command) => post<{ seq: number }>(at(m, "/commands"), command),

  rehearse: (m: string) => post<{ id: string }>(at(m, "/rehearsal")),
  unconfirmed: (unit: string) => get<{ passkeys: UnconfirmedPasskey[] }>(`/api/passkeys/unconfirmed?unit=${encodeURIComponent(unit)}`),
  confirmPasskeys: (passkeys: string[], action: object, signed: Signed) => post<object>("/api/passkeys/confirm", { passkeys, action, signed }),
  myPasskeys: () => get<{ passkeys: MyPasskey[] }>("/api/passkeys"),
  removePasskey: (id: string, action: object, signed: Signed) => post<object>(`/api/passkeys/${encodeURIComponent(id)}/remove`, { action, signed }),
  addPasskeyBegin: () => post<EnrolBegin>("/api/passkeys/begin"),
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
  checkInBegin: (m: string) => post<CheckInBegin>(at(m, "/check-in/begin")),
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
  announceSealed: (m: string, e: string, credential: string, sealed: string) => post<{ seals: number }>(vote(m, e, "seals"), { credential, sealed }),
  voidSealed: (m: string, e: string, entry: object) => post<object>(vote(m, e, "voids"), { entry }),
  replaceCredential: (m: string, e: string, body: { old: string; new: string; kiosk: boolean } & Signed) => post<object>(vote(m, e, "replacements"), body),
  castingVote: (m: string, e: string, entry: object) => post<object>(vote(m, e, "casting"), { entry }),
  manifestByHash: (mh: string) => get<{ manifest: object }>(`/api/manifests/${encodeURIComponent(mh)}`),
  voidRecorded: (mh: string, sealed: string) => get<{ recorded: boolean; published: boolean }>(`/api/manifests/${encodeURIComponent(mh)}/voids/${encodeURIComponent(sealed)}`),
  closeElection: (m: string, e: string, action: object, signed: Signed) =>
    post<object>(vote(m, e, "close"), { action, signed }),
  manifest: (m: string, e: string) =>
    get<{ manifest: object; electorate: { credential: string; weight: number; name: string }[]; me: VotePlace }>(vote(m, e, "manifest")),
  cast: (m: string, e: string, ballot: object) => post<{ promise: object }>(vote(m, e, "ballots"), { ballot }),
  board: (m: string, e: string, from: number) => get<Board>(vote(m, e, `board?from=${from}`)),
  inclusion: (m: string, e: string, leaf: string) =>
    get<Inclusion>(vote(m, e, `inclusion?leaf=${encodeURIComponent(leaf)}`)),
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
