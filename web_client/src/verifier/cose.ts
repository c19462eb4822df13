/**
 * Public keys of passkeys: a strict reader of exactly the COSE_Key maps that section 2 accepts
 * (RFC 9052, RFC 9053, RFC 8812; CBOR of RFC 8949 with shortest integers), and their signatures.
 */
import { type Bytes, b64u, concat, same } from "../ballot/encoding.ts";
import { verifySignature } from "../ballot/signing.ts";
import { CheckFailed, hold } from "./report.ts";

const MAX_KEY_BYTES = 2048;
const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTE_STRING = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;
const MAX_DEPTH = 4;
/** Bytes of a float or simple value after its first, by the short argument. */
const SIMPLE_BYTES: ReadonlyMap<number, number> = new Map([[24, 1], [25, 2], [26, 4], [27, 8]]);
const KEY_TYPE = 1;
const ALGORITHM = 3;

type Value = number | Bytes;

/** Reads one CBOR map: its integer labels with integers and byte strings, and past anything else in it. */
class Cbor {
  private at = 0;
  private readonly bytes: Bytes;

  constructor(bytes: Bytes) {
    this.bytes = bytes;
  }

  private take(n: number): Bytes {
    hold(this.at + n <= this.bytes.length, "the passkey's public key ends too early");
    this.at += n;
    return this.bytes.slice(this.at - n, this.at);
  }

  /** The major type and argument of the next item; only the shortest form of at most 16 bits. */
  private head(): { major: number; argument: number } {
    const [first = 0] = this.take(1);
    const [major, short] = [first >> 5, first & 31];
    if (short < 24) return { major, argument: short };
    hold(short === 24 || short === 25, "the passkey's public key is not plain CBOR");
    const argument = this.take(short - 23).reduce((sum, byte) => sum * 256 + byte, 0);
    hold(argument >= (short === 24 ? 24 : 256), "the passkey's public key is not in its shortest form");
    return { major, argument };
  }

  private integer({ major, argument }: { major: number; argument: number }): number {
    hold(major === UNSIGNED || major === NEGATIVE, "the passkey's public key has an odd label");
    return major === UNSIGNED ? argument : -1 - argument;
  }

  /** Passes over the item that begins with this head. */
  private skip({ major, argument }: { major: number; argument: number }, depth: number): void {
    hold(depth < MAX_DEPTH, "the passkey's public key is nested too deeply");
    if (major === BYTE_STRING || major === TEXT) this.take(argument);
    const inside = major === ARRAY ? argument : major === MAP ? 2 * argument : major === TAG ? 1 : 0;
    for (let i = 0; i < inside; i++) this.item(depth + 1);
  }

  /** Passes over one item; simple values and floats have heads of their own. */
  private item(depth: number): void {
    const first = this.bytes[this.at] ?? 0;
    if (first >> 5 === 7) {
      hold((first & 31) < 28, "the passkey's public key is not plain CBOR");
      this.take(1 + (SIMPLE_BYTES.get(first & 31) ?? 0));
    } else this.skip(this.head(), depth);
  }

  map(): Map<number, Value> {
    const { major, argument } = this.head();
    hold(major === MAP, "the passkey's public key is not a map");
    const found = new Map<number, Value>();
    for (let i = 0; i < argument; i++) {
      const label = this.head();
      if (label.major === TEXT) {
        this.take(label.argument);
        this.item(1);
        continue;
      }
      const name = this.integer(label);
      hold(!found.has(name), "the passkey's public key has a label twice");
      found.set(name, this.value());
    }
    hold(this.at === this.bytes.length, "the passkey's public key has bytes after its end");
    return found;
  }

  /** An integer or byte string; anything else is passed over and empty. */
  private value(): Value {
    const major = (this.bytes[this.at] ?? 0) >> 5;
    if (major > BYTE_STRING) {
      this.item(1);
      return new Uint8Array();
    }
    const item = this.head();
    return item.major === BYTE_STRING ? this.take(item.argument) : this.integer(item);
  }
}

