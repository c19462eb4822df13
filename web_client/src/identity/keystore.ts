/** The page's keys and promises to itself: made once, never replaced, there again after a reload. */
import type { Bytes, JsonObject, Rng } from "../ballot/encoding.ts";
import { type PortableKey, type SigningKey, portableSigner, seedKey, systemRng } from "../ballot/signing.ts";
import { DatabaseRecords, MemoryRecords, type RecordStore } from "./records.ts";

/** A signing key as it lies in the store: in WebCrypto where the browser can, else as a seed under the wrapping key. */
export type StoredKey =
  | { kind: "webcrypto"; publicKey: Bytes; privateKey: CryptoKey }
  | { kind: "seed"; publicKey: Bytes; wrapped: Wrapped };

export interface Wrapped {
  iv: Bytes;
  sealed: Bytes;
}

/** `included`: proved on a board that the server signed; `confirmed`: in the closed box that enough cosigners signed. */
export type CastState = "sending" | "promised" | "included" | "confirmed";

/** One of "my votes". The choice is never kept. */
export interface CastRecord {
  /** Manifest hash, b64u. */
  manifest: string;
  meeting: string;
  election: string;
  title: string;
  /** The how many-th ballot of this voter, from 1. */
  seq: number;
  tracker: string;
  /** Leaf hash, b64u. */
  leaf: string;
  ballot: JsonObject;
  state: CastState;
  promise: JsonObject | null;
  /** The receipt of a hall's relay that kept the ballot while it was cut off. */
  queued?: JsonObject;
}

export interface HeldCheckpoint {
  /** The server's key, b64u. */
  key: string;
  /** Text of the checkpoint. */
  text: string;
}

const SECRET_BYTES = 32;
/** A hash has one length, so the first ballot's name is the beginning of those of the later ones, and of no other vote's. */
const castName = (manifest: string, seq: number): string => `cast/${manifest}${seq === 1 ? "" : `/${seq}`}`;

export class Keystore {
  private readonly records: RecordStore;
  private readonly rng: Rng;

  constructor(records: RecordStore, rng: Rng) {
    this.records = records;
    this.rng = rng;
  }

  /** Random bytes for whoever works with this keystore. */
  get random(): Rng {
    return this.rng;
  }

  /** The voter's key for one meeting; made on the first call. */
  async credential(meeting: string): Promise<SigningKey> {
    return portableSigner(await this.signingKey(`credential/${meeting}`));
  }

  async findCredential(meeting: string): Promise<SigningKey | null> {
    return (await this.records.get(`credential/${meeting}`)) === undefined ? null : this.credential(meeting);
  }

  /** The voter's key in the form that a worker can take. */
  portableCredential(meeting: string): Promise<PortableKey> {
    return this.signingKey(`credential/${meeting}`);
  }

  /** The cosigner's key for one meeting; made on the first call. */
  async cosigner(meeting: string): Promise<SigningKey> {
    return portableSigner(await this.signingKey(`cosigner/${meeting}`));
  }

  async findCosigner(meeting: string): Promise<SigningKey | null> {
    return (await this.records.get(`cosigner/${meeting}`)) === undefined ? null : this.cosigner(meeting);
  }

  private async signingKey(name: string): Promise<PortableKey> {
    const stored = ((await this.records.get(name)) ?? (await this.keepNewKey(name))) as StoredKey;
    return stored.kind === "webcrypto" ? stored : { kind: "seed", seed: await this.unwrap(stored.wrapped) };
  }

  private async keepNewKey(name: string): Promise<unknown> {
    try {
      const { publicKey, privateKey } = (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
      const raw = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
      return await this.records.putOnce(name, { kind: "webcrypto", publicKey: raw, privateKey } satisfies StoredKey);
    } catch (error) {
      // A browser may not know Ed25519, or not be able to store such a key: then a seed lies under the wrapping key.
      if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
      const seed = this.rng(SECRET_BYTES);
      const stored: StoredKey = { kind: "seed", publicKey: seedKey(seed).publicKey, wrapped: await this.wrap(seed) };
      return this.records.putOnce(name, stored);
    }
  }

  private async wrappingKey(): Promise<CryptoKey> {
    const found = await this.records.get("wrapping-key");
    if (found !== undefined) return found as CryptoKey;
    const fresh = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    return (await this.records.putOnce("wrapping-key", fresh)) as CryptoKey;
  }

  private async wrap(secret: Bytes): Promise<Wrapped> {
    const iv = this.rng(12);
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await this.wrappingKey(), secret);
    return { iv, sealed: new Uint8Array(sealed) };
  }

  private async unwrap({ iv, sealed }: Wrapped): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await this.wrappingKey(), sealed));
  }

  /** A secret under a key that cannot leave the browser: the one kept first under this name, for ever. */
  async keepSecret(name: string, secret: Bytes): Promise<Bytes> {
    return this.unwrap((await this.records.putOnce(name, await this.wrap(secret))) as Wrapped);
  }

  async secret(name: string): Promise<Bytes | null> {
    const found = await this.records.get(name);
    return found === undefined ? null : this.unwrap(found as Wrapped);
  }

  async forgetSecret(name: string): Promise<void> {
    await this.records.delete(name);
  }

  /**
   * A decision that may be taken once: keeps the first value under `name` and returns it for ever.
   * Whoever is about to sign or send something final records it here first and then uses what is returned.
   */
  async decide<T extends JsonObject | string>(name: string, value: T): Promise<T> {
    return (await this.records.putOnce(`decision/${name}`, value)) as T;
  }

  async decision<T extends JsonObject | string>(name: string): Promise<T | null> {
    return ((await this.records.get(`decision/${name}`)) ?? null) as T | null;
  }

  /** The newest ledger checkpoint that the page has accepted under this origin, with the server's key then. */
  async ledgerCheckpoint(origin: string): Promise<HeldCheckpoint | null> {
    return ((await this.records.get(`ledger/${origin}`)) ?? null) as HeldCheckpoint | null;
  }

  saveLedgerCheckpoint(origin: string, held: HeldCheckpoint): Promise<void> {
    return this.records.put(`ledger/${origin}`, held);
  }

  async castBallots(): Promise<CastRecord[]> {
    return (await this.records.list("cast/")) as CastRecord[];
  }

  /** The last ballot cast under this manifest hash (b64u). */
  async castBallot(manifest: string): Promise<CastRecord | null> {
    const all = (await this.records.list(castName(manifest, 1))) as CastRecord[];
    return all.reduce<CastRecord | null>((last, record) => (last !== null && last.seq > record.seq ? last : record), null);
  }

  /** Keeps a ballot before it is first sent; returns the one that counts, the first of its number. */
  async beginCast(record: CastRecord): Promise<CastRecord> {
    return (await this.records.putOnce(castName(record.manifest, record.seq), record)) as CastRecord;
  }

  updateCast(record: CastRecord): Promise<void> {
    return this.records.put(castName(record.manifest, record.seq), record);
  }

  /** Forgets a ballot that the server has refused. */
  forgetCast({ manifest, seq }: CastRecord): Promise<void> {
    return this.records.delete(castName(manifest, seq));
  }
}

/** One member's keystore in this browser profile. */
export async function openKeystore(member: string): Promise<Keystore> {
  // Best effort: a browser that says no may still clear unused sites' data when the disk is full.
  await navigator.storage?.persist?.().catch(() => false);
  return new Keystore(await DatabaseRecords.open(member), systemRng);
}

/** A keystore that forgets everything with the page. */
export const memoryKeystore = (rng: Rng = systemRng): Keystore => new Keystore(new MemoryRecords(), rng);
