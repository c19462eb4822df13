/** A promise that a voter shows, held against the board as this page reads and rebuilds it. */
import { Board } from "../ballot/board.ts";
import type { Json } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import { type PromiseFinding, judgePromise } from "../ballot/evidence.ts";
import { openManifest } from "../ballot/manifest.ts";
import { openedElection, readBoard } from "./board.ts";

/** @throws VotingError when the text is no promise of this vote's server, or the board is not in order */
export async function judgeShown(meeting: string, election: string, text: string): Promise<PromiseFinding> {
  const { manifest, electorate } = await openedElection(meeting, election);
  const board = new Board(openManifest(manifest), electorate);
  const { entries } = await readBoard(meeting, election);
  for (const bytes of entries) board.add(bytes);
  return judgePromise(board, readShown(text));
}

/** The text passes through messengers and paper: only what it says is checked, not how it is laid out. */
function readShown(text: string): Json {
  try {
    const shown = JSON.parse(text) as Json;
    if (typeof shown === "object" && shown !== null) return shown;
  } catch {
    // Said below: it is no promise either.
  }
  throw new VotingError("voting.promise", "This is not the text that the voter's page shows.");
}
