/** Calls of sites, halls, room screens and presence. */
import { at, ApiError, get, post } from "./call.ts";
import type { CheckInBegin, Signed } from "./types.ts";
import type { AttendanceLine, CurvePoint, LineTest, SeatLine, Site, SiteText } from "./types_sites.ts";

const site = (m: string, s: string, rest = ""): string => at(m, `/sites/${encodeURIComponent(s)}${rest}`);

export const sites = {
  list: (m: string) => get<{ sites: Site[] }>(at(m, "/sites")),
  add: (m: string, body: SiteText) => post<{ site: string }>(at(m, "/sites"), body),
  change: (m: string, s: string, body: SiteText) => post<object>(site(m, s), body),
  remove: (m: string, s: string) => post<object>(site(m, s, "/remove")),
  test: (m: string, s: string, body: LineTest) => post<object>(site(m, s, "/test"), body),
  loopBegin: (m: string, s: string) => post<{ loop: string; seconds: number }>(site(m, s, "/loop")),
  loopMedia: (m: string, s: string, loop: string, body: { side: "out" | "back"; method: string; data: object }) => post<unknown>(site(m, s, `/loop/${encodeURIComponent(loop)}/media`), body),
  accept: (m: string, s: string) => post<object>(site(m, s, "/accept")),
  code: (m: string, s: string) => get<{ code: string; until: number }>(site(m, s, "/code")),
  seats: (m: string, s: string, seats: string[], action: object, signed: Signed) => post<object>(site(m, s, "/seats"), { seats, action, signed }),
  seatList: (m: string, s: string) => get<{ members: SeatLine[]; signed: string[] }>(site(m, s, "/seats")),
  kioskBegin: (m: string, s: string) => post<Omit<CheckInBegin, "mine">>(site(m, s, "/kiosk/begin")),
  kioskFinish: (m: string, s: string, body: { credential: string; site: string; checkpoint: string } & Signed) =>
    post<{ member: string; name: string }>(site(m, s, "/kiosk/finish"), body),
  kioskLeave: (m: string, s: string, action: object, signed: Signed) => post<object>(site(m, s, "/kiosk/leave"), { action, signed }),
  relayCode: (m: string, s: string, origin: string) => post<{ code: string; until: number }>(site(m, s, "/relay-code"), { origin }),
  relayRevoke: (m: string, s: string) => post<object>(site(m, s, "/relay-revoke")),
  dismissAlert: (m: string, s: string, kind: string) => post<object>(site(m, s, "/alerts/dismiss"), { kind }),
  makeScreen: (m: string, s: string) => post<{ url: string }>(at(m, "/screens"), { site: s }),
  askPresence: (m: string, body: { members: string[]; site: string; within_s: number }) => post<{ presence: string }>(at(m, "/presence"), body),
  confirmPresence: (m: string, p: string, signed: Signed) => post<object>(at(m, `/presence/${encodeURIComponent(p)}/confirm`), signed),
  decideDispute: (m: string, d: string, decision: "keep" | "remove") => post<object>(at(m, `/disputes/${encodeURIComponent(d)}`), { decision }),
  attendance: (m: string) => get<{ lines: AttendanceLine[] }>(at(m, "/attendance")),
  curve: (m: string) => get<{ points: CurvePoint[] }>(at(m, "/quorum-curve")),
};

/** Fetches so many incompressible bytes and gives the seconds it took. @throws ApiError */
export async function probeDown(m: string, s: string, bytes: number): Promise<number> {
  const began = performance.now();
  const answer = await fetch(`${site(m, s, "/probe")}?bytes=${bytes}`, { credentials: "same-origin", cache: "no-store" });
  if (!answer.ok) throw new ApiError("site.probe", "The line could not be measured.", answer.status);
  await answer.arrayBuffer();
  return (performance.now() - began) / 1000;
}

/** Sends so many random bytes; gives the seconds it took and the server's clock. @throws ApiError */
export async function probeUp(m: string, s: string, bytes: number): Promise<{ seconds: number; nowMs: number; sentMs: number }> {
  const body = new Uint8Array(bytes);
  for (let from = 0; from < bytes; from += 65_536) crypto.getRandomValues(body.subarray(from, from + 65_536));
  const sentMs = Date.now();
  const began = performance.now();
  const answer = await fetch(site(m, s, "/probe"), { method: "POST", credentials: "same-origin", cache: "no-store", headers: { "Content-Type": "application/octet-stream" }, body });
  if (!answer.ok) throw new ApiError("site.probe", "The line could not be measured.", answer.status);
  const { now_ms } = (await answer.json()) as { now_ms: number };
  return { seconds: (performance.now() - began) / 1000, nowMs: now_ms, sentMs };
}

/** Ends a media loop, also while the page goes away; one that is not ended by its page runs out by itself. */
export function loopEnd(m: string, s: string, loop: string): void {
  const path = site(m, s, `/loop/${encodeURIComponent(loop)}/end`);
  const ending = fetch(path, { method: "POST", credentials: "same-origin", keepalive: true, headers: { "Content-Type": "application/json" }, body: "{}" });
  void ending.catch(() => undefined);
}
