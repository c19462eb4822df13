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
 * Throws unless the proof places this leaf on the board of a checkpoint that the server signed; also for another device's
 * tracker. Returns how many of the manifest's cosigners have signed this board: they sign none but the closed one.
 * @throws VotingError `voting.not-on-the-board`, `voting.note`
 */
export function requireIncluded(manifest: OpenManifest, leaf: string, { index, size, proof, checkpoint }: InclusionJson): number {
  const note = openCheckpoint(checkpoint, manifest.board.origin, fromB64u(manifest.board.key, 32));
  const path = proof.map((hash) => fromB64u(hash, 32));
  const found = note.checkpoint.size === size && verifyInclusion(fromB64u(leaf, 32), index, size, path, note.checkpoint.root);
  ensure(found, "voting.not-on-the-board", "The server does not prove that your ballot is on the board. Tell the tellers.");
  return countCosignatures(note, manifest.cosigners.map(({ name, key }) => ({ name, key: fromB64u(key) })));
}

/** Whether the proof shows a board that the server alone answers for, or the box that opens. @throws VotingError like `requireIncluded` */
export const provedBy = (manifest: OpenManifest, leaf: string, inclusion: InclusionJson): "board" | "box" =>
  requireIncluded(manifest, leaf, inclusion) >= manifest.cosignQuorum ? "box" : "board";

/**
 * Throws unless the proof places this leaf in the box that opens: the board of a checkpoint with the manifest's quorum of
 * cosignatures. A server that shows voters another board than it shows tellers cannot get them for both.
 * @throws VotingError `voting.not-on-the-board`, `voting.note`, `voting.cosignatures`
 */
export function requireInBox(manifest: OpenManifest, leaf: string, inclusion: InclusionJson): void {
  ensure(provedBy(manifest, leaf, inclusion) === "box", "voting.cosignatures", "Too few people have signed the closed box that your ballot is shown in.");
}
