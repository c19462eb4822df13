/** The last answers, so that the shell paints before the network. Cleared at sign-out. */
const PREFIX = "folkmoot.cache.";
/** Where pages of papers are kept (paper_pages.ts). */
export const PAGE_STORE = "folkmoot-papers";

/** Keeps a JSON value and gives it back. */
export function remember<T>(name: string, value: T): T {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // storage may be blocked or full; the page then starts empty next time
  }
  return value;
}

/** The value kept under this name by this same application, or null. */
export function recall<T>(name: string): T | null {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? null : (JSON.parse(text) as T);
  } catch {
    return null;
  }
}

/** Drops everything, pages of papers too. */
export function forget(): void {
  if (typeof caches !== "undefined") void caches.delete(PAGE_STORE).catch(() => undefined);
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
  } catch {
    // storage may be blocked; nothing was kept then
  }
}
