/** The last answers, with when they came, so that the pages paint before and without the network. Cleared at sign-out. */
const PREFIX = "folkmoot.cache.";
/** Pages of papers, a store for each person (paper_pages.ts); beginning of their names. */
const PAGE_STORE = "folkmoot-papers";

interface Kept<T> {
  /** Seconds of this device's clock. */
  at: number;
  value: T;
}

/** Keeps a JSON value and gives it back. */
export function remember<T>(name: string, value: T): T {
  const kept: Kept<T> = { at: Math.floor(Date.now() / 1000), value };
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(kept));
  } catch {
    // storage may be blocked or full; the page then starts empty next time
  }
  return value;
}

function read(name: string): Kept<unknown> | null {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
    const whole = typeof kept === "object" && kept !== null && "at" in kept && "value" in kept && typeof kept.at === "number";
    return whole ? (kept as Kept<unknown>) : null;
  } catch {
    return null;
  }
}

/** The value kept under this name by this same application, or null. */
export const recall = <T>(name: string): T | null => (read(name)?.value ?? null) as T | null;

/** When the value of this name was kept, in seconds; 0 when none is. */
export const keptAt = (name: string): number => read(name)?.at ?? 0;

/** What follows this beginning in the names of kept values. */
export function keptNames(beginning: string): string[] {
  try {
    const start = PREFIX + beginning;
    return Object.keys(localStorage).filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
  } catch {
    return [];
  }
}

/** Drops one value. */
export function drop(name: string): void {
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // storage may be blocked; nothing was kept then
  }
}

export const pageStore = (person: string): string => `${PAGE_STORE}.${person}`;

/** Drops the pages that others, or all, have kept on this device. */
export async function dropPages(besides = ""): Promise<void> {
  if (typeof caches === "undefined") return;
  try {
    const others = (await caches.keys()).filter((name) => name.startsWith(PAGE_STORE) && name !== pageStore(besides));
    await Promise.all(others.map((name) => caches.delete(name)));
  } catch {
    // no secure context, or storage is blocked: nothing was kept then
  }
}

/** Drops everything; settles when pages of papers are gone too. */
export function forget(): Promise<void> {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
  } catch {
    // storage may be blocked; nothing was kept then
  }
  return dropPages();
}
