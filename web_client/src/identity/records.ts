/** Where the page keeps what must survive a reload: a small key-value store with write-once records. */
import { type DBSchema, type IDBPDatabase, openDB } from "idb";

/** Values are structured-cloneable; CryptoKey objects stay non-extractable in the store. */
export interface RecordStore {
  get(key: string): Promise<unknown>;
  put(key: string, value: unknown): Promise<void>;
  /** Stores unless something is there; returns what is there afterwards. Atomic across tabs, durable on return. */
  putOnce(key: string, value: unknown): Promise<unknown>;
  delete(key: string): Promise<void>;
  /** All values whose key starts with `prefix`, by key. */
  list(prefix: string): Promise<unknown[]>;
}

export class MemoryRecords implements RecordStore {
  private readonly values = new Map<string, unknown>();

  get(key: string): Promise<unknown> {
    return Promise.resolve(this.values.get(key));
  }

  put(key: string, value: unknown): Promise<void> {
    this.values.set(key, value);
    return Promise.resolve();
  }

  putOnce(key: string, value: unknown): Promise<unknown> {
    if (!this.values.has(key)) this.values.set(key, value);
    return Promise.resolve(this.values.get(key));
  }

  delete(key: string): Promise<void> {
    this.values.delete(key);
    return Promise.resolve();
  }

  list(prefix: string): Promise<unknown[]> {
    const keys = [...this.values.keys()].filter((key) => key.startsWith(prefix)).sort();
    return Promise.resolve(keys.map((key) => this.values.get(key)));
  }
}

interface Schema extends DBSchema {
  records: { key: string; value: unknown };
}

/** One database for each member who uses this browser profile: nobody finds or spoils another's keys. */
const nameFor = (member: string): string => `folkmoot.${member}`;
const VERSION = 1;
/** Keys and cast ballots must be on disk before they are used. */
const STRICT = { durability: "strict" } as const;

/** One member's records in this browser profile. */
export class DatabaseRecords implements RecordStore {
  private readonly db: IDBPDatabase<Schema>;

  private constructor(db: IDBPDatabase<Schema>) {
    this.db = db;
  }

  static async open(member: string): Promise<DatabaseRecords> {
    const db = await openDB<Schema>(nameFor(member), VERSION, { upgrade: (fresh) => void fresh.createObjectStore("records") });
    return new DatabaseRecords(db);
  }

  get(key: string): Promise<unknown> {
    return this.db.get("records", key);
  }

  async put(key: string, value: unknown): Promise<void> {
    const tx = this.db.transaction("records", "readwrite", STRICT);
    await Promise.all([tx.store.put(value, key), tx.done]);
  }

  async putOnce(key: string, value: unknown): Promise<unknown> {
    const tx = this.db.transaction("records", "readwrite", STRICT);
    const found = await tx.store.get(key);
    if (found === undefined) await tx.store.put(value, key);
    await tx.done;
    return found ?? value;
  }

  async delete(key: string): Promise<void> {
    const tx = this.db.transaction("records", "readwrite", STRICT);
    await Promise.all([tx.store.delete(key), tx.done]);
  }

  list(prefix: string): Promise<unknown[]> {
    return this.db.getAll("records", IDBKeyRange.bound(prefix, `${prefix}\uffff`));
  }
}

/** A decision that the keystore keeps, read without loading any cryptography; null when there is none. */
export async function readDecision(member: string, name: string): Promise<string | null> {
  const found = await (await DatabaseRecords.open(member)).get(`decision/${name}`);
  return typeof found === "string" ? found : null;
}
