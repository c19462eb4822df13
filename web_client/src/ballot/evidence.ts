/** Section 7: a promise that was broken is evidence against the server; any page can check it against the board it has verified. */
import type { Board } from "./board.ts";
import { type Json, type JsonObject, fromB64u, same } from "./encoding.ts";
import { ensure } from "./errors.ts";
import { readPromise } from "./receipts.ts";

export type PromiseFinding = "kept" | "broken" | "pending";

/**
 * What a promise says about this board: `broken` when the board is closed and lacks its leaf.
 * @throws VotingError `voting.promise`, `voting.encoding` when the server did not sign this for this vote
 */
export function judgePromise(board: Board, promise: Json): PromiseFinding {
  const leaf = fromB64u(String((promise as JsonObject)["leaf"] ?? ""), 32);
  readPromise(board.manifest, leaf, promise);
  if (board.leaves.some((other) => same(other, leaf))) return "kept";
  return board.closing === null ? "pending" : "broken";
}

/** Throws unless every promise shown to this page was kept. @throws VotingError `voting.not-on-the-board`, `voting.promise` */
export function requireKept(board: Board, promises: readonly Json[]): void {
  const broken = promises.some((promise) => judgePromise(board, promise) === "broken");
  ensure(!broken, "voting.not-on-the-board", "A ballot was promised a place on the board and is not there. Do not sign; tell the chair.");
}
