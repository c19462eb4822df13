/** What the server says of links: this seat's own, and to those who lead, who is in trouble. */
import { EVERYTHING, type Step, STEPS } from "../media/profiles.ts";

export type LinkLevel = "good" | "fair" | "poor" | "lost";

/** Where this seat's link stands; `estimate` is kbit/s, null while nothing has shown a limit. */
export interface Standing {
  readonly level: Step;
  readonly byChoice: boolean;
  readonly trouble: boolean;
  readonly profile: number;
  readonly estimate: number | null;
  readonly loss: number;
}

/** A seat whose link is in trouble, or that reads along only; `since` is seconds of this device's clock. */
export interface Troubled {
  readonly owner: string;
  readonly level: Step;
  readonly byChoice: boolean;
  readonly since: number;
}

export const HEAVY_LOSS = 0.1;

const field = (data: unknown, name: string): unknown => (typeof data === "object" && data !== null ? (data as Record<string, unknown>)[name] : undefined);

export function asStep(value: unknown): Step | null {
  return STEPS.find((step) => step === value) ?? null;
}

export function asStanding(data: unknown): Standing | null {
  const level = asStep(field(data, "level"));
  const profile = field(data, "profile");
  const loss = field(data, "loss");
  const estimate = field(data, "estimate_kbps");
  if (level === null || typeof profile !== "number" || typeof loss !== "number") return null;
  return { level, profile, loss, byChoice: field(data, "reason") === "choice", trouble: field(data, "trouble") === true, estimate: typeof estimate === "number" ? estimate : null };
}

export function asTroubled(data: unknown, nowSeconds: number): Troubled[] {
  const members = field(data, "members");
  if (!Array.isArray(members)) return [];
  return members.flatMap((one: unknown) => {
    const owner = field(one, "owner");
    const level = asStep(field(one, "level"));
    const forS = field(one, "for_s");
    if (typeof owner !== "string" || level === null || typeof forS !== "number") return [];
    return [{ owner, level, byChoice: field(one, "reason") === "choice", since: nowSeconds - forS }];
  });
}

export function moreOf(data: unknown): number {
  const more = field(data, "more");
  return typeof more === "number" ? more : 0;
}

/** The link in one word. */
export function levelOf(standing: Standing | null): LinkLevel {
  if (standing === null) return "good";
  if (standing.trouble) return "poor";
  return standing.level < EVERYTHING && !standing.byChoice ? "fair" : "good";
}

/** The key of the sentence that says what the link carries, or what the member chose. */
export function wordsOf(level: Step, byChoice: boolean): string {
  const names = ["text", "voice", "documents", "thumbnail", "full"];
  return level === EVERYTHING ? "ladder.full" : `ladder.${names[level] ?? ""}-by-${byChoice ? "choice" : "link"}`;
}
