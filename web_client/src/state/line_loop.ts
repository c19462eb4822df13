/** What a media loop says of a hall's line: how much was lost, at what rate, whether sound and picture came back. */
import type { LineTest } from "../api/types_sites.ts";
import { type Profile, PROFILES } from "../media/profiles.ts";

/** How long sound and picture go round, seconds. */
export const SEND_S = 8;
/** Fewer came back by accident. */
const FEWEST_PACKETS = 10;
const FEWEST_FRAMES = 2;
/** The loudest sample, of 1; a quiet room is below it. */
const AUDIBLE = 0.03;
/** The media of a test stay small: they ask for no more than the widest of the profiles of thin lines. */
const WIDEST_KBPS = 512;

/** From here on voices break up, and the page says so. */
export const LOSSY_PERMILLE = 30;
/** With more a test is not passed (`domain/sites.py`). */
export const LOSS_MAX_PERMILLE = 300;

export type Side = "out" | "back";

/** How the page talks with the loop's two seats at the server. */
export interface Carrier {
  media(side: Side, method: string, data: object): Promise<unknown>;
  /** Ends it there; also while the page goes away. */
  end(): void;
}

/** Counts since the beginning: packets of voices that went out and were reported lost, came back and did not. */
export interface Seen {
  readonly sent: number;
  readonly lostUp: number;
  readonly received: number;
  readonly lost: number;
  /** The loudest that came back, 0 to 1. */
  readonly level: number;
  readonly frames: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** `loss_permille` is null when nothing came back; `packets` and `frames` are what did. */
export interface Round {
  readonly loss_permille: number | null;
  readonly packets: number;
  readonly frames: number;
  readonly up_kbps: number;
  readonly down_kbps: number;
  /** Voices came back, and were loud enough to hear. */
  readonly sound: boolean;
  readonly picture: boolean;
  /** Whether a picture was sent at all. */
  readonly camera: boolean;
}

const share = (part: number, whole: number): number => (whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0);

/**
 * The loss of the worse direction, 0 to 1. Voices that were lost on the way out are missing on the way back too: what
 * is missing beyond them was lost on the way back.
 */
export function worseLoss(seen: Pick<Seen, "sent" | "lostUp" | "received" | "lost">): number {
  const up = share(seen.lostUp, seen.sent);
  const both = share(seen.lost, seen.lost + seen.received);
  const down = up < 1 ? share(both - up, 1 - up) : 1;
  return Math.max(up, down);
}

export function roundOf(seen: Seen, seconds: number, camera: boolean): Round {
  const came = seen.received >= FEWEST_PACKETS;
  const kbps = (bytes: number): number => Math.round((bytes * 8) / 1000 / seconds);
  return {
    loss_permille: came ? Math.round(worseLoss(seen) * 1000) : null,
    packets: seen.received,
    frames: seen.frames,
    up_kbps: kbps(seen.bytesUp),
    down_kbps: kbps(seen.bytesDown),
    sound: came && seen.level >= AUDIBLE,
    picture: seen.frames >= FEWEST_FRAMES,
    camera,
  };
}

/** How to send over a line of these rates: as in the meeting, and never more than the line's own profile allows. */
export function loopProfile(line: Pick<LineTest, "up_kbps" | "down_kbps">, profile: number): Profile {
  const most = Math.min(WIDEST_KBPS, line.up_kbps, line.down_kbps, profile > 0 ? profile : Infinity);
  const fitting = PROFILES.filter(({ link }) => link > 0 && link <= most);
  return fitting.at(-1) ?? (PROFILES[0] as Profile);
}
