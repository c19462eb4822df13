/** What the server says of links: this seat's own, and to those who lead, who is in trouble. */
import type { Source } from "../media/capture.ts";
import { EVERYTHING, type Step, STEPS } from "../media/profiles.ts";
import { asSource, field } from "../media/protocol.ts";

export type LinkLevel = "good" | "fair" | "poor" | "lost";

/** Where this seat's link stands; `estimate` is kbit/s, null while nothing has shown a limit. */
export interface Standing {
  readonly level: Step;
  readonly byChoice: boolean;
  readonly trouble: boolean;
  readonly profile: number;
  /** A tenth of what is sent is lost, or was a moment ago. */
  readonly lossy: boolean;
  readonly estimate: number | null;
  readonly loss: number;
}

/** A seat whose link is in trouble, or that reads along only; `since` is seconds of this device's clock. */
export interface Troubled {
  readonly owner: string;
  readonly level: Step;
  readonly byChoice: boolean;
  /** Whether it receives what it should; what it sends may arrive badly all the same. */
  readonly receives: boolean;
  readonly sendsBadly: Source | null;
  readonly since: number;
}

/** What this seat sends and others get badly: the share lost of it, and by how many milliseconds the rest is late. */
export interface SendsBadly {
  readonly source: Source;
  readonly loss: number;
  readonly lateMs: number;
}

export const HEAVY_LOSS = 0.1;

export function asStep(value: unknown): Step | null {
  return STEPS.find((step) => step === value) ?? null;
}

export function asStanding(data: unknown): Standing | null {
  const level = asStep(field(data, "level"));
  const profile = field(data, "profile");
  const loss = field(data, "loss");
  const estimate = field(data, "estimate_kbps");
  if (level === null || typeof profile !== "number" || typeof loss !== "number") return null;
  return { level, profile, loss, byChoice: field(data, "reason") === "choice", trouble: field(data, "trouble") === true, lossy: field(data, "lossy") === true, estimate: typeof estimate === "number" ? estimate : null };
}

/** Null where everything arrives well. */
export function asSendsBadly(data: unknown): SendsBadly | null {
  const source = asSource(field(data, "source"));
  const loss = field(data, "loss");
  const lateMs = field(data, "late_ms");
  return source === null || typeof loss !== "number" || typeof lateMs !== "number" ? null : { source, loss, lateMs };
}

export function asTroubled(data: unknown, nowSeconds: number): Troubled[] {
  const members = field(data, "members");
  if (!Array.isArray(members)) return [];
  return members.flatMap((one: unknown) => {
    const owner = field(one, "owner");
    const level = asStep(field(one, "level"));
    const forS = field(one, "for_s");
    if (typeof owner !== "string" || level === null || typeof forS !== "number") return [];
    const reason = field(one, "reason");
    return [{ owner, level, byChoice: reason === "choice", receives: reason === null, sendsBadly: asSource(field(one, "sends_badly")), since: nowSeconds - forS }];
  });
}

export function moreOf(data: unknown): number {
  const more = field(data, "more");
  return typeof more === "number" ? more : 0;
}

/** The link in one word. */
export function levelOf(standing: Standing | null, sends: SendsBadly | null): LinkLevel {
  if (sends !== null) return "poor";
  if (standing === null) return "good";
  if (standing.trouble) return "poor";
  return standing.level < EVERYTHING && !standing.byChoice ? "fair" : "good";
}

/** The key of the sentence that says what the link carries, or what the member chose. */
export function wordsOf(level: Step, byChoice: boolean): string {
  const names = ["text", "voice", "documents", "thumbnail", "full"];
  return level === EVERYTHING ? "ladder.full" : `ladder.${names[level] ?? ""}-by-${byChoice ? "choice" : "link"}`;
}

/** The key of the sentence that says what others do not get of what is sent: `others` of this seat, `their` of another. */
export function sendingWords(whose: "others" | "their", source: Source): string {
  return `ladder.${whose}.${source === "microphone" ? "heard" : "seen"}-badly`;
}
