/** Check-in: the passkey signs this meeting's voting credential. */
import { api } from "../api/fetch.ts";
import { ensure } from "../ballot/errors.ts";
import { parseNote } from "../ballot/note.ts";
import { readRoll } from "../ballot/roll.ts";
import type { Keystore } from "../identity/keystore.ts";
import { readDecision } from "../identity/records.ts";
import { heldLedgerSize, prepareCheckin } from "../identity/statements.ts";
import { keystore } from "./keys.ts";
import { pins } from "./pins.ts";
import { session } from "./session.ts";
import { signChallenge } from "./sign.ts";

/**
 * Checks what the server says about roll and ledger, asks for the passkey and sends the statement.
 * @throws VotingError `voting.server-key-changed`: ask the person, then `acceptNewKey`; `voting.ledger`: stop
 */
export async function checkIn(meeting: string, acceptNewKey = false, where: { site: string; code: string } | null = null): Promise<void> {
  const store = await keystore();
  const begun = await api.checkInBegin(meeting, where);
  const origin = `${begun.roll.core.rp.id}/ledger`;
  const { size } = parseNote(begun.checkpoint).checkpoint;
  const held = await heldLedgerSize(store, origin, begun.checkpoint);
  const ledger = await api.ledger(held, size);
  // Computed here from the roll that the member is shown, never taken from the server.
  const rollHash = readRoll({ ...begun.roll.core }).id;
  const draft = await prepareCheckin(store, {
    meeting,
    rollHash,
    nonce: begun.nonce,
    site: begun.site,
    ledger: { origin, key: ledger.key, checkpoint: begun.checkpoint, proof: ledger.proof, acceptNewKey },
  });
  const signed = await signChallenge(begun.nonce, draft.challenge, begun.mine.passkeys.map((passkey) => passkey.id));
  await pin(store, meeting, rollHash, ledger.key);
  await api.checkInFinish(meeting, { credential: draft.credential, site: begun.site, checkpoint: draft.checkpoint, ...signed });
}

/** Whether this device has checked in to the meeting, and so holds a key that can vote there. */
export async function checkedInHere(meeting: string): Promise<boolean> {
  return (await readDecision(session.peek()?.member.id ?? "", pins.roll(meeting))) !== null;
}

/** Keeps what the booth will hold every manifest of this meeting against. @throws VotingError `voting.roll` when it changed */
async function pin(store: Keystore, meeting: string, rollHash: string, serverKey: string): Promise<void> {
  const first = { rollHash: await store.decide(pins.roll(meeting), rollHash), serverKey: await store.decide(pins.server(meeting), serverKey) };
  const same = first.rollHash === rollHash && first.serverKey === serverKey;
  ensure(same, "voting.roll", "The server shows another roll or another key than at your first check-in to this meeting.");
}
