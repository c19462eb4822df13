/**
 * The application's service worker: the pages start without a network, with the files of one build.
 *
 * It keeps what every visitor gets alike and nothing else: no answer of the API, no paper, no cookie. What it changes
 * for the trust in the pages stands in docs/adr/0010-offline-pages.md.
 */
import { cacheName, courseOf, isHashed, outdated, type Said, type Shell } from "./course.ts";

/** Put before this file by the build (tools/shell_files.ts). */
declare const FOLKMOOT_SHELL: Shell;

const worker = globalThis as unknown as ServiceWorkerGlobalScope;
const { version, files } = FOLKMOOT_SHELL;
const OWN = cacheName(version);
/** How long a page may take from the network before the kept one is shown. */
const PATIENCE_MS = 4_000;
const SERVER_FAILED = 500;
/** A page that is being left counts as a window for a moment yet: whoever comes after it looks so many times. */
const LOOKS_AFTER_MS = [0, 500, 2_000];
const NEW_VERSION: Said = "new-version";

/** Fetches every file of this build; what an interrupted attempt or an earlier build has is not fetched again. */
async function keepShell(): Promise<void> {
  const own = await caches.open(OWN);
  for (const [path, digest] of Object.entries(files)) {
    const held = isHashed(path) ? await caches.match(path, { ignoreVary: true }) : undefined;
    if (held) await own.put(path, held);
    else await own.put(path, await fetchPinned(path, digest));
  }
}

/** A public file, asked for as nobody in particular, refused by the browser unless it is the one of this build. */
async function fetchPinned(path: string, digest: string): Promise<Response> {
  const answer = await fetch(path, { integrity: `sha256-${digest}`, credentials: "omit", cache: isHashed(path) ? "default" : "no-cache" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

/** An older build's files go when no page uses them any more. */
async function dropOutdated(): Promise<void> {
  await Promise.all(outdated(await caches.keys(), version).map((name) => caches.delete(name)));
}

/** Whether this is the one build here; a worker that was replaced must not touch the files of its successor. */
function isInCharge(): boolean {
  const { installing, waiting } = worker.registration;
  return (worker as { serviceWorker?: ServiceWorker }).serviceWorker?.state === "activated" && !installing && !waiting;
}

/** This build serves from now on. */
async function takeOver(): Promise<void> {
  await dropOutdated();
  await worker.clients.claim();
}

/** Keeps an answer for the next time, unless a newer build has just taken this one's files away. */
async function keep(key: string, answer: Response): Promise<void> {
  if (await caches.has(OWN)) await (await caches.open(OWN)).put(key, answer);
}

/** The page from the network; the kept one when that takes long, fails or the server does. */
async function page(event: FetchEvent, key: string): Promise<Response> {
  if (isInCharge()) event.waitUntil(dropOutdated());
  const kept = await caches.match(key, { cacheName: OWN, ignoreVary: true });
  if (!kept) return visited(event, key, await fetch(event.request));
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(event.request, { signal: patience.signal });
    if (answer.status >= SERVER_FAILED) return kept;
    return visited(event, key, answer);
  } catch {
    return kept;
  } finally {
    clearTimeout(timer);
  }
}

/** A page that is not part of the shell (the auditor's) is kept once somebody here has looked at it. */
function visited(event: FetchEvent, key: string, answer: Response): Response {
  if (!Object.hasOwn(files, key) && answer.ok) event.waitUntil(keep(key, answer.clone()));
  return answer;
}

/**
 * A page has told by which script it began. Of this build and alone, it lets this build take over: nothing changes for
 * it. Another window may be in the middle of a vote, with files of the build before; then this waits for the next start.
 */
async function hear(page: Client, script: string): Promise<void> {
  if (!Object.hasOwn(files, script)) return page.postMessage(NEW_VERSION);
  for (const wait of LOOKS_AFTER_MS) {
    await new Promise((done) => setTimeout(done, wait));
    if (await isAlone(page)) return worker.skipWaiting();
  }
}

/** Whether no other window shows a page of this origin. */
async function isAlone(page: Client): Promise<boolean> {
  const windows = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  return windows.every((one) => one.frameType === "nested" || one.id === page.id);
}

/** A file whose name tells its content is the same wherever it is kept. */
async function file(event: FetchEvent, key: string): Promise<Response> {
  const kept = await caches.match(key, { ignoreVary: true });
  if (kept) return kept;
  const answer = await fetch(event.request);
  if (answer.ok && isHashed(key)) event.waitUntil(keep(key, answer.clone()));
  return answer;
}

worker.addEventListener("install", (event) => event.waitUntil(keepShell()));
worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));
worker.addEventListener("message", (event) => {
  const { data, source } = event as { data: unknown; source: unknown };
  if (typeof data === "string" && source instanceof WindowClient) event.waitUntil(hear(source, data));
});
worker.addEventListener("fetch", (event) => {
  const course = courseOf(event.request, location.origin, FOLKMOOT_SHELL);
  if (course.kind === "page") event.respondWith(page(event, course.key));
  else if (course.kind === "file") event.respondWith(file(event, course.key));
});
