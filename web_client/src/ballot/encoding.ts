/** Section 1 of the specification: bytes, hashes, scalars and strict JSON. */
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { VotingError, ensure } from "./errors.ts";

/** Bytes that own an ordinary buffer, as WebCrypto wants them. */
export type Bytes = Uint8Array<ArrayBuffer>;
/** A source of `n` random bytes. */
export type Rng = (n: number) => Bytes;
export type Json = boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [field: string]: Json };

/** Order of ristretto255 and of the Ed25519 base point. */
export const L = 2n ** 252n + 27742317777372353535851937790883648493n;

const MAX_DEPTH = 16;
const MAX_JSON_BYTES = 256 * 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** True when the text has no half of a surrogate pair. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);

export const utf8 = (text: string): Bytes => encoder.encode(text);

export function fromUtf8(bytes: Bytes): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new VotingError("voting.encoding", "The text is not UTF-8.");
  }
}

export function concat(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Compares public byte strings. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function u32(n: number): Bytes {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, n);
  return out;
}

export function u64(n: number): Bytes {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(n));
  return out;
}

/** Four-byte big-endian length, then the bytes. */
export const lp = (bytes: Uint8Array): Bytes => concat(u32(bytes.length), bytes);

type Field = Uint8Array | string;
const fieldBytes = (field: Field): Uint8Array => (typeof field === "string" ? encoder.encode(field) : field);
const framed = (tag: string, fields: readonly Field[]): Bytes =>
  concat(...[tag, ...fields].map((field) => lp(fieldBytes(field))));

/** SHA-256 over the length-prefixed tag and fields (32 bytes). */
export const H = (tag: string, ...fields: Field[]): Bytes => sha256(framed(tag, fields));

/** SHA-512 over the length-prefixed tag and fields (64 bytes). */
export const H512 = (tag: string, ...fields: Field[]): Bytes => sha512(framed(tag, fields));

const B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const B64_CODES = encoder.encode(B64);
/** Value by code of the letter; 64 for a foreign one. */
const B64_VALUES = new Uint8Array(128).fill(64);
for (const [value, code] of B64_CODES.entries()) B64_VALUES[code] = value;

/** base64url without padding. */
export function b64u(bytes: Uint8Array): string {
  // Not by adding letters to a string: engines keep such a string as a chain of its parts, 1 kB for 43 letters.
  const out = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  for (let i = 0, at = 0; i < bytes.length; i += 3, at += 4) {
    const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    // What would stand behind the end of a typed array is dropped.
    for (let j = 0; j < 4; j++) out[at + j] = B64_CODES[(word >> (18 - 6 * j)) & 63] ?? 0;
  }
  return decoder.decode(out);
}

/**
 * Decodes base64url strictly: no padding, no other alphabet, no non-zero trailing bits.
 * @throws VotingError `voting.encoding`, also when `length` is given and differs.
 */
export function fromB64u(text: string, length?: number): Bytes {
  const size = Math.floor((text.length * 3) / 4);
  ensure(text.length % 4 !== 1, "voting.encoding", "A base64url string has an impossible length.");
  const out = new Uint8Array(size);
  let word = 0;
  let bits = 0;
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const value = B64_VALUES[text.charCodeAt(i)] ?? 64;
    ensure(value < 64, "voting.encoding", "A base64url string holds a foreign character.");
    word = ((word << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (word >> bits) & 0xff;
    }
  }
  ensure((word & ((1 << bits) - 1)) === 0, "voting.encoding", "A base64url string has stray bits at its end.");
  if (length !== undefined) ensure(size === length, "voting.encoding", `Expected ${length} bytes, found ${size}.`);
  return out;
}

/** Standard base64 with padding, as in C2SP notes. */
export function b64(bytes: Uint8Array): string {
  const text = b64u(bytes).replaceAll("-", "+").replaceAll("_", "/");
  return text + "=".repeat((4 - (text.length % 4)) % 4);
}

