/** Wall-clock times of a meeting's own zone. */

const MINUTE_MS = 60_000;

export const ownZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** The next full hour on this device's clock, as a `datetime-local` input writes it. */
export function nextHour(now = new Date()): string {
  const start = new Date(now);
  start.setHours(now.getHours() + 1, 0, 0, 0);
  const pad = (n: number): string => String(n).padStart(2, "0");
  return `${start.getFullYear()}-${pad(start.getMonth() + 1)}-${pad(start.getDate())}T${pad(start.getHours())}:00`;
}

export function zones(): string[] {
  const known = typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : [];
  return [...new Set([ownZone(), "UTC", ...known])];
}

/** Minutes that a zone's wall clock is ahead of UTC at an instant. */
function offset(atMs: number, zone: string): number {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(atMs);
  const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value ?? 0);
  const wall = Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute"), of("second"));
  return Math.round((wall - atMs) / MINUTE_MS);
}

/** A time on the zone's wall clock, as a `datetime-local` input writes it. */
export function fromSeconds(at: number, zone: string): string {
  const wall = at * 1000 + offset(at * 1000, zone) * MINUTE_MS;
  return new Date(wall).toISOString().slice(0, "2026-01-01T00:00".length);
}

/** Seconds since 1970 of a `datetime-local` value read on the zone's wall clock. */
export function toSeconds(local: string, zone: string): number {
  const wall = Date.parse(`${local}Z`);
  // Twice, because the offset may change between the first guess and the instant itself.
  const guess = wall - offset(wall, zone) * MINUTE_MS;
  return Math.floor((wall - offset(guess, zone) * MINUTE_MS) / 1000);
}
