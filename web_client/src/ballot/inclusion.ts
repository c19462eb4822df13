/** Section 6: the proof that a ballot is on the board. */
import { fromB64u } from "./encoding.ts";
import { ensure } from "./errors.ts";
import type { OpenManifest } from "./manifest.ts";
import { verifyInclusion } from "./merkle.ts";
import { countCosignatures, openCheckpoint } from "./note.ts";

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

/**
 * Throws unless the proof places this leaf in the box that opens: the board of a checkpoint with the manifest's quorum of
 * cosignatures. A server that shows voters another board than it shows tellers cannot get them for both.
 * @throws VotingError `voting.not-on-the-board`, `voting.note`, `voting.cosignatures`
 */
export function requireInBox(manifest: OpenManifest, leaf: string, inclusion: InclusionJson): void {
  requireIncluded(manifest, leaf, inclusion);
  const note = openCheckpoint(inclusion.checkpoint, manifest.board.origin, fromB64u(manifest.board.key, 32));
  const signed = countCosignatures(note, manifest.cosigners.map(({ name, key }) => ({ name, key: fromB64u(key, 32) })));
  ensure(signed >= manifest.cosignQuorum, "voting.cosignatures", "Too few people have signed the closed box that your ballot is shown in.");
}
