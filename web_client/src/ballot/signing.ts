/** Ed25519 as the protocol uses it: strict RFC 8032 verification, keys behind one small interface. */
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { type Bytes, type Rng, concat, decodeScalar, same, scalar } from "./encoding.ts";
import { VotingError } from "./errors.ts";

/** A private Ed25519 key that may live in WebCrypto and never show itself. */
export interface SigningKey {
  readonly publicKey: Bytes;
  sign(message: Bytes): Promise<Bytes>;
}

/** A key made from a 32-byte seed, held in this page's memory. */
export function seedKey(seed: Bytes): SigningKey {
  const publicKey = ed25519.getPublicKey(seed);
  return { publicKey, sign: (message) => Promise.resolve(ed25519.sign(message, seed)) };
}

/** What a worker needs to sign: structured-cloneable. */
export type PortableKey = { kind: "webcrypto"; publicKey: Bytes; privateKey: CryptoKey } | { kind: "seed"; seed: Bytes };

/** A signing key from what the keystore or a worker's message holds. */
export function portableSigner(key: PortableKey): SigningKey {
  if (key.kind === "seed") return seedKey(key.seed);
  return {
    publicKey: key.publicKey,
    sign: async (message) => new Uint8Array(await crypto.subtle.sign("Ed25519", key.privateKey, message)),
  };
}

/** The platform's generator. */
export const systemRng: Rng = (n) => crypto.getRandomValues(new Uint8Array(n));

/**
 * True when `signature` verifies strictly (RFC 8032): S < L, canonical key, neither key nor R of small order,
 * and R = S·B − k·A without the cofactor, compared as bytes. All of it is public, so variable time is fine.
 */
export function verifySignature(key: Bytes, message: Bytes, signature: Bytes): boolean {
  if (key.length !== 32 || signature.length !== 64) return false;
  try {
    const r = signature.subarray(0, 32);
    const s = decodeScalar(signature.subarray(32));
    const keyPoint = ed25519.Point.fromBytes(key);
    if (keyPoint.isSmallOrder() || ed25519.Point.fromBytes(r).isSmallOrder()) return false;
    const k = scalar(sha512(concat(r, key, message)));
    const expected = ed25519.Point.BASE.multiplyUnsafe(s).subtract(keyPoint.multiplyUnsafe(k));
    return same(expected.toBytes(), r);
  } catch {
    return false; // an undecodable key, R or S is a signature that does not verify
  }
}

/** @throws VotingError `voting.signature` naming `what`. */
export function requireSignature(key: Bytes, message: Bytes, signature: Bytes, what: string): void {
  if (!verifySignature(key, message, signature)) {
    throw new VotingError("voting.signature", `The signature of ${what} does not verify.`);
  }
}
