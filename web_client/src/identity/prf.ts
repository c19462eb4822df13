/** The passkey's own pseudo-random function (WebAuthn level 3, section 10.1.4): 32 bytes that only this passkey can make. */
import type { Bytes } from "../ballot/encoding.ts";
import { PasskeyError, passkeyError } from "./passkey.ts";

const TIMEOUT_MS = 120_000;

/**
 * Evaluates the PRF on `input`. The assertion beside it is thrown away: its challenge is random and signs nothing.
 * @throws PasskeyError `passkey.not-supported` where browser or passkey has no PRF
 */
export async function prf(rpId: string, input: Bytes): Promise<Bytes> {
  const start = performance.now();
  try {
    const credential = await navigator.credentials.get({
      publicKey: {
        rpId,
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        timeout: TIMEOUT_MS,
        userVerification: "required",
        extensions: { prf: { eval: { first: input } } },
      },
    });
    const first = credential instanceof PublicKeyCredential ? credential.getClientExtensionResults().prf?.results?.first : undefined;
    if (first === undefined) throw new PasskeyError("passkey.not-supported", "This passkey cannot protect a copy.");
    return first instanceof ArrayBuffer ? new Uint8Array(first) : new Uint8Array(first.buffer, first.byteOffset, first.byteLength).slice();
  } catch (error) {
    throw passkeyError(error, performance.now() - start, TIMEOUT_MS);
  }
}
