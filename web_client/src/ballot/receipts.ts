/** Sections 6 and 7: what a voter's page keeps of a ballot: leaf, tracker, audit code, promise. */
import { type Bytes, H, type Json, type JsonObject, b64u, crockford, fromB64u, jcs, u64 } from "./encoding.ts";
import { ensure } from "./errors.ts";
import type { OpenManifest } from "./manifest.ts";
import { leafHash } from "./merkle.ts";
import { verifySignature } from "./signing.ts";
import { Fields } from "./strict.ts";

/** The leaf hash of the board entry that holds this ballot. */
export const ballotLeaf = (ballot: JsonObject): Bytes => leafHash(jcs({ type: "ballot", ballot }));

/** 20 Crockford characters in groups of five: what the voter notes down. */
export const tracker = (leaf: Bytes): string => crockford(leaf, 20, 5);

/** The code of a sealed ballot, written like a tracker. */
export const auditCode = tracker;

export const announceMessage = (manifestHash: Bytes, sealed: Bytes): Bytes => H("fm1/announce", manifestHash, sealed);
export const voidMessage = (manifestHash: Bytes, sealed: Bytes): Bytes => H("fm1/void", manifestHash, sealed);

/**
 * An acceptance promise for this leaf.
 * @throws VotingError `voting.promise` when it names something else or the board did not sign it.
 */
export function readPromise(manifest: OpenManifest, leaf: Bytes, value: Json): { publishBy: number } {
  const f = new Fields(value, "The promise", ["manifest", "leaf", "publish_by", "sig"]);
  const publishBy = f.int("publish_by", 0, Number.MAX_SAFE_INTEGER);
  const named = f.raw("manifest") === manifest.id && f.raw("leaf") === b64u(leaf);
  const message = H("fm1/promise", manifest.hash, leaf, u64(publishBy));
  const signed = named && verifySignature(fromB64u(manifest.board.key), message, f.bytes("sig", 64));
  ensure(signed, "voting.promise", "The server's promise is not for this ballot.");
  return { publishBy };
}