export type PublicKey =
  | { kind: "ES256"; x: Bytes; y: Bytes }
  | { kind: "EdDSA"; x: Bytes }
  | { kind: "RS256"; n: Bytes; e: Bytes };

function byteString(value: Value | undefined, least: number, most = least): Bytes {
  hold(value instanceof Uint8Array && value.length >= least && value.length <= most, "a part of the passkey's public key has the wrong length");
  return value;
}

const withoutZeros = (bytes: Bytes): Bytes => {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first === -1 ? bytes.slice(0, 0) : bytes.slice(first);
};

/** @throws CheckFailed for any other key. */
export function readKey(bytes: Bytes): PublicKey {
  hold(bytes.length <= MAX_KEY_BYTES, "the passkey's public key is too long");
  const map = new Cbor(bytes).map();
  switch (`${map.get(KEY_TYPE)} ${map.get(ALGORITHM)}`) {
    case "2 -7":
      hold(map.get(-1) === 1, "the passkey's public key is not on P-256");
      return { kind: "ES256", x: byteString(map.get(-2), 32), y: byteString(map.get(-3), 32) };
    case "1 -8":
      hold(map.get(-1) === 6, "the passkey's public key is not on Ed25519");
      return { kind: "EdDSA", x: byteString(map.get(-2), 32) };
    case "3 -257": {
      const n = withoutZeros(byteString(map.get(-1), 256, 512));
      const e = withoutZeros(byteString(map.get(-2), 1, 8));
      const odd = ((n.at(-1) ?? 0) & (e.at(-1) ?? 0) & 1) === 1;
      hold(odd && n.length >= 256 && (n.length > 256 || (n[0] ?? 0) >= 128), "RSA keys have 2048 to 4096 bits");
      hold(!same(e, new Uint8Array([1])), "an RSA key's exponent is at least 3");
      return { kind: "RS256", n, e };
    }
    default:
      throw new CheckFailed("unknown kind of passkey");
  }
}

/** One INTEGER of a DER signature as 32 bytes, and where the next begins; null when it is not strict DER. */
function derInteger(der: Bytes, at: number): { value: Bytes; next: number } | null {
  const length = der[at + 1] ?? 0;
  const body = der.slice(at + 2, at + 2 + length);
  if (der[at] !== 0x02 || length < 1 || length > 33 || body.length !== length) return null;
  const [first = 0, second = 0] = body;
  if (first >= 128 || (first === 0 && length > 1 && second < 128)) return null; // negative, or not the shortest form
  const digits = withoutZeros(body);
  if (digits.length > 32) return null;
  return { value: concat(new Uint8Array(32 - digits.length), digits), next: at + 2 + length };
}

/** r ‖ s (64 bytes) of a strict DER ECDSA signature (RFC 3279), or null. */
export function rawSignature(der: Bytes): Bytes | null {
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 72) return null;
  const r = derInteger(der, 2);
  const s = r === null ? null : derInteger(der, r.next);
  return r === null || s === null || s.next !== der.length ? null : concat(r.value, s.value);
}

async function importKey(key: Exclude<PublicKey, { kind: "EdDSA" }>): Promise<CryptoKey> {
  try {
    if (key.kind === "ES256") {
      const point = concat(new Uint8Array([4]), key.x, key.y);
      return await crypto.subtle.importKey("raw", point, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
    }
    const jwk = { kty: "RSA", n: b64u(key.n), e: b64u(key.e) };
    return await crypto.subtle.importKey("jwk", jwk, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, false, ["verify"]);
  } catch {
    throw new CheckFailed("the passkey's public key is malformed"); // a point off the curve, or an odd RSA key
  }
}

/** True when `signature` verifies under the COSE key. @throws CheckFailed when the key is not one of section 2. */
export async function coseVerifies(coseKey: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  const key = readKey(coseKey);
  if (key.kind === "EdDSA") return verifySignature(key.x, message, signature);
  const imported = await importKey(key);
  if (key.kind === "RS256") {
    return signature.length === key.n.length && (await crypto.subtle.verify("RSASSA-PKCS1-v1_5", imported, signature, message));
  }
  const raw = rawSignature(signature);
  return raw !== null && (await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, raw, message));
}
