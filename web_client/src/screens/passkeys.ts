/** Registration and sign-in with a passkey; every challenge is computed here. */
import { api } from "../api/fetch.ts";
import type { EnrolBegin } from "../api/types.ts";
import * as challenges from "../ballot/challenges.ts";
import { fromB64u } from "../ballot/encoding.ts";
import { assert, register, type RegistrationJson } from "../identity/passkey.ts";
import { signedIn } from "../state/session.ts";
import { signAction } from "../state/sign.ts";

const NONCE_BYTES = 32;
const TIMEOUT_MS = 120_000;

export async function signIn(): Promise<void> {
  const { nonce, rp_id } = await api.signInBegin();
  const answer = await assert(rp_id, challenges.signIn(rp_id, fromB64u(nonce, NONCE_BYTES)));
  signedIn(await api.signInFinish(nonce, answer));
}

/** Asks whom the link is for; nothing is spent yet. */
export const readLink = (token: string): Promise<EnrolBegin> => api.enrolBegin(token);

/** Makes a passkey for what the server has begun; the challenge is computed here. */
function make(begun: EnrolBegin): Promise<RegistrationJson> {
  const challenge = challenges.enrolment(begun.rp.id, fromB64u(begun.user.id), fromB64u(begun.nonce, NONCE_BYTES));
  return register(
    {
      rp: begun.rp,
      user: { id: begun.user.id, name: begun.user.name, displayName: begun.user.display_name },
      challenge: "",
      pubKeyCredParams: begun.algorithms.map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: begun.exclude.map((id) => ({ type: "public-key", id })),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
      extensions: { prf: {} },
      timeout: TIMEOUT_MS,
    },
    challenge,
  );
}

export async function enrol(token: string, begun: EnrolBegin): Promise<void> {
  signedIn(await api.enrolFinish(token, begun.nonce, await make(begun)));
}

/** One more passkey for the member who is signed in. */
export async function addPasskey(): Promise<void> {
  const action = { type: "add-passkey" };
  const begun = await api.addPasskeyBegin(action, await signAction(action));
  await api.addPasskeyFinish(begun.nonce, await make(begun));
}
