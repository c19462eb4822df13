/** Check-in at a hall's kiosk: the member's own passkey signs, nothing of the member stays on this device. */
import { api } from "../api/fetch.ts";
import { sites } from "../api/sites.ts";
import * as challenges from "../ballot/challenges.ts";
import { isQueued } from "../api/cut.ts";
import { fromB64u } from "../ballot/encoding.ts";
import { parseNote } from "../ballot/note.ts";
import { readRoll } from "../ballot/roll.ts";
import { memoryKeystore } from "../identity/keystore.ts";
import { heldLedgerSize, prepareCheckin } from "../identity/statements.ts";
import { signChallenge } from "./sign.ts";

const NONCE_BYTES = 32;

/**
 * The credential lives in memory until this returns; whoever votes at the kiosk names a fresh one.
 * `kept`: the hall is cut off, and the main room does not know it yet. @throws ApiError, VotingError
 */
export async function checkInAtKiosk(meeting: string, site: string): Promise<{ name: string; kept: boolean }> {
  const store = memoryKeystore();
  const begun = await sites.kioskBegin(meeting, site);
  const origin = `${begun.roll.core.rp.id}/ledger`;
  const { size } = parseNote(begun.checkpoint).checkpoint;
  const held = await heldLedgerSize(store, origin, begun.checkpoint);
  const ledger = await api.ledger(held, size);
  const draft = await prepareCheckin(store, {
    meeting,
    rollHash: readRoll({ ...begun.roll.core }).id,
    nonce: begun.nonce,
    site: begun.site,
    ledger: { origin, key: ledger.key, checkpoint: begun.checkpoint, proof: ledger.proof, acceptNewKey: false },
  });
  const signed = await signChallenge(begun.nonce, draft.challenge);
  const taken = await sites.kioskFinish(meeting, site, { credential: draft.credential, site: begun.site, checkpoint: draft.checkpoint, ...signed });
  return { name: taken.name, kept: isQueued(taken) };
}

/** Ends the interval of the member whose passkey signs. @throws ApiError */
export async function leaveAtKiosk(meeting: string, site: string): Promise<void> {
  const action = { type: "leave-site", meeting, site };
  const { nonce } = await api.nonce("action");
  const signed = await signChallenge(nonce, challenges.action(action, fromB64u(nonce, NONCE_BYTES)));
  await sites.kioskLeave(meeting, site, action, signed);
}
