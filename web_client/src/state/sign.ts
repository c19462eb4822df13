/** Step-up: an action that matters is signed by the member's passkey. */
import { api } from "../api/fetch.ts";
import type { Signed } from "../api/types.ts";
import * as challenges from "../ballot/challenges.ts";
import { type Bytes, fromB64u, type JsonObject } from "../ballot/encoding.ts";
import { assert, toAssertion } from "../identity/passkey.ts";
import { serverInfo } from "./session.ts";

const NONCE_BYTES = 32;

/** Asks the passkey to sign a challenge that this page computed. */
export async function signChallenge(nonce: string, challenge: Bytes, allow?: string[]): Promise<Signed> {
  const { rp_id } = await serverInfo();
  const answer = await assert(rp_id, challenge, allow);
  return { nonce, passkey: answer.id, assertion: toAssertion(answer) };
}

/** Signs one action with a fresh nonce. */
export async function signAction(action: JsonObject): Promise<Signed> {
  const { nonce } = await api.nonce("action");
  return signChallenge(nonce, challenges.action(action, fromB64u(nonce, NONCE_BYTES)));
}

/** Signs the roll as its registrar. */
export async function signRoll(rollHash: string): Promise<Signed> {
  const { nonce } = await api.nonce("roll");
  return signChallenge(nonce, challenges.registrar(fromB64u(rollHash, NONCE_BYTES), fromB64u(nonce, NONCE_BYTES)));
}
