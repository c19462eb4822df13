/** Section 4, copies of a share: sealed by the teller's passkey (WebAuthn PRF), or by a code that the teller writes down. */
import { hkdf } from "@noble/hashes/hkdf.js";
import { scryptAsync } from "@noble/hashes/scrypt.js";
import { sha256 } from "@noble/hashes/sha2.js";
import {
  type Bytes, H, type Json, type Rng, b64u, concat, crockford, fromB64u, jcs, lp, parseCanonical, u32, utf8,
} from "../ballot/encoding.ts";
import { VotingError, ensure, withCode } from "../ballot/errors.ts";
import { Fields } from "../ballot/strict.ts";
import type { ShareSecrets, TrusteeScope } from "./secrets.ts";

export type CopyKind = "passkey" | "code";
export type CopyPlace = Pick<TrusteeScope, "meeting" | "attempt" | "trustee">;

/** A copy as it travels. */
export type ShareCopy = { v: 1; meeting: string; attempt: number; trustee: number; kind: CopyKind; salt: string; data: string };

const CODE_LETTERS = 16;
const NONCE_BYTES = 12;
/** Bytes of the code's 80 bits. */
const CODE_BYTES = 10;
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, dkLen: 32 } as const;
/** How scrypt's letters may be mistaken on paper (Crockford). */
const MISREAD: ReadonlyMap<string, string> = new Map([["O", "0"], ["I", "1"], ["L", "1"]]);

/** eval.first of the WebAuthn PRF extension for a meeting's copies. */
export const prfInput = (meeting: string): Bytes => H("fm1/prf", meeting);

/** A fresh code of 80 bits; show it grouped with `groupCode`. */
export const freshCode = (rng: Rng): string => crockford(rng(CODE_BYTES), CODE_LETTERS, CODE_LETTERS);

export const groupCode = (code: string): string => code.match(/.{4}/g)?.join("-") ?? code;

/** What the teller typed, as the 16 letters that were drawn. @throws VotingError `voting.copy` */
export function readCode(typed: string): string {
  const letters = [...typed.toUpperCase().replace(/[^0-9A-Z]/g, "")].map((letter) => MISREAD.get(letter) ?? letter).join("");
  ensure(/^[0-9A-HJKMNP-TV-Z]{16}$/.test(letters), "voting.copy", "The code has 16 letters and digits.");
  return letters;
}

/** The key material from a code; takes about a quarter of a second on a phone. */
export const codeMaterial = (code: string, salt: Bytes): Promise<Bytes> => scryptAsync(utf8(code), salt, SCRYPT) as Promise<Bytes>;

function importKey(material: Bytes, salt: Bytes, meeting: string, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const raw = hkdf(sha256, material, salt, concat(lp(utf8("fm1/copy")), lp(utf8(meeting))), 32);
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, [use]);
}

const bound = ({ meeting, attempt, trustee }: CopyPlace, kind: CopyKind, salt: Bytes): Bytes =>
  H("fm1/copy", meeting, u32(attempt), u32(trustee), kind, salt);

/**
 * Seals a copy. Draws the salt, then the nonce; `material` gives the 32 bytes for a salt: the PRF's answer,
 * or `codeMaterial` of the code.
 */
export async function sealCopy(
  place: CopyPlace, kind: CopyKind, secrets: ShareSecrets, material: (salt: Bytes) => Promise<Bytes> | Bytes, rng: Rng,
): Promise<ShareCopy> {
  const { meeting, attempt, trustee } = place;
  const salt = rng(32);
  const iv = rng(NONCE_BYTES);
  const key = await importKey(await material(salt), salt, meeting, "encrypt");
  const plain = jcs({ sign_seed: b64u(secrets.signSeed), box_secret: b64u(secrets.boxSecret), share: b64u(secrets.share) });
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: bound(place, kind, salt) }, key, plain);
  return { v: 1, meeting, attempt, trustee, kind, salt: b64u(salt), data: b64u(concat(iv, new Uint8Array(sealed))) };
}

/** @throws VotingError `voting.encoding` unless the value has exactly a copy's fields */
export function readCopy(value: Json): ShareCopy {
  const f = new Fields(value, "The copy", ["v", "meeting", "attempt", "trustee", "kind", "salt", "data"]);
  f.exactly("v", 1);
  const data = f.bytes("data");
  ensure(data.length > NONCE_BYTES && data.length <= 1024, "voting.encoding", "The copy is damaged.");
  return {
    v: 1, meeting: f.id("meeting"), attempt: f.int("attempt", 1, 20), trustee: f.int("trustee", 1, 9), kind: f.one("kind", ["passkey", "code"]),
    salt: f.b64("salt", 32), data: b64u(data),
  };
}

/** Opens a copy. @throws VotingError `voting.copy` when the passkey or code is another, or the copy was changed */
export async function openCopy(copy: ShareCopy, material: (salt: Bytes) => Promise<Bytes> | Bytes): Promise<ShareSecrets> {
  const [salt, data] = [fromB64u(copy.salt, 32), fromB64u(copy.data)];
  const key = await importKey(await material(salt), salt, copy.meeting, "decrypt");
  const iv = data.slice(0, NONCE_BYTES);
  let plain: Bytes;
  try {
    const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData: bound(copy, copy.kind, salt) }, key, data.slice(NONCE_BYTES));
    plain = new Uint8Array(opened);
  } catch {
    throw new VotingError("voting.copy", "The copy cannot be opened with this code or passkey.");
  }
  return withCode("voting.copy", () => {
    const f = new Fields(parseCanonical(plain), "The copy", ["sign_seed", "box_secret", "share"]);
    return { signSeed: f.bytes("sign_seed", 32), boxSecret: f.bytes("box_secret", 32), share: f.bytes("share", 32) };
  });
}
