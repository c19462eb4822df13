/** The passkey's own pseudo-random function (WebAuthn level 3, section 10.1.4): 32 bytes that only this passkey can make. */
import { type Bytes, fromB64u } from "../ballot/encoding.ts";
import { PasskeyError, passkeyError } from "./passkey.ts";

const TIMEOUT_MS = 120_000;

/**
 * Evaluates the PRF of one of the passkeys `allow` (credential ids, b64u) on `input`. The assertion beside it is thrown
 * away: its challenge is random and signs nothing.
 * @throws PasskeyError `passkey.no-prf` where browser or passkey has no PRF
 */
export async function prf(rpId: string, input: Bytes, allow: readonly string[]): Promise<Bytes> {
  const start = performance.now();
  try {
    const credential = await navigator.credentials.get({
      publicKey: {
        rpId,
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        timeout: TIMEOUT_MS,
        userVerification: "required",
        allowCredentials: allow.map((id) => ({ id: fromB64u(id), type: "public-key" })),
        extensions: { prf: { eval: { first: input } } },
      },
    });
    const first = credential instanceof PublicKeyCredential ? credential.getClientExtensionResults().prf?.results?.first : undefined;
    if (first === undefined) throw new PasskeyError("passkey.no-prf", "This passkey cannot seal a copy.");
    return first instanceof ArrayBuffer ? new Uint8Array(first) : new Uint8Array(first.buffer, first.byteOffset, first.byteLength).slice();
  } catch (error) {
    throw passkeyError(error, performance.now() - start, TIMEOUT_MS);
  }
}
