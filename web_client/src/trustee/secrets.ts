/** What a trustee's page keeps of one attempt, under a key that cannot leave the browser. */
import { type Bytes, concat } from "../ballot/encoding.ts";
import { ensure } from "../ballot/errors.ts";
import { type TrusteeSecrets, makeSecrets } from "../ballot/keygen.ts";
import type { Keystore } from "../identity/keystore.ts";

/** A trustee's secrets belong to one meeting, roll (hash as b64u), attempt and place among the trustees. */
export interface TrusteeScope {
  meeting: string;
  roll: string;
  attempt: number;
  trustee: number;
}

/** What opening a box needs, and what a copy holds; 32 bytes each. */
export interface ShareSecrets {
  signSeed: Bytes;
  boxSecret: Bytes;
  share: Bytes;
}

const SECRET_BYTES = 32;

export const placeOf = ({ meeting, roll, attempt, trustee }: TrusteeScope): string => `${meeting}/${roll}/${attempt}/${trustee}`;

const split = (packed: Bytes): Bytes[] =>
  Array.from({ length: packed.length / SECRET_BYTES }, (_, i) => packed.slice(i * SECRET_BYTES, (i + 1) * SECRET_BYTES));

const draftName = (scope: TrusteeScope): string => `trustee/${placeOf(scope)}`;
const shareName = (scope: TrusteeScope): string => `trustee-share/${placeOf(scope)}`;

/** The secrets of an attempt; made on the first call, the same ever after. */
export async function attemptSecrets(keystore: Keystore, scope: TrusteeScope, threshold: number): Promise<TrusteeSecrets> {
  let packed = await keystore.secret(draftName(scope));
  if (packed === null) {
    const { signSeed, boxSecret, salt, proofNonce, coefficients } = makeSecrets(threshold, keystore.random);
    packed = await keystore.keepSecret(draftName(scope), concat(signSeed, boxSecret, salt, proofNonce, ...coefficients));
  }
  const [signSeed, boxSecret, salt, proofNonce, ...coefficients] = split(packed);
  ensure(
    signSeed !== undefined && boxSecret !== undefined && salt !== undefined && proofNonce !== undefined && coefficients.length === threshold,
    "voting.no-secrets",
    "This device keeps a teller's key for another number of tellers.",
  );
  return { signSeed, boxSecret, salt, proofNonce, coefficients };
}

/** Keeps the finished share; a second, different one is refused. @throws VotingError `voting.keygen-second` */
export async function saveShare(keystore: Keystore, scope: TrusteeScope, secrets: ShareSecrets): Promise<void> {
  const packed = concat(secrets.signSeed, secrets.boxSecret, secrets.share);
  const kept = await keystore.keepSecret(shareName(scope), packed);
  const same = kept.length === packed.length && kept.every((byte, i) => byte === packed[i]);
  ensure(same, "voting.keygen-second", "This device already keeps another part of the key for this meeting.");
}

/** The finished share of this device, or null. */
export async function findShare(keystore: Keystore, scope: TrusteeScope): Promise<ShareSecrets | null> {
  const packed = await keystore.secret(shareName(scope));
  if (packed === null) return null;
  const [signSeed, boxSecret, share] = split(packed);
  ensure(signSeed !== undefined && boxSecret !== undefined && share !== undefined, "voting.no-secrets", "This device's part of the key is damaged.");
  return { signSeed, boxSecret, share };
}

/** Deletes all that opens anything. */
export async function forgetSecrets(keystore: Keystore, scope: TrusteeScope): Promise<void> {
  await keystore.forgetSecret(draftName(scope));
  await keystore.forgetSecret(shareName(scope));
}
