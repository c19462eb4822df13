/** The application's translator and the ways to write numbers, dates and refusals. */
import { createI18n, formatNumber, group, type InGroups, localeOf, together } from "./core.ts";

const BASE = group(
  () => together(import("./en.json"), import("./errors_en.json"), import("./rules_en.json")),
  () => together(import("./vi.json"), import("./errors_vi.json"), import("./rules_vi.json")),
);
/** The groups of sentences that come with a screen; how to add one stands in catalogue.ts. */
const GROUPS = {
  calling: group(() => import("./calling_en.json"), () => import("./calling_vi.json")),
  closed: group(() => import("./closed_en.json"), () => import("./closed_vi.json")),
  conduct: group(() => import("./conduct_en.json"), () => import("./conduct_vi.json")),
  cut: group(() => import("./cut_en.json"), () => import("./cut_vi.json")),
  ladder: group(() => import("./ladder_en.json"), () => import("./ladder_vi.json")),
  log: group(() => import("./log_en.json"), () => import("./log_vi.json")),
  minutes: group(() => import("./minutes_en.json"), () => import("./minutes_vi.json")),
  motions: group(() => import("./motions_en.json"), () => import("./motions_vi.json")),
  speakers: group(() => import("./speakers_en.json"), () => import("./speakers_vi.json")),
  notice: group(() => import("./notice_en.json"), () => import("./notice_vi.json")),
  office: group(() => import("./office_en.json"), () => import("./office_vi.json")),
  papers: group(() => import("./papers_en.json"), () => import("./papers_vi.json")),
  prepare: group(() => import("./prepare_en.json"), () => import("./prepare_vi.json")),
  presiding: group(() => import("./presiding_en.json"), () => import("./presiding_vi.json")),
  sites: group(() => import("./sites_en.json"), () => import("./sites_vi.json")),
  teller: group(() => import("./teller_en.json"), () => import("./teller_vi.json")),
  visitors: group(() => import("./visitors_en.json"), () => import("./visitors_vi.json")),
};
export type Group = keyof typeof GROUPS;

const i18n = createI18n<InGroups<typeof GROUPS & { base: typeof BASE }>, Group>(BASE, GROUPS);

export const { language, use: useLanguage, need: needSentences, t, tn, lookup } = i18n;
export type Key = Parameters<typeof t>[0];

/** A sentence whose key is made of data, as rules are. */
export const say = (key: string, params: Record<string, string | number> = {}): string => lookup(key, params) ?? key;

const dates = new Map<string, Intl.DateTimeFormat>();

function dateFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const locale = localeOf(language.value);
  const key = `${locale} ${JSON.stringify(options)}`;
  const found = dates.get(key);
  if (found) return found;
  const made = new Intl.DateTimeFormat(locale, options);
  dates.set(key, made);
  return made;
}

export const number = (value: number): string => formatNumber(value, localeOf(language.value));

/** Hours and minutes of a server time, in the reader's zone unless one is given. */
export function clock(seconds: number, timeZone?: string): string {
  return dateFormat({ hour: "2-digit", minute: "2-digit", ...(timeZone ? { timeZone } : {}) }).format(seconds * 1000);
}

/** A server time's day in the reader's zone. */
export const day = (seconds: number): string => dateFormat({ dateStyle: "medium" }).format(seconds * 1000);

/** Hours and minutes of a time of today, else the day too, in the reader's zone. */
export const moment = (seconds: number): string => (day(seconds) === day(Date.now() / 1000) ? clock(seconds) : `${day(seconds)}, ${clock(seconds)}`);

/** Day and time in the meeting's own zone, with the zone's name. */
export function dayAndTime(seconds: number, timeZone: string): string {
  const options: Intl.DateTimeFormatOptions = {
    weekday: "short",
    day: "numeric",
    month: "long",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
    timeZone,
  };
  try {
    return dateFormat(options).format(seconds * 1000);
  } catch {
    return dateFormat({ ...options, timeZone: "UTC" }).format(seconds * 1000); // an unknown zone name
  }
}

/** The sentence for a refusal: ours by its code, else the server's own. */
export function errorText(error: unknown): { text: string; code: string; foreign: boolean } {
  const code = codeOf(error);
  const ours = lookup(`error.${code}`) ?? lookup(`error.${code.split(".")[0] ?? ""}`);
  if (ours !== null) return { text: ours, code, foreign: false };
  const said = error instanceof Error ? error.message : "";
  return said ? { text: said, code, foreign: true } : { text: t("error.unknown"), code, foreign: false };
}

export function codeOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "code" in error && typeof error.code === "string") return error.code;
  return "page.failed";
}
