/** Section 4, destruction: after the challenge period a trustee's page deletes its secrets and says so on record. */
import { type Bytes, H, type Json, type JsonObject, b64u, fromB64u, u32, u64 } from "../ballot/encoding.ts";
import { ensure } from "../ballot/errors.ts";
import { requireSignature, seedKey } from "../ballot/signing.ts";
import { Fields } from "../ballot/strict.ts";
import type { Keystore } from "../identity/keystore.ts";
import { type CopyPlace } from "./copies.ts";
import { type TrusteeScope, findShare, forgetSecrets, placeOf } from "./secrets.ts";

export const destroyedHash = ({ meeting, attempt, trustee }: CopyPlace, transcript: Bytes, at: number): Bytes =>
  H("fm1/destroyed", meeting, u32(attempt), u32(trustee), transcript, u64(at));

export interface Destruction {
  keystore: Keystore;
  scope: TrusteeScope;
  /** b64u */
  transcript: string;
  /** When the challenge period of every vote with this key is over, in seconds. */
  notBefore: number;
  now: number;
}

/**
 * Deletes this device's secrets and returns the signed statement, the same on every call.
 * @throws VotingError `voting.too-early`, `voting.no-secrets`
 */
export async function destroy({ keystore, scope, transcript, notBefore, now }: Destruction): Promise<JsonObject> {
  const name = `destroyed/${placeOf(scope)}`;
  const made = await keystore.decision<JsonObject>(name);
  if (made === null) ensure(now >= notBefore, "voting.too-early", "The time in which the count may be challenged is not over.");
  const secrets = made === null ? await findShare(keystore, scope) : null;
  ensure(made !== null || secrets !== null, "voting.no-secrets", "This device does not hold this teller's part of the key.");
  let statement = made;
  if (statement === null && secrets !== null) {
    const { meeting, attempt, trustee } = scope;
    const sig = await seedKey(secrets.signSeed).sign(destroyedHash(scope, fromB64u(transcript, 32), now));
    // Recorded before anything is deleted, so that a crash in between loses neither.
    statement = await keystore.decide<JsonObject>(name, { type: "destroyed", meeting, attempt, trustee, at: now, sig: b64u(sig) });
  }
  await forgetSecrets(keystore, scope);
  return statement ?? {};
}

export interface Statement extends CopyPlace {
  at: number;
  sig: Bytes;
}

/** @throws VotingError `voting.encoding` */
export function readStatement(value: Json): Statement {
  const f = new Fields(value, "The statement", ["type", "meeting", "attempt", "trustee", "at", "sig"]);
  f.exactly("type", "destroyed");
  return {
    meeting: f.id("meeting"), attempt: f.int("attempt", 1, 20), trustee: f.int("trustee", 1, 9), at: f.int("at", 0, Number.MAX_SAFE_INTEGER),
    sig: f.bytes("sig", 64),
  };
}

/** Throws unless the trustee with this key signed it. @throws VotingError `voting.signature` */
export function requireDestroyed(statement: Statement, transcript: Bytes, signKey: Bytes): void {
  requireSignature(signKey, destroyedHash(statement, transcript, statement.at), statement.sig, `teller ${statement.trustee}`);
}
