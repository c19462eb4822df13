/** Native WebAuthn in JSON: the page computes every challenge, the server's is never signed. */
import { type Bytes, b64u, fromB64u } from "../ballot/encoding.ts";

export type PasskeyCode =
  | "passkey.cancelled"
  | "passkey.timed-out"
  | "passkey.not-supported"
  | "passkey.no-prf"
  | "passkey.already-registered"
  | "passkey.unknown"
  | "passkey.insecure"
  | "passkey.failed";

export class PasskeyError extends Error {
  readonly code: PasskeyCode;

  constructor(code: PasskeyCode, message: string) {
    super(message);
    this.name = "PasskeyError";
    this.code = code;
  }
}

export interface CredentialDescriptorJson {
  id: string;
  type: string;
  transports?: string[];
}

/** PublicKeyCredentialCreationOptionsJSON, as the server sends it. */
export interface CreationOptionsJson {
  rp: { id?: string; name: string };
  user: { id: string; name: string; displayName: string };
  pubKeyCredParams: { type: string; alg: number }[];
  challenge?: string;
  timeout?: number;
  excludeCredentials?: CredentialDescriptorJson[];
  authenticatorSelection?: { residentKey?: string; requireResidentKey?: boolean; userVerification?: string; authenticatorAttachment?: string };
  attestation?: string;
  /** Asking for the PRF when a passkey is made lets it seal copies later; a passkey without one is made all the same. */
  extensions?: { prf?: Record<string, never> };
}

/** RegistrationResponseJSON, to be sent to the server as it is. */
export interface RegistrationJson {
  id: string;
  rawId: string;
  type: string;
  response: { clientDataJSON: string; attestationObject: string; transports: string[] };
  authenticatorAttachment?: string;
  clientExtensionResults: Record<string, unknown>;
}

/** AuthenticationResponseJSON, to be sent to the server as it is. */
export interface AuthenticationJson {
  id: string;
  rawId: string;
  type: string;
  response: { clientDataJSON: string; authenticatorData: string; signature: string; userHandle?: string };
  authenticatorAttachment?: string;
  clientExtensionResults: Record<string, unknown>;
}

/** The assertion as section 2 of the protocol writes it. */
export type Assertion = { authenticator_data: string; client_data_json: string; signature: string };

export interface AssertOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 120_000;
/** A refusal this close to the time limit is taken for the limit: browsers report both alike. */
const TIMEOUT_SLACK_MS = 1000;

export function passkeysSupported(): boolean {
  return typeof PublicKeyCredential === "function" && typeof navigator === "object" && navigator.credentials !== undefined;
}

const CODES: Readonly<Record<string, readonly [PasskeyCode, string]>> = {
  AbortError: ["passkey.cancelled", "The passkey request was stopped."],
  InvalidStateError: ["passkey.already-registered", "This device already holds a passkey for this account."],
  NotSupportedError: ["passkey.not-supported", "This device cannot make the kind of passkey that is needed."],
  SecurityError: ["passkey.insecure", "Passkeys do not work on this address."],
  ConstraintError: ["passkey.not-supported", "This device cannot check who is using it; set a screen lock first."],
};

/** Turns what the browser threw into a plain code. */
export function passkeyError(error: unknown, elapsedMs: number, timeoutMs: number): PasskeyError {
  if (error instanceof PasskeyError) return error;
  const name = error instanceof Error ? error.name : "";
  if (name === "NotAllowedError") {
    return elapsedMs >= timeoutMs - TIMEOUT_SLACK_MS
      ? new PasskeyError("passkey.timed-out", "The passkey was not used in time.")
      : new PasskeyError("passkey.cancelled", "The passkey was not used.");
  }
  const [code, message] = CODES[name] ?? ["passkey.failed", "The passkey did not work."];
  return new PasskeyError(code, message);
}

async function timed<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  if (!passkeysSupported()) throw new PasskeyError("passkey.not-supported", "This browser cannot use passkeys.");
  const start = performance.now();
  try {
    return await work();
  } catch (error) {
    throw passkeyError(error, performance.now() - start, timeoutMs);
  }
}

