/** The box in which one trustee hands another a part of the key: X25519, HKDF-SHA256, AES-256-GCM. */
import { x25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { type Bytes, concat, lp, u32, utf8 } from "./encoding.ts";
import { VotingError } from "./errors.ts";

export interface Box {
  meeting: string;
  attempt: number;
  from: number;
  to: number;
  /** Our X25519 private key and the other side's public key. */
  secret: Bytes;
  peer: Bytes;
  /** Hash of all reveals, bound as associated data. */
  reveals: Bytes;
}

async function boxKey({ meeting, attempt, from, to, secret, peer }: Box, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
  let shared: Bytes;
  try {
    shared = x25519.getSharedSecret(secret, peer);
  } catch {
    throw new VotingError("voting.box", "A teller's key for sealed parts is degenerate.");
  }
  const info = concat(lp(utf8("fm1/dkg-box")), lp(utf8(meeting)), lp(u32(attempt)), lp(u32(from)), lp(u32(to)));
  const raw = hkdf(sha256, shared, new Uint8Array(), info, 32);
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, [use]);
}

// The key is fresh for every sender, receiver and key generation, and seals one message.
const aead = (box: Box): AesGcmParams => ({ name: "AES-GCM", iv: new Uint8Array(12), additionalData: box.reveals });

export async function sealBox(box: Box, plaintext: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.encrypt(aead(box), await boxKey(box, "encrypt"), plaintext));
}

/** @throws VotingError `voting.box` when the box was not sealed for this place. */
export async function openBox(box: Box, sealed: Bytes): Promise<Bytes> {
  const key = await boxKey(box, "decrypt");
  try {
    return new Uint8Array(await crypto.subtle.decrypt(aead(box), key, sealed));
  } catch {
    throw new VotingError("voting.box", "A sealed part of the key cannot be opened.");
  }
}
