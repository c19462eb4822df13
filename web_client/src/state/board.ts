/** Reads an election's manifest and board, and this device's ballots on it. */
import { ApiError, api } from "../api/fetch.ts";
import { type Bytes, jcs, utf8 } from "../ballot/encoding.ts";
import type { Elector } from "../ballot/electorate.ts";
import { ensure } from "../ballot/errors.ts";
import { openManifest } from "../ballot/manifest.ts";
import { pinManifest } from "../ballot/pinned.ts";
import { requireInBox, requireIncluded } from "../ballot/inclusion.ts";
import type { CastRecord } from "../identity/keystore.ts";
import { keystore } from "./keys.ts";

export interface Opened {
  /** The manifest as the bytes that everything is bound to. */
  manifest: Bytes;
  electorate: readonly Elector[];
}

export async function openedElection(meeting: string, election: string): Promise<Opened> {
  const { manifest, electorate } = await api.manifest(meeting, election);
  const bytes = jcs(manifest);
  await pinManifest(await keystore(), openManifest(bytes));
  return { manifest: bytes, electorate };
}

export interface WholeBoard {
  entries: Bytes[];
  closing: string;
  cosignatures: number;
  needed: number;
}

/** All entries from index `from`, in their canonical bytes. */
export async function readBoard(meeting: string, election: string, from = 0): Promise<WholeBoard> {
  const entries: Bytes[] = [];
  for (;;) {
    const page = await api.board(meeting, election, from + entries.length);
    entries.push(...page.entries.map(utf8));
    if (page.entries.length === 0 || from + entries.length >= page.size) {
      const { closing, cosignatures, needed } = page;
      return { entries, closing, cosignatures, needed };
    }
  }
}

/** What this device cast in an election, or null. */
export async function ownBallot(election: string): Promise<CastRecord | null> {
  const all = await (await keystore()).castBallots();
  return all.find((record) => record.election === election) ?? null;
}

export type Whereabouts = "sending" | "promised" | "in-the-box";

export const whereabouts = (record: CastRecord): Whereabouts => (record.state === "included" ? "in-the-box" : record.state);

/**
 * Asks the server to prove that this ballot is on the board, and checks the proof here.
 * @param counted the result is known: then the board must be the one that the cosigners signed, not one shown to voters alone.
 * @returns the record as it now is; still `promised` while its batch is not published.
 * @throws VotingError `voting.not-on-the-board`, `voting.cosignatures`, `voting.manifest`, ApiError
 */
export async function checkBallot(record: CastRecord, counted = false): Promise<CastRecord> {
  const manifest = openManifest((await openedElection(record.meeting, record.election)).manifest);
  if (manifest.id !== record.manifest) throw new ApiError("receipt.other-manifest", "The server shows another vote than the one you voted in.", 0);
  let proof: Awaited<ReturnType<typeof api.inclusion>>;
  try {
    proof = await api.inclusion(record.meeting, record.election, record.leaf);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "board.not-published") throw error;
    ensure(!counted, "voting.not-on-the-board", "The votes are counted, and yours is not among them. Tell the tellers.");
    return record;
  }
  (counted ? requireInBox : requireIncluded)(manifest, record.leaf, proof);
  const included: CastRecord = { ...record, state: "included" };
  await (await keystore()).updateCast(included);
  return included;
}
