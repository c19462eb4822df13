/** A promise that a voter shows, held against the board as this page reads and rebuilds it. */
import { Board } from "../ballot/board.ts";
import { type Json, parseCanonical, utf8 } from "../ballot/encoding.ts";
import { type PromiseFinding, judgePromise } from "../ballot/evidence.ts";
import { openManifest } from "../ballot/manifest.ts";
import { openedElection, readBoard } from "./board.ts";

/** @throws VotingError when the text is no promise of this vote's server, or the board is not in order */
export async function judgeShown(meeting: string, election: string, text: string): Promise<PromiseFinding> {
  const { manifest, electorate } = await openedElection(meeting, election);
  const board = new Board(openManifest(manifest), electorate);
  const { entries } = await readBoard(meeting, election);
  for (const bytes of entries) board.add(bytes);
  const promise: Json = parseCanonical(utf8(text.trim()));
  return judgePromise(board, promise);
}
