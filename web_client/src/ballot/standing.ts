/** Where a cast ballot stands, by what the server shows of it; the proofs themselves are checked in inclusion.ts. */
import { ensure } from "./errors.ts";

/**
 * `pending`: promised, not shown yet; `on-the-board`: proved on a board that the server alone answers for; `confirmed`:
 * proved in the closed box that enough cosigners have signed; `missing`: the promise is broken.
 */
export type Standing = "pending" | "on-the-board" | "confirmed" | "missing";

export interface Shown {
  /** What the proof, checked before, shows: nothing, a board of the server's, the box of the cosigners. */
  proved: "nothing" | "board" | "box";
  /** What the server says of the vote: its board is closed; its result is known. */
  closed: boolean;
  finished: boolean;
  /** When the ballot must be on the board at the latest, by the server's own word; null without a promise. */
  publishBy: number | null;
  /** The server has shown it on its board before. */
  shownBefore: boolean;
  /** Seconds since 1970 on this device. */
  now: number;
}

/** How far this device's clock may be ahead before a promise is said to be overdue. */
const CLOCK_SLACK_S = 600;
/** An index beyond every board: asks for its state without its entries. */
export const BEYOND = 2 ** 31 - 1;

/**
 * @throws VotingError `voting.cosignatures` when a result is there and the box shown for it is not signed by enough,
 * `voting.not-on-the-board` when the ballot was shown before and is no longer
 */
export function standing({ proved, closed, finished, publishBy, shownBefore, now }: Shown): Standing {
  if (proved === "box") return "confirmed";
  if (proved === "nothing") {
    if (publishBy !== null && (closed || now > publishBy + CLOCK_SLACK_S)) return "missing";
    ensure(!shownBefore, "voting.not-on-the-board", "The server has shown your ballot on its board and no longer does. Tell the tellers.");
    return "pending";
  }
  ensure(!finished, "voting.cosignatures", "The votes are said to be counted, and the closed box shown here is not signed by enough officers.");
  return "on-the-board";
}

/** The time in a promise that was checked when it came. */
export function publishBy(promise: Record<string, unknown> | null): number | null {
  const named = promise?.["publish_by"];
  return typeof named === "number" ? named : null;
}
