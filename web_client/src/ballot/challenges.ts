/** Section 2 of the specification: what a passkey signs, computed by the page and never taken from the server. */
import { type Bytes, H, type JsonObject, jcs, u32 } from "./encoding.ts";

export const enrolment = (rpId: string, userHandle: Bytes, nonce: Bytes): Bytes => H("fm1/enrol", rpId, userHandle, nonce);

export const signIn = (rpId: string, nonce: Bytes): Bytes => H("fm1/sign-in", rpId, nonce);

export const action = (what: JsonObject, nonce: Bytes): Bytes => H("fm1/action", jcs(what), nonce);

export const registrar = (rollHash: Bytes, nonce: Bytes): Bytes => H("fm1/registrar", rollHash, nonce);

export interface CheckinFields {
  meeting: string;
  rollHash: Bytes;
  site: string;
  credential: Bytes;
  /** Text of the newest ledger checkpoint that the page holds. */
  checkpoint: string;
  nonce: Bytes;
}

export const checkin = (f: CheckinFields): Bytes =>
  H("fm1/checkin", f.meeting, f.rollHash, f.site, f.credential, f.checkpoint, f.nonce);

export interface TrusteeFields {
  meeting: string;
  rollHash: Bytes;
  attempt: number;
  index: number;
  signKey: Bytes;
  boxKey: Bytes;
  nonce: Bytes;
}

export const trustee = (f: TrusteeFields): Bytes =>
  H("fm1/trustee", f.meeting, f.rollHash, u32(f.attempt), u32(f.index), f.signKey, f.boxKey, f.nonce);

export interface CosignerFields {
  meeting: string;
  rollHash: Bytes;
  name: string;
  key: Bytes;
  nonce: Bytes;
}

export const cosigner = (f: CosignerFields): Bytes => H("fm1/cosign", f.meeting, f.rollHash, f.name, f.key, f.nonce);

export interface ReplacementFields {
  manifestHash: Bytes;
  old: Bytes;
  new: Bytes;
  kiosk: boolean;
  nonce: Bytes;
}

export const replacement = (f: ReplacementFields): Bytes =>
  H("fm1/replace", f.manifestHash, f.old, f.new, u32(f.kiosk ? 1 : 0), f.nonce);

export interface PresenceFields {
  meeting: string;
  /** Id of the chair's question who is still here. */
  presence: string;
  credential: Bytes;
  nonce: Bytes;
}

export const presence = (f: PresenceFields): Bytes => H("fm1/presence", f.meeting, f.presence, f.credential, f.nonce);

/** The salted hash by which the public record cites a member's statement. */
export const statementHash = (salt: Bytes, statement: JsonObject): Bytes => H("fm1/statement", salt, jcs(statement));
