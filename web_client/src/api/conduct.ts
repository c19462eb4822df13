/** Calls of notice, agenda, chair and interventions in a vote. */
import type { Signed } from "./types.ts";
import type { Every, ItemPlace, ItemText, Notices, Receipt, Template } from "./types_conduct.ts";
import { at, get, post, vote } from "./call.ts";

const item = (m: string, i: string, rest = ""): string => at(m, `/agenda/${encodeURIComponent(i)}${rest}`);

export const conduct = {
  waiveNotice: (m: string, reason: string, action: object, signed: Signed) => post<object>(at(m, "/waiver"), { reason, action, signed }),
  confirmReceipt: (m: string, receipt: Receipt) => post<object>(at(m, "/receipts"), { receipt }),
  notices: (m: string) => get<Notices>(at(m, "/notices")),
  excuse: (m: string, body: { excused: boolean; reason: string; member: string }) => post<object>(at(m, "/excuse"), body),
  addItem: (m: string, body: ItemText & ItemPlace) => post<{ id: string }>(at(m, "/agenda"), body),
  changeItem: (m: string, i: string, body: ItemText & { version: number }) => post<{ version: number }>(item(m, i), body),
  moveItem: (m: string, i: string, place: ItemPlace) => post<object>(item(m, i, "/move"), place),
  removeItem: (m: string, i: string) => post<object>(item(m, i, "/remove")),
  carryItems: (m: string, from: string) => post<{ items: number }>(at(m, "/agenda/carry"), { from }),
  makeSeries: (m: string, every: Every, count: number) => post<{ meetings: string[] }>(at(m, "/series"), { every, count }),
  templates: (unit: string) => get<{ templates: Template[] }>(`/api/templates?unit=${encodeURIComponent(unit)}`),
  saveTemplate: (body: { unit: string; name: string; meeting: string }) => post<{ id: string }>("/api/templates", body),
  removeTemplate: (t: string) => post<object>(`/api/templates/${encodeURIComponent(t)}/remove`),
  offerChair: (m: string, to: string, action: object, signed: Signed) => post<object>(at(m, "/handover"), { to, action, signed }),
  acceptChair: (m: string, action: object, signed: Signed) => post<object>(at(m, "/handover/accept"), { action, signed }),
  abortElection: (m: string, e: string, reason: string, action: object, signed: Signed) => post<object>(vote(m, e, "abort"), { reason, action, signed }),
  setVoteTimer: (m: string, e: string, body: { ends_at: number; reason: string }) => post<object>(vote(m, e, "timer"), body),
};

/** The meeting as a calendar file. */
export const calendarFile = (m: string): string => at(m, "/meeting.ics");
