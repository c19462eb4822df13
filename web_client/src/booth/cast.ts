/** The booth's dealings with the server: one ballot, sent as often as needed, always the same bytes. */
import { ApiError, api } from "../api/fetch.ts";
import { jcs, type JsonObject } from "../ballot/encoding.ts";
import { Vote, type CastAnswer } from "../ballot/voter.ts";
import { VotingError } from "../ballot/errors.ts";
import { WorkerSealer } from "../ballot/workers.ts";
import { openKeystore } from "../identity/keystore.ts";
import { pins } from "../state/pins.ts";

/** Answers that say nothing about the ballot itself: sign in again, wait, or try again. */
const NOT_ABOUT_THE_BALLOT = new Set([401, 403, 408, 413, 421, 425, 429]);

/** Opens the vote on this device. @throws VotingError, ApiError */
export async function openVote(meeting: string, election: string): Promise<Vote> {
  const keystore = await openKeystore();
  const { manifest, electorate } = await api.manifest(meeting, election);
  const [rollHash, serverKey] = await Promise.all([
    keystore.decision<string>(pins.roll(meeting)),
    keystore.decision<string>(pins.server(meeting)),
  ]);
  if (rollHash === null || serverKey === null) {
    throw new VotingError("voting.not-in-the-electorate", "This device has not checked in to the meeting.");
  }
  const bytes = jcs(manifest);
  const sealer = new WorkerSealer();
  const vote = await Vote.open({ manifest: bytes, keystore, sealer, expect: { meeting, rollHash, serverKey }, electorate });
  // Tables are computed while the person reads the question.
  void sealer.warm(bytes).catch(() => undefined);
  return vote;
}

/** Sends one ballot; throws when it is not known whether it arrived. */
export async function send(meeting: string, election: string, ballot: JsonObject): Promise<CastAnswer> {
  try {
    const { promise } = await api.cast(meeting, election, ballot);
    return { promise: promise as JsonObject };
  } catch (error) {
    if (!(error instanceof ApiError) || error.unknown || NOT_ABOUT_THE_BALLOT.has(error.status)) throw error;
    return { refused: error.message };
  }
}

/** True when the cast ballot is proved to be on the board; false while its batch is not published. */
export async function isInTheBox(vote: Vote): Promise<boolean> {
  const { record } = vote;
  if (record === null) return false;
  try {
    await vote.checkInclusion(await api.inclusion(record.meeting, record.election, record.leaf));
    return true;
  } catch (error) {
    if (error instanceof ApiError) return false; // not published yet, or no connection: asked again
    throw error;
  }
}
