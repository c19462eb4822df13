/** Requests about papers, visitors and messages. */
import { ApiError, at, get, post } from "./call.ts";
import type { Session } from "./types.ts";
import type { LobbyLine, Message, MessageKind, MessageRules, PaperClass, PaperRead, Papers, Shown, Support } from "./types_papers.ts";

const paper = (m: string, p: string, rest = ""): string => at(m, `/papers/${encodeURIComponent(p)}${rest}`);

/** What a guest who waits learns of the meeting. */
export interface GuestMeeting {
  title: string;
  state: string;
  starts_at: number;
  time_zone: string;
}

export const papersApi = {
  papers: (m: string) => get<Papers>(at(m, "/papers")),
  changePaper: (m: string, p: string, body: { item: string; name: string; class: PaperClass }) => post<object>(paper(m, p), body),
  removePaper: (m: string, p: string) => post<object>(paper(m, p, "/remove")),
  hashes: (m: string, p: string, version: number) => get<{ pages: string[]; words: string[] }>(paper(m, p, `/${version}/pages`)),
  reads: (m: string, p: string) => get<{ reads: PaperRead[] }>(paper(m, p, "/reads")),
  present: (m: string, shown: Shown) => post<object>(at(m, "/present"), shown),
  guestLink: (m: string, name: string) => post<{ url: string; id: string }>(at(m, "/guest-links"), { name }),
  enterAsGuest: (token: string, name: string) => post<Session>("/api/guests/enter", { token, name }),
  guestMeeting: (m: string) => get<GuestMeeting>(at(m)),
  askIn: (m: string) => post<{ visitor: string }>(at(m, "/lobby")),
  lobby: (m: string) => get<{ visitors: LobbyLine[] }>(at(m, "/lobby")),
  decide: (m: string, v: string, act: "admit" | "refuse" | "remove") => post<object>(at(m, `/lobby/${encodeURIComponent(v)}`), { act }),
  messages: (m: string, after: number) => get<{ messages: Message[]; support: Support[] }>(at(m, `/messages?after=${after}`)),
  write: (m: string, kind: MessageKind, text: string, to: number) => post<{ id: number }>(at(m, "/messages"), { kind, text, to }),
  hide: (m: string, id: number, reason: string) => post<object>(at(m, `/messages/${id}/hide`), { reason }),
  support: (m: string, id: number) => post<object>(at(m, `/messages/${id}/support`)),
  messageRules: (m: string, rules: MessageRules) => post<object>(at(m, "/message-rules"), rules),
};

export const pageUrl = (m: string, p: string, version: number, page: number): string => paper(m, p, `/${version}/pages/${page}`);
export const wordsUrl = (m: string, p: string, version: number, page: number): string => `${pageUrl(m, p, version, page)}/text`;
export const fileUrl = (m: string, p: string, version: number): string => paper(m, p, `/${version}/file`);

/** Where the bytes of a new paper go, or those of another version of one. */
export function uploadUrl(m: string, known: string, name: string, item: string, paperClass: PaperClass): string {
  const query = new URLSearchParams(known ? { name } : { item, name, class: paperClass });
  return `${known ? paper(m, known) : at(m, "/papers")}?${query.toString()}`;
}

/** Sends a file and tells how much of it has gone (0 to 1); `fetch` cannot tell that. */
export function upload(url: string, file: Blob, onProgress: (part: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => onProgress(event.total ? event.loaded / event.total : 0));
    request.addEventListener("load", () => {
      if (request.status === 200) return resolve();
      const answer = request.response as { error?: { code: string; message: string } } | null;
      reject(new ApiError(answer?.error?.code ?? "network.bad-answer", answer?.error?.message ?? "", request.status));
    });
    const lost = (): void => reject(new ApiError("network.unreachable", "The server cannot be reached.", 0));
    request.addEventListener("error", lost);
    request.addEventListener("abort", lost);
    request.send(file);
  });
}
