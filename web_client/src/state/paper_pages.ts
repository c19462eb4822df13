/** Pages of papers, kept in this browser so that they can be read without a network. Restricted ones are not kept. */
import { ApiError } from "../api/call.ts";
import { pageUrl, wordsUrl } from "../api/papers.ts";
import type { Paper } from "../api/types_papers.ts";
import { PAGE_STORE } from "./cache.ts";

const GONE = new Set([401, 403, 404]);

export interface Page {
  /** A picture as a data: address, or empty. */
  picture: string;
  text: string;
}

async function store(): Promise<Cache | null> {
  try {
    return await caches.open(PAGE_STORE);
  } catch {
    return null; // no secure context, or storage is blocked
  }
}

function picture(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(String(reader.result)));
    reader.addEventListener("error", () => reject(new Error("unreadable")));
    reader.readAsDataURL(blob);
  });
}

/** A page or what it says, from the browser's store, else from the server, which may keep it from whom it is no longer for. */
async function fetched(paper: Paper, url: string): Promise<Response> {
  const kept = paper.class === "restricted" ? null : await store();
  const found = await kept?.match(url);
  if (found) return found;
  let answer: Response;
  try {
    answer = await fetch(url, { credentials: "same-origin" });
  } catch {
    throw new ApiError("network.unreachable", "The server cannot be reached.", 0);
  }
  if (!answer.ok) throw new ApiError(GONE.has(answer.status) ? "paper.unknown" : "network.bad-answer", "", answer.status);
  await kept?.put(url, answer.clone()).catch(() => undefined); // a full disk keeps nothing
  return answer;
}

export async function pageOf(meeting: string, paper: Paper, version: number, page: number): Promise<Page> {
  const answer = await fetched(paper, pageUrl(meeting, paper.paper, version, page));
  const isText = answer.headers.get("Content-Type")?.startsWith("text/plain") ?? false;
  return isText ? { picture: "", text: await answer.text() } : { picture: await picture(await answer.blob()), text: "" };
}

const isPdf = (paper: Paper, version: number): boolean => paper.versions.find((one) => one.version === version)?.type === "pdf";

/** What a page says for who cannot see its picture: null when it has no such layer, empty when it says nothing. */
export async function wordsOf(meeting: string, paper: Paper, version: number, page: number): Promise<string | null> {
  if (!isPdf(paper, version)) return null;
  return (await fetched(paper, wordsUrl(meeting, paper.paper, version, page))).text();
}

/** Fetches every page of a version and what it says, one after the other, until asked to stop. */
export async function keepAll(meeting: string, paper: Paper, version: number, stop: AbortSignal): Promise<void> {
  const count = paper.versions.find((one) => one.version === version)?.pages ?? 0;
  if (paper.class === "restricted") return;
  const pages = Array.from({ length: count }, (_, index) => index + 1);
  const urls = pages.map((page) => pageUrl(meeting, paper.paper, version, page));
  if (isPdf(paper, version)) urls.push(...pages.map((page) => wordsUrl(meeting, paper.paper, version, page)));
  for (const url of urls) {
    if (stop.aborted) return;
    try {
      await fetched(paper, url);
    } catch {
      return; // the next time the paper is opened
    }
  }
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
