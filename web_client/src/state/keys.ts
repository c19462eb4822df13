/** The signed-in member's keystore on this device, opened once; loaded only by screens that need it. */
import { ApiError } from "../api/fetch.ts";
import { type Keystore, openKeystore } from "../identity/keystore.ts";
import { session } from "./session.ts";

const opened = new Map<string, Promise<Keystore>>();

/** @throws ApiError `session.none` when nobody is signed in */
export async function keystore(): Promise<Keystore> {
  const member = session.peek()?.member.id;
  if (member === undefined) throw new ApiError("session.none", "Please sign in.", 0);
  const known = opened.get(member);
  if (known) return known;
  const opening = openKeystore(member).catch((error: unknown) => {
    opened.delete(member);
    throw error;
  });
  opened.set(member, opening);
  return opening;
}
