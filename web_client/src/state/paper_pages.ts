/** Pages of papers, kept in this browser so that they can be read without a network. Restricted ones are not kept. */
import { ApiError } from "../api/call.ts";
import { pageUrl, papersApi, wordsUrl } from "../api/papers.ts";
import type { Paper } from "../api/types_papers.ts";
import { drop, pageStore } from "./cache.ts";
import { type Page, readPage } from "./page.ts";
import { session } from "./session.ts";

const GONE = new Set([401, 403, 404]);

/** The pages that the member who is signed in has kept; no other member's are looked at. */
async function store(): Promise<Cache | null> {
  const person = session.peek()?.member.id;
  if (person === undefined) return null;
  try {
    return await caches.open(pageStore(person));
  } catch {
    return null; // no secure context, or storage is blocked
  }
}

/** A page or what it says, from the browser's store, else from the server, which may keep it from whom it is no longer for. */
async function fetched(paper: Paper, url: string): Promise<Response> {
  const kept = paper.class === "restricted" ? null : await store();
  const found = await kept?.match(url);
  if (found) return found;
  let answer: Response;
  try {
    // Our store is the only one that keeps it: the browser's own would outlast the session.
    answer = await fetch(url, { credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new ApiError("network.unreachable", "The server cannot be reached.", 0);
  }
  if (!answer.ok) throw new ApiError(GONE.has(answer.status) ? "paper.unknown" : "network.bad-answer", "", answer.status);
  // The paper may have become restricted since the list was fetched.
  const mayKeep = !/no-store/.test(answer.headers.get("Cache-Control") ?? "");
  if (mayKeep) await kept?.put(url, answer.clone()).catch(() => undefined); // a full disk keeps nothing
  return answer;
}

export async function pageOf(meeting: string, paper: Paper, version: number, page: number): Promise<Page> {
  const answer = await fetched(paper, pageUrl(meeting, paper.paper, version, page));
  return readPage(answer);
}

const isPdf = (paper: Paper, version: number): boolean => paper.versions.find((one) => one.version === version)?.type === "pdf";

/** What a page says for who cannot see its picture: null when it has no such layer, empty when it says nothing. */
export async function wordsOf(meeting: string, paper: Paper, version: number, page: number): Promise<string | null> {
  if (!isPdf(paper, version)) return null;
  return (await fetched(paper, wordsUrl(meeting, paper.paper, version, page))).text();
}

/** Where every page of a version is, and what it says. */
function urlsOf(meeting: string, paper: Paper, version: number): string[] {
  const count = paper.versions.find((one) => one.version === version)?.pages ?? 0;
  const pages = Array.from({ length: count }, (_, index) => index + 1);
  const words = isPdf(paper, version) ? pages.map((page) => wordsUrl(meeting, paper.paper, version, page)) : [];
  return [...pages.map((page) => pageUrl(meeting, paper.paper, version, page)), ...words];
}

const hex = (digest: ArrayBuffer): string => Array.from(new Uint8Array(digest), (octet) => octet.toString(16).padStart(2, "0")).join("");

/** Takes over what an earlier version of the paper has in common with this one, from this device. */
async function takeOver(meeting: string, paper: Paper, version: number): Promise<void> {
  const kept = await store();
  const urls = urlsOf(meeting, paper, version);
  const known = (await kept?.keys())?.map((request) => new URL(request.url).pathname) ?? [];
  const beginning = pageUrl(meeting, paper.paper, version, 0).split("/").slice(0, 6).join("/");
  const earlier = known.filter((path) => path.startsWith(`${beginning}/`) && !urls.includes(path));
  if (!kept || earlier.length === 0 || urls.every((url) => known.includes(url))) return;
  const { pages, words } = await papersApi.hashes(meeting, paper.paper, version);
  const wanted = [...pages, ...words];
  const held = new Map<string, string>();
  for (const path of earlier) {
    const octets = await (await kept.match(path))?.arrayBuffer();
    if (octets) held.set(hex(await crypto.subtle.digest("SHA-256", octets)), path);
  }
  for (const [index, url] of urls.entries()) {
    const same = known.includes(url) ? undefined : held.get(wanted[index] ?? "");
    const answer = same === undefined ? undefined : await kept.match(same);
    if (answer) await kept.put(url, answer);
  }
}

/** Fetches every page of a version and what it says, one after the other, until asked to stop. */
export async function keepAll(meeting: string, paper: Paper, version: number, stop: AbortSignal): Promise<void> {
  if (paper.class === "restricted") return;
  await takeOver(meeting, paper, version).catch(() => undefined); // then all of it is fetched
  for (const url of urlsOf(meeting, paper, version)) {
    if (stop.aborted) return;
    try {
      await fetched(paper, url);
    } catch {
      return; // the next time the paper is opened
    }
  }
}

/** The versions, as `paper/version`, of which every page is kept. */
export async function keptVersions(meeting: string, papers: readonly Paper[]): Promise<Set<string>> {
  const kept = new Set((await (await store())?.keys())?.map((request) => new URL(request.url).pathname));
  const whole = new Set<string>();
  for (const paper of papers) {
    for (const { version } of paper.versions) {
      const urls = urlsOf(meeting, paper, version);
      if (urls.length > 0 && urls.every((url) => kept.has(url))) whole.add(`${paper.paper}/${version}`);
    }
  }
  return whole;
}

/** Drops all that was kept of a meeting's papers. */
export async function dropMeeting(meeting: string): Promise<void> {
  drop(`papers.${meeting}`);
  await keepOnly(meeting, []);
}

/** Drops the pages of papers that are not for this person any more. */
export async function keepOnly(meeting: string, papers: readonly Paper[]): Promise<void> {
  const kept = await store();
  if (!kept) return;
  const own = new Set(papers.filter((one) => one.class !== "restricted").map((one) => pageUrl(meeting, one.paper, 0, 0).split("/").slice(0, 6).join("/")));
  for (const request of await kept.keys()) {
    const parts = new URL(request.url).pathname.split("/");
    if (parts[3] === encodeURIComponent(meeting) && !own.has(parts.slice(0, 6).join("/"))) await kept.delete(request);
  }
}