/** @throws VotingError `voting.encoding` unless `text` is exactly what `b64` writes. */
export function fromB64(text: string): Bytes {
  const out = fromB64u(text.replace(/={0,2}$/, "").replaceAll("+", "-").replaceAll("/", "_"));
  ensure(b64(out) === text, "voting.encoding", "A base64 string is not canonical.");
  return out;
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function littleEndian(bytes: Uint8Array): bigint {
  let digits = "";
  for (const byte of bytes) digits = byte.toString(16).padStart(2, "0") + digits;
  return BigInt(`0x${digits}`);
}

export function mod(x: bigint): bigint {
  const r = x % L;
  return r < 0n ? r + L : r;
}

/** A 64-byte hash as a scalar: little-endian integer mod L. */
export function scalar(hash: Uint8Array): bigint {
  ensure(hash.length === 64, "voting.scalar", "A scalar is reduced from 64 bytes.");
  return littleEndian(hash) % L;
}

/** A uniform scalar from 64 random bytes. */
export const randomScalar = (rng: Rng): bigint => scalar(rng(64));

export function encodeScalar(x: bigint): Bytes {
  const out = new Uint8Array(32);
  let rest = x;
  for (let i = 0; i < 32; i++) {
    out[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  return out;
}

/** @throws VotingError `voting.scalar` unless 32 bytes below L. */
export function decodeScalar(bytes: Uint8Array): bigint {
  ensure(bytes.length === 32, "voting.scalar", "A scalar is 32 bytes long.");
  const x = littleEndian(bytes);
  ensure(x < L, "voting.scalar", "A scalar is not reduced.");
  return x;
}

function assertJson(value: unknown, depth: number): asserts value is Json {
  if (typeof value === "boolean") return;
  if (typeof value === "number") {
    ensure(Number.isSafeInteger(value), "voting.encoding", "JSON numbers are integers up to 2^53 - 1.");
  } else if (typeof value === "string") {
    ensure(isWellFormed(value) && value.normalize("NFC") === value, "voting.encoding", "JSON strings are NFC text.");
  } else if (Array.isArray(value)) {
    ensure(depth < MAX_DEPTH, "voting.encoding", "The JSON is nested too deeply.");
    for (const item of value) assertJson(item, depth + 1);
  } else {
    ensure(typeof value === "object" && value !== null && depth < MAX_DEPTH, "voting.encoding", "The value is not JSON of this protocol.");
    for (const [key, item] of Object.entries(value)) {
      assertJson(key, depth);
      assertJson(item, depth + 1);
    }
  }
}

/** RFC 8785 text of JSON of this protocol: names in order of code units; integers and strings as ECMAScript writes them. */
export function canonical(value: Json): string {
  if (typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name] ?? "")}`).join(",")}}`;
}

/**
 * RFC 8785 bytes of a value, the only serialisation that is ever hashed or signed.
 * @throws VotingError `voting.encoding` for floats, strings that are not NFC and anything that is not JSON.
 */
export function jcs(value: unknown): Bytes {
  assertJson(value, 0);
  return encoder.encode(canonical(value));
}

/**
 * Parses bytes that must be exactly the RFC 8785 form of their value.
 * Duplicate keys, floats, white space and other orders do not survive the comparison.
 */
export function parseCanonical(bytes: Bytes): Json {
  ensure(bytes.length <= MAX_JSON_BYTES, "voting.encoding", "The JSON is too long.");
  const text = fromUtf8(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new VotingError("voting.encoding", "The bytes are not JSON.");
  }
  assertJson(value, 0);
  ensure(canonical(value) === text, "voting.encoding", "The JSON is not in canonical form.");
  return value;
}

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** The first `5 * letters` bits as Crockford base32, grouped with hyphens. */
export function crockford(bytes: Uint8Array, letters: number, group: number): string {
  let out = "";
  for (let i = 0; i < letters; i++) {
    const bit = i * 5;
    const word = ((bytes[bit >> 3] ?? 0) << 8) | (bytes[(bit >> 3) + 1] ?? 0);
    if (i > 0 && i % group === 0) out += "-";
    out += CROCKFORD.charAt((word >> (11 - (bit & 7))) & 31);
  }
  return out;
}
