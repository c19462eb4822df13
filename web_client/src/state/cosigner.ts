/** The cosigner's two acts: naming a key for this meeting, and signing a closed box. */
import { ApiError, api } from "../api/fetch.ts";
import type { Meeting } from "../api/types.ts";
import { utf8 } from "../ballot/encoding.ts";
import type { Tie } from "../ballot/rules.ts";
import { WorkerVerifier } from "../ballot/workers.ts";
import { prepareCosigner } from "../identity/statements.ts";
import { Cosigner } from "../trustee/cosigner.ts";
import { openedElection, readBoard } from "./board.ts";
import { keystore } from "./keys.ts";
import { signChallenge } from "./sign.ts";

/** Makes this device's cosigner key; the passkey says whose it is. */
export async function makeCosignerKey(meeting: Meeting): Promise<void> {
  const { nonce } = await api.nonce("cosign");
  const name = meeting.me.cosigner;
  const draft = await prepareCosigner(await keystore(), { meeting: meeting.id, rollHash: meeting.roll.hash, name, nonce });
  await api.nameCosigner(meeting.id, { name, key: draft.key, ...(await signChallenge(nonce, draft.challenge)) });
}

async function cosignerFor(meeting: Meeting, election: string): Promise<Cosigner> {
  return new Cosigner({ keystore: await keystore(), name: meeting.me.cosigner, ...(await openedElection(meeting.id, election)) });
}

/**
 * Signs the closing checkpoint over the whole board as this page reads it.
 * @throws VotingError `voting.not-on-the-board` when this device's own ballot is missing: then nothing is signed.
 */
export async function cosignClosing(meeting: Meeting, election: string): Promise<number> {
  const cosigner = await cosignerFor(meeting, election);
  const { entries, closing } = await readBoard(meeting.id, election);
  const line = await cosigner.cosign({ entries, closing, time: Math.floor(Date.now() / 1000) });
  return (await api.cosign(meeting.id, election, line)).cosignatures;
}

/** True when the closing checkpoint carries this cosigner's line. */
export async function hasCosigned(meeting: Meeting, election: string): Promise<boolean> {
  const { closing } = await api.board(meeting.id, election, 0);
  return closing.includes(`\n— ${meeting.me.cosigner} `);
}

/** The chair recomputes the tally from the board and signs it: the result is declared. */
export async function declareResult(meeting: Meeting, election: string): Promise<void> {
  const cosigner = await cosignerFor(meeting, election);
  const [{ core, rejected }, { entries, closing }] = await Promise.all([api.tally(meeting.id, election), readBoard(meeting.id, election)]);
  if (core === null) throw new ApiError("tally.not-ready", "The result is not computed yet.", 0);
  const sig = await cosigner.signTally({ entries, closing, core: { ...core }, rejected: rejected.map(utf8), verifier: new WorkerVerifier() });
  await api.signTally(meeting.id, election, { signer: "chair", trustee: 0, sig });
}

async function tieRequest(meeting: Meeting, election: string) {
  const cosigner = await cosignerFor(meeting, election);
  const { entries, closing } = await readBoard(meeting.id, election);
  return { cosigner, request: { entries, closing, verifier: new WorkerVerifier() } };
}

/** The ties that wait for the chair, as this page finds them by opening the box itself. */
export async function tiesOf(meeting: Meeting, election: string): Promise<Map<number, Tie>> {
  const { cosigner, request } = await tieRequest(meeting, election);
  return cosigner.ties(request);
}

/** The chair decides one tie; recomputed here from the board before it is signed. */
export async function decideTie(meeting: Meeting, election: string, question: number, options: number[]): Promise<void> {
  const { cosigner, request } = await tieRequest(meeting, election);
  await api.castingVote(meeting.id, election, await cosigner.castingVote({ ...request, question, options }));
}
