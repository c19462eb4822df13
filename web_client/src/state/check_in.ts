/** Check-in: the passkey signs this meeting's voting credential. */
import { api } from "../api/fetch.ts";
import type { LedgerProof } from "../api/types.ts";
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

/** A check-in that the server has taken, as which event, and at which site. */
export interface Arrival {
  credential: string;
  seq: number;
  site: string;
}

/**
 * Checks what the server says about roll and ledger, asks for the passkey and sends the statement.
 * @throws VotingError `voting.server-key-changed`: ask the person, then `acceptNewKey`; `voting.ledger`: stop
 */
export async function checkIn(meeting: string, acceptNewKey = false, where: { site: string; code: string } | null = null, onSent = (): void => undefined): Promise<Arrival> {
  const [store, begun, known] = await Promise.all([keystore(), api.checkInBegin(meeting, where), ledgerKey()]);
  const origin = `${begun.roll.core.rp.id}/ledger`;
  const { size } = parseNote(begun.checkpoint).checkpoint;
  const held = await heldLedgerSize(store, origin, begun.checkpoint);
  // Between two checkpoints of one size, and to a page that holds none, there is nothing to prove.
  const ledger = known !== null && (held === 0 || held === size) ? known : await api.ledger(held, size);
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
  const done = api.checkInFinish(meeting, { credential: draft.credential, site: begun.site, checkpoint: draft.checkpoint, ...signed });
  onSent();
  return { ...(await done), site: begun.site };
}

/** Asks for the server's key beside the beginning of a check-in; null where no answer came. */
function ledgerKey(): Promise<LedgerProof | null> {
  return api.ledger(0, 0).catch(() => null);
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
