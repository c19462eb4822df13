/** Where the page keeps what must survive a reload: a small key-value store with write-once records. */

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

/** One database for each member who uses this browser profile: nobody finds or spoils another's keys. */
const nameFor = (member: string): string => `folkmoot.${member}`;
const VERSION = 1;
const STORE = "records";
/** Keys and cast ballots must be on disk before they are used. */
const STRICT: IDBTransactionOptions = { durability: "strict" };

const finished = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error ?? new Error("The browser's database failed.")));
  });

/** One member's records in this browser profile. */
export class DatabaseRecords implements RecordStore {
  private readonly db: IDBDatabase;

  private constructor(db: IDBDatabase) {
    this.db = db;
  }

  static async open(member: string): Promise<DatabaseRecords> {
    const request = indexedDB.open(nameFor(member), VERSION);
    request.addEventListener("upgradeneeded", () => request.result.createObjectStore(STORE));
    return new DatabaseRecords(await finished(request));
  }

  private read(): IDBObjectStore {
    return this.db.transaction(STORE).objectStore(STORE);
  }

  /** Resolves with the work's result once the transaction is on disk. */
  private write<T>(work: (store: IDBObjectStore) => Promise<T>): Promise<T> {
    const tx = this.db.transaction(STORE, "readwrite", STRICT);
    const result = work(tx.objectStore(STORE));
    return new Promise((resolve, reject) => {
      tx.addEventListener("complete", () => resolve(result));
      tx.addEventListener("abort", () => reject(tx.error ?? new Error("The browser's database failed.")));
      result.catch(reject);
    });
  }

  get(key: string): Promise<unknown> {
    return finished(this.read().get(key));
  }

  async put(key: string, value: unknown): Promise<void> {
    await this.write((store) => finished(store.put(value, key)));
  }

  putOnce(key: string, value: unknown): Promise<unknown> {
    return this.write(async (store) => {
      const found: unknown = await finished(store.get(key));
      if (found === undefined) await finished(store.put(value, key));
      return found ?? value;
    });
  }

  async delete(key: string): Promise<void> {
    await this.write((store) => finished(store.delete(key)));
  }

  list(prefix: string): Promise<unknown[]> {
    return finished(this.read().getAll(IDBKeyRange.bound(prefix, `${prefix}\uffff`)));
  }
}

/** A decision that the keystore keeps, read without loading any cryptography; null when there is none. */
export async function readDecision(member: string, name: string): Promise<string | null> {
  const found = await (await DatabaseRecords.open(member)).get(`decision/${name}`);
  return typeof found === "string" ? found : null;
}