const descriptors = (list: readonly CredentialDescriptorJson[]): PublicKeyCredentialDescriptor[] =>
  list.map(({ id, transports }) => ({
    id: fromB64u(id),
    type: "public-key",
    ...(transports === undefined ? {} : { transports: transports as AuthenticatorTransport[] }),
  }));

/** What `parseCreationOptionsFromJSON` does, for browsers without it. */
function parseCreation(json: CreationOptionsJson & { challenge: string }): PublicKeyCredentialCreationOptions {
  const native = PublicKeyCredential.parseCreationOptionsFromJSON as unknown;
  if (typeof native === "function") {
    return PublicKeyCredential.parseCreationOptionsFromJSON(json as unknown as PublicKeyCredentialCreationOptionsJSON);
  }
  const { excludeCredentials, ...rest } = json;
  return {
    ...(rest as unknown as PublicKeyCredentialCreationOptions),
    challenge: fromB64u(json.challenge),
    user: { ...json.user, id: fromB64u(json.user.id) },
    excludeCredentials: descriptors(excludeCredentials ?? []),
  };
}

const encode = (buffer: ArrayBuffer): string => b64u(new Uint8Array(buffer));

/** What `toJSON` does, for browsers without it. */
function toJson(credential: PublicKeyCredential): unknown {
  if (typeof (credential.toJSON as unknown) === "function") return credential.toJSON();
  const response = credential.response as AuthenticatorAttestationResponse & AuthenticatorAssertionResponse;
  const parts: [string, ArrayBuffer | null | undefined][] = [
    ["clientDataJSON", response.clientDataJSON],
    ["attestationObject", response.attestationObject],
    ["authenticatorData", response.authenticatorData],
    ["signature", response.signature],
    ["userHandle", response.userHandle],
  ];
  const encoded: Record<string, unknown> = {};
  for (const [name, buffer] of parts) if (buffer) encoded[name] = encode(buffer);
  if (response.attestationObject) encoded["transports"] = response.getTransports?.() ?? [];
  return {
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    response: encoded,
    ...(credential.authenticatorAttachment ? { authenticatorAttachment: credential.authenticatorAttachment } : {}),
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

/**
 * Makes a discoverable, user-verified passkey over the page's own challenge (32 bytes).
 * @throws PasskeyError
 */
export function register(options: CreationOptionsJson, challenge: Bytes): Promise<RegistrationJson> {
  const timeout = options.timeout ?? DEFAULT_TIMEOUT_MS;
  return timed(timeout, async () => {
    const publicKey = parseCreation({
      ...options,
      timeout,
      challenge: b64u(challenge),
      authenticatorSelection: { ...options.authenticatorSelection, residentKey: "required", userVerification: "required" },
    });
    const credential = await navigator.credentials.create({ publicKey });
    if (!(credential instanceof PublicKeyCredential)) throw new PasskeyError("passkey.failed", "No passkey was made.");
    return toJson(credential) as RegistrationJson;
  });
}

/**
 * Signs the page's own challenge (32 bytes) with a passkey of `rpId`, user verification required.
 * `allow` names credential ids (b64u); without it any discoverable passkey will do.
 * @throws PasskeyError
 */
export function assert(rpId: string, challenge: Bytes, allow: readonly string[] = [], how: AssertOptions = {}): Promise<AuthenticationJson> {
  const timeout = how.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  return timed(timeout, async () => {
    const credential = await navigator.credentials.get({
      publicKey: {
        rpId,
        challenge,
        timeout,
        userVerification: "required",
        allowCredentials: descriptors(allow.map((id) => ({ id, type: "public-key" }))),
      },
      ...(how.signal === undefined ? {} : { signal: how.signal }),
    });
    if (!(credential instanceof PublicKeyCredential)) throw new PasskeyError("passkey.unknown", "No passkey for this page was found.");
    return toJson(credential) as AuthenticationJson;
  });
}

/** The three fields that statements of the protocol carry. */
export const toAssertion = ({ response }: AuthenticationJson): Assertion => ({
  authenticator_data: response.authenticatorData,
  client_data_json: response.clientDataJSON,
  signature: response.signature,
});
