/** A teller's share after the key is made: copies, taking it onto another device, destruction on record. */
import { ApiError, api } from "../api/fetch.ts";
import type { Keygen, Meeting } from "../api/types.ts";
import { b64u, fromB64u, type Json } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import { Keygen as Transcript } from "../ballot/keygen.ts";
import { prf } from "../identity/prf.ts";
import { type ShareCopy, codeMaterial, freshCode, groupCode, prfInput, readCode, readCopy } from "../trustee/copies.ts";
import { destroy } from "../trustee/destruction.ts";
import { findShare, type TrusteeScope } from "../trustee/secrets.ts";
import { copyShare, restoreShare } from "../trustee/teller.ts";
import { keystore } from "./keys.ts";
import { serverInfo } from "./session.ts";

const scopeOf = (meeting: Meeting, { attempt }: Keygen): TrusteeScope => ({ meeting: meeting.id, roll: meeting.roll.hash, attempt, trustee: meeting.me.trustee });

export interface ShareState {
  /** This device can open boxes. */
  held: boolean;
  /** The server keeps a copy that this teller's passkey opens. */
  copied: boolean;
  /** The share was destroyed on record. */
  destroyed: boolean;
}

export async function shareState(meeting: Meeting): Promise<ShareState> {
  const keygen = await api.keygen(meeting.id);
  const [share, { copy }] = await Promise.all([findShare(await keystore(), scopeOf(meeting, keygen)), api.shareCopy(meeting.id)]);
  return { held: share !== null, copied: copy !== null, destroyed: keygen.destroyed.includes(meeting.me.trustee) };
}

/** The key of a copy, by one of this teller's own passkeys: on a shared device another person's might answer. */
async function passkeyMaterial(meeting: string): Promise<Uint8Array<ArrayBuffer>> {
  const [{ rp_id }, { passkeys }] = await Promise.all([serverInfo(), api.myPasskeys()]);
  return (await prf(rp_id, prfInput(meeting), passkeys.map(({ id }) => id))) as Uint8Array<ArrayBuffer>;
}

/** A copy at the server that only this teller's passkey opens. @throws PasskeyError `passkey.no-prf` */
export async function keepCopy(meeting: Meeting): Promise<void> {
  const scope = scopeOf(meeting, await api.keygen(meeting.id));
  const copy = await copyShare(await keystore(), scope, "passkey", () => passkeyMaterial(meeting.id));
  await api.keepShareCopy(meeting.id, copy);
}

/** A copy as a file, and the code that opens it: the teller keeps both apart. */
export async function codeCopy(meeting: Meeting): Promise<{ code: string; file: Blob }> {
  const scope = scopeOf(meeting, await api.keygen(meeting.id));
  const keys = await keystore();
  const code = freshCode(keys.random);
  const copy = await copyShare(keys, scope, "code", (salt) => codeMaterial(code, salt));
  return { code: groupCode(code), file: new Blob([JSON.stringify(copy)], { type: "application/json" }) };
}

async function restore(meeting: Meeting, copy: ShareCopy, material: (salt: Uint8Array<ArrayBuffer>) => Promise<Uint8Array<ArrayBuffer>>): Promise<void> {
  const keygen = await api.keygen(meeting.id);
  const { trustee } = meeting.me;
  const made = Transcript.read({ meeting: meeting.id, attempt: keygen.attempt, rollHash: fromB64u(meeting.roll.hash, 32), threshold: keygen.threshold, count: keygen.count }, keygen.messages);
  const signKey = made.message("register", trustee)?.["sign_key"];
  const verificationKey = made.verificationKeys()[trustee - 1];
  if (typeof signKey !== "string" || verificationKey === undefined) throw new Error("The key is not made yet.");
  await restoreShare(await keystore(), scopeOf(meeting, keygen), copy, material, { verificationKey: b64u(verificationKey), signKey });
}

/** Takes the share onto this device from the server's copy. @throws ApiError `copy.other-passkey`, PasskeyError */
export async function restoreByPasskey(meeting: Meeting): Promise<void> {
  const { copy } = await api.shareCopy(meeting.id);
  try {
    await restore(meeting, readCopy(copy as Json), () => passkeyMaterial(meeting.id));
  } catch (error) {
    const shut = error instanceof VotingError && error.code === "voting.copy";
    throw shut ? new ApiError("copy.other-passkey", "This passkey does not open the copy.", 0) : error;
  }
}

/** Takes the share onto this device from a file and its code. @throws VotingError `voting.copy` */
export async function restoreByCode(meeting: Meeting, text: string, typed: string): Promise<void> {
  const code = readCode(typed);
  await restore(meeting, readFile(text), (salt) => codeMaterial(code, salt) as Promise<Uint8Array<ArrayBuffer>>);
}

function readFile(text: string): ShareCopy {
  try {
    return readCopy(JSON.parse(text) as Json);
  } catch {
    throw new VotingError("voting.copy", "This file holds no copy of a share.");
  }
}

/** When the share may be destroyed, in seconds: the challenge period after the last count; null while a vote is not over. */
export function destroyableFrom(meeting: Meeting): number | null {
  if (meeting.state !== "closed") return null;
  const counted = meeting.elections.map((election) => election.result?.counted_at ?? 0);
  return Math.max(meeting.closed_at ?? 0, ...counted) + meeting.challenge_s;
}

/** Deletes the share from this device and says so on record. @throws VotingError `voting.too-early` */
export async function destroyShare(meeting: Meeting): Promise<void> {
  const keygen = await api.keygen(meeting.id);
  const certify = keygen.messages.find((message) => typeof message === "object" && message !== null && "transcript" in message) as { transcript: string } | undefined;
  const statement = await destroy({
    keystore: await keystore(),
    scope: scopeOf(meeting, keygen),
    transcript: certify?.transcript ?? "",
    notBefore: destroyableFrom(meeting) ?? Number.MAX_SAFE_INTEGER,
    now: Math.floor(Date.now() / 1000),
  });
  await api.shareDestroyed(meeting.id, statement);
}
