/** How this seat sends at each step of the ladder, by the profile that the server names (`folkmoot_media.forwarding.ladder`). */

/** 0 text · 1 voices · 2 voices and documents · 3 a small picture · 4 everything. */
export type Step = 0 | 1 | 2 | 3 | 4;
export const STEPS: readonly Step[] = [0, 1, 2, 3, 4];
export const TEXT_ONLY: Step = 0;
export const EVERYTHING: Step = 4;
/** The first step that has pictures. */
export const PICTURES: Step = 3;
/** What each step needs of the link in each direction, kbit/s. */
export const STEP_KBIT: Record<Step, number> = { 0: 5, 1: 24, 2: 56, 3: 120, 4: 420 };

/** `link` is the link in kbit/s that it was made for (0: a wide, short one), `opus` bit/s, `video` kbit/s. */
export interface Profile {
  readonly link: number;
  readonly opus: number;
  readonly ptime: 20 | 60;
  readonly dtx: boolean;
  readonly video: { readonly kbit: number; readonly frames: number; readonly height: number } | null;
}

const P64: Profile = { link: 64, opus: 12_000, ptime: 60, dtx: false, video: null };
const P128: Profile = { link: 128, opus: 16_000, ptime: 60, dtx: false, video: { kbit: 12, frames: 1, height: 120 } };
const P256: Profile = { link: 256, opus: 24_000, ptime: 60, dtx: false, video: { kbit: 90, frames: 8, height: 180 } };
const P512: Profile = { link: 512, opus: 24_000, ptime: 60, dtx: true, video: { kbit: 250, frames: 15, height: 360 } };
export const FREE: Profile = { link: 0, opus: 32_000, ptime: 20, dtx: true, video: { kbit: 2_500, frames: 30, height: 720 } };
export const PROFILES: readonly Profile[] = [P64, P128, P256, P512, FREE];

/**
 * How to send at a step; `link` is the profile that the server finds fit for this seat's link, 0 while it knows none.
 * Where the thinnest picture would go over a lossy link it is left out: what repairs it is what voices need.
 */
export function profileOf(step: Step, link: number, lossy = false): Profile {
  const found = PROFILES.find((profile) => profile.link === link) ?? FREE;
  if (step < PICTURES) return P64;
  const carried = step === PICTURES && (found.link === 0 || found.link > P256.link) ? P256 : found.video === null ? P128 : found;
  return lossy && carried === P128 ? { ...P128, video: null } : carried;
}

/** What the device itself says of its link: kbit/s towards it and the round trip. */
export interface FirstLook {
  readonly kbps: number;
  readonly rtt_ms: number;
}

const MOST_KBPS = 10_000_000;
const LONGEST_MS = 60_000;

/** What the browser has measured of this device's link so far; null where it says nothing (Firefox, Safari). */
export function firstLook(): FirstLook | null {
  const said = (navigator as { connection?: { downlink?: number; rtt?: number } }).connection;
  const kbps = Math.round((said?.downlink ?? 0) * 1000);
  if (!(kbps > 0)) return null;
  return { kbps: Math.min(MOST_KBPS, kbps), rtt_ms: Math.min(LONGEST_MS, Math.max(0, Math.round(said?.rtt ?? 0))) };
}
