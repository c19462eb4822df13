/** What the application's worker does with a request, and which kept files are of an older build. Pure. */

/** `leave`: the browser asks the network as if there were no worker; `page`: network first; `file`: kept first. */
export type Course = { kind: "leave" } | { kind: "page"; key: string } | { kind: "file"; key: string };

export interface Asked {
  method: string;
  mode: string;
  url: string;
}

/** One build's files that are kept for use without a network: path to SHA-256 in base64. */
export interface Shell {
  /** Changes whenever one of the files does. */
  version: string;
  files: Readonly<Record<string, string>>;
}

export const SHELL_KEY = "/";
/** What the worker of a build says to a page of another one. */
export type Said = "new-version";
const OWN = "folkmoot-app-";
const LEAVE: Course = { kind: "leave" };
/** Pages of their own; every other address shows the application. */
const PAGES: Readonly<Record<string, string>> = {
  "/booth": "/booth.html",
  "/booth.html": "/booth.html",
  "/auditor": "/auditor.html",
  "/auditor.html": "/auditor.html",
};
/** Addresses of the server itself: nothing of them is answered or kept here. */
const SERVER = /^\/(?:api|socket\.io)(?:\/|$)|^\/(?:healthz|metrics|sw\.js)$/;

export const cacheName = (version: string): string => OWN + version;

/** Content and name of such a file belong together for ever. */
export const isHashed = (path: string): boolean => path.startsWith("/assets/");

export const isServers = (path: string): boolean => SERVER.test(path);

export function courseOf({ method, mode, url }: Asked, origin: string, shell: Shell): Course {
  const asked = new URL(url);
  const path = asked.pathname;
  if (method !== "GET" || asked.origin !== origin || isServers(path)) return LEAVE;
  if (mode === "navigate") {
    const page = PAGES[path];
    if (page !== undefined) return { kind: "page", key: page };
    // A name with an ending is a file that somebody wants to see by itself.
    return /\.[^/]*$/.test(path) ? LEAVE : { kind: "page", key: SHELL_KEY };
  }
  return isHashed(path) || Object.hasOwn(shell.files, path) ? { kind: "file", key: path } : LEAVE;
}

/** The caches of other builds; those of anything else are not touched. */
export const outdated = (names: readonly string[], version: string): string[] => names.filter((name) => name.startsWith(OWN) && name !== cacheName(version));
