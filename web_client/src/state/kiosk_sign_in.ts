/** One voter at a hall's kiosk: signed in beside the custodian's session, with a token that only this page's memory holds. */
import { actFor, at, post } from "../api/call.ts";
import * as challenges from "../ballot/challenges.ts";
import { fromB64u } from "../ballot/encoding.ts";
import { assert } from "../identity/passkey.ts";

const NONCE_BYTES = 32;
const path = (meeting: string, site: string, rest: string): string => at(meeting, `/sites/${encodeURIComponent(site)}/kiosk/${rest}`);

/** @throws ApiError, PasskeyError */
export async function signInAtKiosk(meeting: string, site: string): Promise<void> {
  const { nonce, rp_id } = await post<{ nonce: string; rp_id: string }>(path(meeting, site, "sign-in/begin"));
  const credential = await assert(rp_id, challenges.signIn(rp_id, fromB64u(nonce, NONCE_BYTES)));
  const { token } = await post<{ token: string }>(path(meeting, site, "sign-in/finish"), { nonce, credential });
  actFor(token);
}

/** @throws ApiError when the server has not ended it yet */
export async function signOutAtKiosk(meeting: string, site: string): Promise<void> {
  await post<object>(path(meeting, site, "sign-out"));
  actFor("");
}
