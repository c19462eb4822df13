/** The page's keys and promises to itself: made once, never replaced, there again after a reload. */
import { type Bytes, type JsonObject, type Rng, b64u } from "../ballot/encoding.ts";
import { ensure } from "../ballot/errors.ts";
import { type TrusteeSecrets, makeSecrets } from "../ballot/keygen.ts";
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

export type CastState = "sending" | "promised" | "included";

/** One of "my votes". The choice is never kept. */
export interface CastRecord {
  /** Manifest hash, b64u. */
  manifest: string;
  meeting: string;
  election: string;
  title: string;
  tracker: string;
  /** Leaf hash, b64u. */
  leaf: string;
  ballot: JsonObject;
  state: CastState;
  promise: JsonObject | null;
}

/** A teller's secrets belong to one meeting, roll (hash as b64u) and place among the tellers. */
export interface TrusteeScope {
  meeting: string;
  roll: string;
  trustee: number;
}

const place = ({ meeting, roll, trustee }: TrusteeScope): string => `${meeting}/${roll}/${trustee}`;

/** A trustee's finished key for one meeting. */
export interface TrusteeShare {
  share: Bytes;
  transcript: string;
  key: string;
  verificationKeys: string[];
}

export interface HeldCheckpoint {
  /** The server's key, b64u. */
  key: string;
  /** Text of the checkpoint. */
  text: string;
}

const SECRET_BYTES = 32;

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

  /** The trustee's secrets for one meeting and roll; made on the first call, the same ever after. */
  async trusteeSecrets(scope: TrusteeScope, threshold: number): Promise<TrusteeSecrets> {
    const name = `trustee/${place(scope)}`;
    let found = await this.records.get(name);
    if (found === undefined) {
      const { signSeed, boxSecret, coefficients, proofNonce } = makeSecrets(threshold, this.rng);
      const packed = new Uint8Array([signSeed, boxSecret, proofNonce, ...coefficients].flatMap((part) => [...part]));
      found = await this.records.putOnce(name, await this.wrap(packed));
    }
    const packed = await this.unwrap(found as Wrapped);
    const [signSeed, boxSecret, proofNonce, ...coefficients] = Array.from({ length: packed.length / SECRET_BYTES }, (_, i) =>
      packed.slice(i * SECRET_BYTES, (i + 1) * SECRET_BYTES),
    );
    ensure(
      signSeed !== undefined && boxSecret !== undefined && proofNonce !== undefined && coefficients.length === threshold,
      "voting.no-secrets",
      "This device keeps a teller's key for another number of tellers.",
    );
    return { signSeed, boxSecret, proofNonce, coefficients };
  }

  /** Keeps the finished key; a second, different one is refused. */
  async saveTrusteeShare(scope: TrusteeScope, share: TrusteeShare): Promise<void> {
    const { share: secret, ...open } = share;
    await this.records.putOnce(`trustee-share/${place(scope)}`, { ...open, wrapped: await this.wrap(secret) });
    const kept = await this.trusteeShare(scope);
    ensure(kept !== null && b64u(kept.share) === b64u(secret) && kept.transcript === share.transcript, "voting.keygen-second", "This device already keeps another part of the key for this meeting.");
  }

  async trusteeShare(scope: TrusteeScope): Promise<TrusteeShare | null> {
    const found = await this.records.get(`trustee-share/${place(scope)}`);
    if (found === undefined) return null;
    const { wrapped, ...open } = found as Omit<TrusteeShare, "share"> & { wrapped: Wrapped };
    return { ...open, share: await this.unwrap(wrapped) };
  }

  /** Destroys a teller's secrets after the challenge period. */
  async forgetTrustee(scope: TrusteeScope): Promise<void> {
    await this.records.delete(`trustee/${place(scope)}`);
    await this.records.delete(`trustee-share/${place(scope)}`);
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

  /** The ballot cast under this manifest hash (b64u). */
  async castBallot(manifest: string): Promise<CastRecord | null> {
    return ((await this.records.get(`cast/${manifest}`)) ?? null) as CastRecord | null;
  }

  /** Keeps a ballot before it is first sent; returns the one that counts, the first. */
  async beginCast(record: CastRecord): Promise<CastRecord> {
    return (await this.records.putOnce(`cast/${record.manifest}`, record)) as CastRecord;
  }

  updateCast(record: CastRecord): Promise<void> {
    return this.records.put(`cast/${record.manifest}`, record);
  }

  /** Forgets a ballot that the server has refused. */
  forgetCast(manifest: string): Promise<void> {
    return this.records.delete(`cast/${manifest}`);
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
