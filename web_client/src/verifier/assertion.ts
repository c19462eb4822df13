/** WebAuthn assertions as evidence (section 2; W3C Web Authentication Level 3, section 7.2). */
import { sha256 } from "@noble/hashes/sha2.js";
import { type Bytes, b64u, concat, fromB64u, fromUtf8, same, utf8 } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import { coseVerifies } from "./cose.ts";
import type { AssertionForm } from "./formats.ts";
import { CheckFailed, hold } from "./report.ts";

const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;

export interface RelyingParty {
  id: string;
  origins: readonly string[];
}

function clientData(bytes: Bytes): ReadonlyMap<string, unknown> {
  try {
    const data: unknown = JSON.parse(fromUtf8(bytes));
    if (typeof data === "object" && data !== null && !Array.isArray(data)) return new Map(Object.entries(data));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof VotingError)) throw error;
  }
  throw new CheckFailed("client data is not a JSON object");
}

function requireClientData(rp: RelyingParty, challenge: Bytes, bytes: Bytes): void {
  const data = clientData(bytes);
  hold(data.get("type") === "webauthn.get", "not an assertion's client data");
  hold(data.get("challenge") === b64u(challenge), "another challenge was signed");
  const origin = data.get("origin");
  hold(typeof origin === "string" && rp.origins.includes(origin), "signed on a foreign page");
  const framed = (data.has("crossOrigin") && data.get("crossOrigin") !== false) || data.has("topOrigin");
  hold(!framed, "signed inside a frame of another page");
}

/** Throws unless this passkey signed exactly this challenge, with the user verified. @throws CheckFailed */
export async function requireAssertion(rp: RelyingParty, challenge: Bytes, coseKey: Bytes, assertion: AssertionForm): Promise<void> {
  const data = fromB64u(assertion.authenticator_data);
  const client = fromB64u(assertion.client_data_json);
  requireClientData(rp, challenge, client);
  hold(data.length >= 37 && same(data.subarray(0, 32), sha256(utf8(rp.id))), "made for another relying party");
  const flags = data[32] ?? 0;
  hold((flags & USER_PRESENT) !== 0 && (flags & USER_VERIFIED) !== 0, "the user was not verified");
  const verified = await coseVerifies(coseKey, concat(data, sha256(client)), fromB64u(assertion.signature));
  hold(verified, "the passkey's signature does not verify");
}
