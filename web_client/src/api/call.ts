/** One request to the server, and the one error class of all of them. */
import { tellCut, tellQueued } from "./cut.ts";

/** A refusal by the server, or `network.unreachable` / `network.bad-answer` from here. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  /** What a page needs to go on, for the few refusals that have some. */
  readonly details: unknown;

  constructor(code: string, message: string, status: number, details: unknown = null) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
    this.details = details;
  }

  /** True when nobody knows whether the server took the request. */
  get unknown(): boolean {
    return this.code.startsWith("network.") || this.status >= 500;
  }
}

const TIMEOUT_MS = 20_000;

/** Where the relay of a hall says since when it is cut off (docs/spec/relay.md). */
const CUT_HEADER = "Folkmoot-Cut";
const ACCEPTED = 202;

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

function isError(value: unknown): value is { error: { code: string; message: string; details?: unknown } } {
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

/** The booth's way to ask; the application has one of its own (thrift.ts), which would be too much for the booth. */
let ask = (path: string, init: RequestInit): Promise<Response> => {
  const deadline = new AbortController();
  setTimeout(() => deadline.abort(), TIMEOUT_MS);
  return fetch(path, { ...init, signal: deadline.signal });
};

/** Asks the server in another way from now on; what it gives up has not reached the server. */
export function askThrough(way: typeof ask): void {
  ask = way;
}

let acting = "";

/** At a hall's kiosk: acts for the member with this token, beside the custodian's session; "" ends it. */
export function actFor(token: string): void {
  acting = token;
}

const actsAt = (path: string): boolean => acting !== "" && (path === "/api/nonce" || path.startsWith("/api/meetings/"));

/**
 * Sends one request and gives the parsed answer.
 * @throws ApiError with the server's code, or `network.unreachable` without a connection or when nothing came for long.
 */
export async function call<T>(method: "GET" | "POST" | "PUT", path: string, body?: object): Promise<T> {
  let response: Response;
  try {
    response = await ask(path, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...(actsAt(path) ? { Authorization: `Kiosk ${acting}` } : {}) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    report(false);
    throw new ApiError("network.unreachable", "The server cannot be reached.", 0);
  }
  report(true);
  tellCut(Number(response.headers.get(CUT_HEADER) ?? 0));
  const value = await answerOf(response);
  if (!response.ok) {
    if (isError(value)) {
      const { code, message, details } = value.error;
      if (response.status === 401 && code.startsWith("session.")) for (const listener of signedOut) listener();
      throw new ApiError(code, message, response.status, details ?? null);
    }
    throw new ApiError("network.bad-answer", `The server answered ${response.status}.`, response.status);
  }
  if (response.status === ACCEPTED) tellQueued(path);
  // The one place where an answer takes its declared shape; docs/spec/wire.md is the contract.
  return value as T;
}

export const get = <T>(path: string): Promise<T> => call<T>("GET", path);
export const post = <T>(path: string, body: object = {}): Promise<T> => call<T>("POST", path, body);
export const at = (meeting: string, rest = ""): string => `/api/meetings/${encodeURIComponent(meeting)}${rest}`;
export const vote = (meeting: string, election: string, rest: string): string =>
  at(meeting, `/elections/${encodeURIComponent(election)}/${rest}`);
