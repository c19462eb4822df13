/** Who is signed in, and what this server is. */
import { signal } from "@preact/signals";
import { ApiError, api, onSignedOut } from "../api/fetch.ts";
import { forgetAnswers } from "../api/thrift.ts";
import type { Info, Role, Session } from "../api/types.ts";
import { dropPages, forget as forgetKept, keptAt, recall, remember } from "./cache.ts";
import { showsKept } from "./link.ts";

/** `undefined` until the server has answered. */
export const session = signal<Session | null | undefined>(undefined);
export const info = signal<Info | null>(null);

/** How long the server may take to say who we are before the last known member is shown. */
const PATIENCE_MS = 4_000;
/** So long after the server last knew the session, what is kept can be read without it. */
const KEPT_MAX_S = 7 * 86_400;

function forget(): Promise<void> {
  forgetAnswers();
  return forgetKept();
}

/** The last member that the server knew here, with what was kept for them; too old, it is dropped. */
function showLastKnown(): void {
  const at = keptAt("session");
  if (Date.now() / 1000 - at > KEPT_MAX_S) void forget();
  session.value = recall<Session>("session");
  showsKept(at);
}

/** Asks the server who we are; without a connection the last known member is shown. */
export async function loadSession(): Promise<void> {
  info.value = recall<Info>("info");
  const known = api.info().then((value) => remember("info", (info.value = value)));
  const timer = session.peek() === undefined && recall("session") !== null ? setTimeout(showLastKnown, PATIENCE_MS) : undefined;
  try {
    signedIn(await api.session().finally(() => clearTimeout(timer)));
  } catch (error) {
    if (error instanceof ApiError && !error.unknown) {
      void forget();
      session.value = null;
    } else showLastKnown();
  }
  await known.catch(() => undefined);
}

onSignedOut(() => {
  // The address stays, so that signing in leads back to where the member was.
  if (!session.peek()) return;
  void forget();
  session.value = null;
});

/** The server's description; fetched when it is not known yet. */
export async function serverInfo(): Promise<Info> {
  if (info.value === null) info.value = remember("info", await api.info());
  return info.value;
}

/** What was kept of another member who used this browser is forgotten; their keys stay, each under its member. */
export function signedIn(value: Session): void {
  const before = recall<Session>("session");
  const outside = before?.state === "admitted" && value.state !== "admitted"; // a guest whom the chair has shown out
  void (before?.member.id !== value.member.id || outside ? forget() : dropPages(value.member.id));
  session.value = remember("session", value);
}

/** What is kept goes at once, also when the server cannot be told. */
export async function signOut(): Promise<void> {
  // Both at once: who leaves the page at the next moment is signed out all the same, and offline what is kept goes too.
  await Promise.all([api.signOut(), forget()]);
  await forget(); // what the page has kept meanwhile
  session.value = null;
}

/** True when the member holds one of the roles anywhere. */
export const hasRole = (...roles: Role[]): boolean =>
  session.value?.roles.some((grant) => roles.includes(grant.role)) ?? false;
