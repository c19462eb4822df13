/** Reads an election's manifest and board, and this device's ballots on it. */
import { ApiError, api } from "../api/fetch.ts";
import type { Inclusion } from "../api/types.ts";
import { type Bytes, jcs, utf8 } from "../ballot/encoding.ts";
import type { Elector } from "../ballot/electorate.ts";
import { ensure } from "../ballot/errors.ts";
import { type OpenManifest, openManifest } from "../ballot/manifest.ts";
import { pinManifest } from "../ballot/pinned.ts";
import { provedBy, requireInBox } from "../ballot/inclusion.ts";
import { BEYOND, type Standing, publishBy, standing } from "../ballot/standing.ts";
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

/** `sending`: not known whether the ballot arrived, and without a promise; `queued`: kept in a hall that had no answer from the main room. */
export type Whereabouts = "sending" | "queued" | Standing;

/** What this device has found out so far. */
export function whereabouts({ state, queued }: CastRecord): Whereabouts {
  if (state === "sending" && queued) return "queued";
  if (state === "promised") return "pending";
  return state === "included" ? "on-the-board" : state;
}

/** The server's proof, or null while it shows none. @throws ApiError */
async function proofOf({ meeting, election, leaf }: CastRecord): Promise<Inclusion | null> {
  try {
    return await api.inclusion(meeting, election, leaf);
  } catch (error) {
    if (error instanceof ApiError && error.code === "board.not-published") return null;
    throw error;
  }
}

export interface Checked {
  record: CastRecord;
  where: Whereabouts;
}

async function manifestOf(record: CastRecord): Promise<OpenManifest> {
  const manifest = openManifest((await openedElection(record.meeting, record.election)).manifest);
  if (manifest.id !== record.manifest) throw new ApiError("receipt.other-manifest", "The server shows another vote than the one you voted in.", 0);
  return manifest;
}

/**
 * Asks the server where this ballot is, and checks its proof here.
 * @throws VotingError when what the server shows does not hold, ApiError
 */
export async function checkBallot(record: CastRecord): Promise<Checked> {
  const { meeting, election } = record;
  const manifest = await manifestOf(record);
  const shown = await proofOf(record);
  const proved = shown === null ? "nothing" : provedBy(manifest, record.leaf, shown);
  const { closing, final } = await api.board(meeting, election, BEYOND);
  const where = standing({
    proved, closed: closing !== "", finished: final !== "", publishBy: publishBy(record.promise),
    shownBefore: record.state === "included" || record.state === "confirmed", now: Date.now() / 1000,
  });
  if (where === "pending" || where === "missing") return { record, where: where === "pending" ? whereabouts(record) : where };
  const found: CastRecord = { ...record, state: where === "confirmed" || record.state === "confirmed" ? "confirmed" : "included" };
  await (await keystore()).updateCast(found);
  return { record: found, where: whereabouts(found) };
}

/**
 * Checks that this ballot is in the box whose result is known: the one that the cosigners signed, not one shown to voters alone.
 * @throws VotingError `voting.not-on-the-board`, `voting.cosignatures`, `voting.manifest`, ApiError
 */
export async function requireCounted(record: CastRecord): Promise<void> {
  const manifest = await manifestOf(record);
  const shown = await proofOf(record);
  ensure(shown !== null, "voting.not-on-the-board", "The votes are counted, and yours is not among them. Tell the tellers.");
  requireInBox(manifest, record.leaf, shown);
  await (await keystore()).updateCast({ ...record, state: "confirmed" });
}
