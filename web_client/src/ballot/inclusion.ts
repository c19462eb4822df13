/** Section 6: the proof that a ballot is on the board. */
import { fromB64u } from "./encoding.ts";
import { ensure } from "./errors.ts";
import type { OpenManifest } from "./manifest.ts";
import { verifyInclusion } from "./merkle.ts";
import { openCheckpoint } from "./note.ts";

export interface InclusionJson {
  index: number;
  size: number;
  /** b64u hashes, nearest sibling first. */
  proof: readonly string[];
  /** Text of a checkpoint of this size. */
  checkpoint: string;
}

/**
 * Throws unless the proof places this leaf on the board of a signed checkpoint; also for another device's tracker.
 * @throws VotingError `voting.not-on-the-board`, `voting.note`
 */
export function requireIncluded(manifest: OpenManifest, leaf: string, { index, size, proof, checkpoint }: InclusionJson): void {
  const note = openCheckpoint(checkpoint, manifest.board.origin, fromB64u(manifest.board.key, 32));
  const path = proof.map((hash) => fromB64u(hash, 32));
  const found = note.checkpoint.size === size && verifyInclusion(fromB64u(leaf, 32), index, size, path, note.checkpoint.root);
  ensure(found, "voting.not-on-the-board", "The server does not prove that your ballot is on the board. Tell the tellers.");
}
