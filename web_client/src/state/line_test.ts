/** The line test of a hall: delay, rates both ways, the clock; sound and picture are looked at by the custodian. */
import { probeDown, probeUp } from "../api/sites.ts";
import type { LineTest } from "../api/types_sites.ts";

const ROUNDS = 5;
const SMALL_BYTES = 8_192;
const LARGE_BYTES = 131_072;
/** A line that takes longer for the small piece is not burdened with the large one. */
const PATIENCE_S = 1.5;
const LEAST_S = 0.001;
/** Beyond it the pieces are too small to tell: they take less than the way there and back. */
export const MOST_KBPS = 20_000;

/** A clock that is further off is told to those who lead the meeting. */
export const CLOCK_MAX_MS = 2_000;

/** How far off a clock is, in the two units that tell it best: hours and minutes, minutes and seconds, or seconds. */
export function clockOff(ms: number): { hours: number; minutes: number; seconds: number } {
  const whole = Math.round(Math.abs(ms) / 1000);
  const seconds = whole >= 3_600 ? Math.round(whole / 60) * 60 : whole;
  return { hours: Math.floor(seconds / 3_600), minutes: Math.floor((seconds % 3_600) / 60), seconds: seconds % 60 };
}

export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** kbit/s of so many bytes, the way of the request and its answer left out; `MOST_KBPS` stands for that much or more. */
export const rateKbps = (bytes: number, seconds: number, rttS: number): number => Math.min(MOST_KBPS, Math.max(1, Math.round((bytes * 8) / 1000 / Math.max(seconds - rttS, LEAST_S))));

/** By how many milliseconds this device is ahead of the hub, the way there taken as half of both ways. */
export const clockMs = (sentMs: number, seconds: number, hubMs: number): number => Math.round(sentMs + (seconds * 1000) / 2 - hubMs);

export type Measured = Omit<LineTest, "sound" | "picture" | "loss_permille">;

async function rate(probe: (bytes: number) => Promise<number>, rttS: number): Promise<number> {
  const first = await probe(SMALL_BYTES);
  if (first - rttS > PATIENCE_S) return rateKbps(SMALL_BYTES, first, rttS);
  return rateKbps(LARGE_BYTES, await probe(LARGE_BYTES), rttS);
}

/** Measures; `onStep` tells how many of the three parts are done. @throws ApiError when the hub does not answer */
export async function measureLine(meeting: string, site: string, onStep: (done: number) => void): Promise<Measured> {
  await probeDown(meeting, site, 1); // the first one opens the connection
  const ways: number[] = [];
  const clocks: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const { seconds, nowMs, sentMs } = await probeUp(meeting, site, 1);
    ways.push(seconds);
    clocks.push(clockMs(sentMs, seconds, nowMs));
  }
  onStep(1);
  const rttS = median(ways);
  const down_kbps = await rate((bytes) => probeDown(meeting, site, bytes), rttS);
  onStep(2);
  const up_kbps = await rate(async (bytes) => (await probeUp(meeting, site, bytes)).seconds, rttS);
  onStep(3);
  return { rtt_ms: Math.round(rttS * 1000), up_kbps, down_kbps, clock_ms: median(clocks) };
}
