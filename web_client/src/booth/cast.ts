/** The booth's dealings with the server: one ballot, sent as often as needed, always the same bytes. */
import { ApiError } from "../api/call.ts";
import { isQueued } from "../api/cut.ts";
import { votes as api } from "../api/votes.ts";
import type { Inclusion, VotePlace } from "../api/types.ts";
import { BoothVote, type BoothWorker } from "../ballot/booth.ts";
import type { Json, JsonObject } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import { BEYOND, type Standing, publishBy, standing } from "../ballot/standing.ts";
import type { CastAnswer, Sealed } from "../ballot/voter.ts";
import type { CastRecord } from "../identity/keystore.ts";
import { readDecision } from "../identity/records.ts";
import { pins } from "../state/pins.ts";

/** Answers that say nothing about the ballot itself: sign in again, wait, or try again. */
const NOT_ABOUT_THE_BALLOT = new Set([401, 403, 408, 413, 421, 425, 429]);

export interface Opened {
  vote: BoothVote;
  /** The key that this device's must take the place of first, or "". */
  replaces: string;
}

export interface Place {
  meeting: string;
  election: string;
  /** A fresh key that is forgotten afterwards; its vote is marked in the record. */
  kiosk: boolean;
  /** The hall at whose page the kiosk stands, or "". */
  site: string;
}

const placeOf = (me: VotePlace) => ({ weight: me.weight, seq: me.seq + 1, prev: me.prev });

/** Opens the vote on this device, against what the device saw at check-in. @throws VotingError, ApiError */
export async function openVote(worker: BoothWorker, { meeting, election, kiosk }: Place): Promise<Opened> {
  const asked = kiosk ? null : api.session(); // a kiosk in a hall has its custodian's session
  const { manifest, electorate, me } = await api.manifest(meeting, election);
  if (asked === null) {
    // A kiosk has seen no check-in; what it holds the vote against is what it saw of this meeting first.
    const { roll, board } = manifest as { roll: string; board: { key: string } };
    const vote = await worker.open({ member: "", manifest: manifest as Json, place: placeOf(me), expect: { meeting, rollHash: roll, serverKey: board.key } });
    return { vote, replaces: requireLineage(me) };
  }
  const { member } = await asked;
  const [rollHash, serverKey] = await Promise.all([readDecision(member.id, pins.roll(meeting)), readDecision(member.id, pins.server(meeting))]);
  if (rollHash === null || serverKey === null) {
    throw new VotingError("voting.not-in-the-electorate", "This device has not checked in to the meeting.");
  }
  const request = { member: member.id, manifest: manifest as Json, electorate, expect: { meeting, rollHash, serverKey } };
  try {
    return { vote: await worker.open(request), replaces: "" };
  } catch (error) {
    if (!(error instanceof VotingError) || error.code !== "voting.not-in-the-electorate" || me.lineage === "") throw error;
  }
  // Another device of this member checked in before the vote opened: this one can take its place.
  const vote = await worker.open({ ...request, place: placeOf(me) });
  return { vote, replaces: vote.credential === me.credential ? "" : me.credential };
}

function requireLineage(me: VotePlace): string {
  if (me.lineage === "") throw new VotingError("voting.not-in-the-electorate", "You were not checked in when this vote opened.");
  return me.credential;
}

/** The member's passkey signs that this device's key takes the place of the one before. @throws PasskeyError, ApiError */
export async function replaceKey({ vote, replaces }: Opened, { meeting, election, kiosk }: Place): Promise<void> {
  const { signChallenge } = await import("../state/sign.ts");
  const { nonce } = await api.nonce("replace");
  const { challenge, new: own } = await vote.replacement(replaces, nonce, kiosk);
  const signed = await signChallenge(nonce, challenge);
  await api.replaceCredential(meeting, election, { old: replaces, new: own, kiosk, ...signed });
  const { me } = await api.manifest(meeting, election);
  await vote.take(placeOf(me));
}

/** Fixes the sealed ballot at the server, by its hash alone, before the voter says cast or audit. */
export async function announce(vote: BoothVote, { meeting, election }: Place, sealed: Sealed): Promise<void> {
  await api.announceSealed(meeting, election, await vote.announcement(sealed));
}

/** Sends one ballot; throws when it is not known whether it arrived. */
export async function send({ meeting, election }: Place, ballot: JsonObject): Promise<CastAnswer> {
  try {
    const answer = await api.cast(meeting, election, ballot);
    return isQueued(answer) ? { queued: { ...answer.queued } } : { promise: answer.promise as JsonObject };
  } catch (error) {
    if (!(error instanceof ApiError) || error.unknown || NOT_ABOUT_THE_BALLOT.has(error.status)) throw error;
    return { refused: error.message };
  }
}

/**
 * Where the cast ballot stands now, by the server's proof, which is checked here.
 * @throws VotingError when what the server shows does not hold, ApiError when it cannot be asked
 */
export async function whereIs(vote: BoothVote): Promise<Standing> {
  const { record } = vote;
  if (record === null) return "pending";
  const { meeting, election } = record;
  const shownBefore = record.state === "included" || record.state === "confirmed";
  const shown = await inclusionOf(record);
  const proved = shown === null ? "nothing" : (await vote.checkInclusion(shown)).state === "confirmed" ? "box" : "board";
  if (proved === "box") return "confirmed";
  const { closing, final } = await api.board(meeting, election, BEYOND);
  return standing({ proved, closed: closing !== "", finished: final !== "", publishBy: publishBy(record.promise), shownBefore, now: Date.now() / 1000 });
}

/** The server's proof, or null while it shows none. @throws ApiError */
async function inclusionOf({ meeting, election, leaf }: CastRecord): Promise<Inclusion | null> {
  try {
    return await api.inclusion(meeting, election, leaf);
  } catch (error) {
    if (error instanceof ApiError && error.code === "board.not-published") return null;
    throw error;
  }
}
