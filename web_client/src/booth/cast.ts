/** The booth's dealings with the server: one ballot, sent as often as needed, always the same bytes. */
import { ApiError, api } from "../api/fetch.ts";
import { type BoothVote, BoothWorker } from "../ballot/booth.ts";
import type { Json, JsonObject } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import type { CastAnswer } from "../ballot/voter.ts";
import { readDecision } from "../identity/records.ts";
import { pins } from "../state/pins.ts";

/** Answers that say nothing about the ballot itself: sign in again, wait, or try again. */
const NOT_ABOUT_THE_BALLOT = new Set([401, 403, 408, 413, 421, 425, 429]);

/** Opens the vote on this device, against what the device saw at check-in. @throws VotingError, ApiError */
export async function openVote(worker: BoothWorker, meeting: string, election: string): Promise<BoothVote> {
  const [{ manifest, electorate }, { member: { id: member } }] = await Promise.all([api.manifest(meeting, election), api.session()]);
  const [rollHash, serverKey] = await Promise.all([readDecision(member, pins.roll(meeting)), readDecision(member, pins.server(meeting))]);
  if (rollHash === null || serverKey === null) {
    throw new VotingError("voting.not-in-the-electorate", "This device has not checked in to the meeting.");
  }
  return worker.open({ member, manifest: manifest as Json, electorate, expect: { meeting, rollHash, serverKey } });
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
export async function isInTheBox(vote: BoothVote): Promise<boolean> {
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
