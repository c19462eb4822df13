/** Who is signed in, and what this server is. */
import { signal } from "@preact/signals";
import { ApiError, api, onSignedOut } from "../api/fetch.ts";
import type { Info, Role, Session } from "../api/types.ts";
import { forget, recall, remember } from "./cache.ts";

/** `undefined` until the server has answered. */
export const session = signal<Session | null | undefined>(undefined);
export const info = signal<Info | null>(null);

/** Asks the server who we are; without a connection the last known member is shown. */
export async function loadSession(): Promise<void> {
  info.value = recall<Info>("info");
  const known = api.info().then((value) => remember("info", (info.value = value)));
  try {
    signedIn(await api.session());
  } catch (error) {
    if (error instanceof ApiError && !error.unknown) {
      forget();
      session.value = null;
    } else session.value = recall<Session>("session");
  }
  await known.catch(() => undefined);
}

onSignedOut(() => {
  // The address stays, so that signing in leads back to where the member was.
  if (session.peek()) session.value = null;
});

/** The server's description; fetched when it is not known yet. */
export async function serverInfo(): Promise<Info> {
  if (info.value === null) info.value = remember("info", await api.info());
  return info.value;
}

/** What was kept of another member who used this browser is forgotten; their keys stay, each under its member. */
export function signedIn(value: Session): void {
  if (recall<Session>("session")?.member.id !== value.member.id) forget();
  session.value = remember("session", value);
}

export async function signOut(): Promise<void> {
  await api.signOut();
  forget();
  session.value = null;
}

/** True when the member holds one of the roles anywhere. */
export const hasRole = (...roles: Role[]): boolean =>
  session.value?.roles.some((grant) => roles.includes(grant.role)) ?? false;
