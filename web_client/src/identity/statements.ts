/** What a page prepares before it asks for the passkey: check-in and cosigner's key, bound to what the page itself knows. */
import { checkin, cosigner, enrolment, signIn, action, registrar } from "../ballot/challenges.ts";
import { type Bytes, b64u, fromB64u } from "../ballot/encoding.ts";
import { ensure } from "../ballot/errors.ts";
import { requireConsistency } from "../ballot/merkle.ts";
import { openCheckpoint, parseNote } from "../ballot/note.ts";
import type { Assertion } from "./passkey.ts";
import type { Keystore } from "./keystore.ts";

export { action, enrolment, registrar, signIn };

/** A passkey's statement as it travels beside a message. */
export type PasskeyStatement = { nonce: string; passkey: string; assertion: Assertion };

export interface LedgerView {
  origin: string;
  /** The server's Ed25519 key, b64u. */
  key: string;
  /** Text of the server's newest checkpoint. */
  checkpoint: string;
  /** Consistency proof (b64u hashes) from the checkpoint this page holds, when it holds one of another size. */
  proof?: readonly string[];
  /** The person has agreed to a server that changed its key, because it was set up anew. */
  acceptNewKey?: boolean;
}

/**
 * Accepts the server's ledger checkpoint when it is signed and extends what this page saw before, and remembers it.
 * @throws VotingError `voting.note`, `voting.ledger`, `voting.server-key-changed` (ask the person, then `acceptNewKey`)
 */
export async function acceptLedger(keystore: Keystore, ledger: LedgerView): Promise<string> {
  const newer = openCheckpoint(ledger.checkpoint, ledger.origin, fromB64u(ledger.key, 32));
  const held = await keystore.ledgerCheckpoint(ledger.origin);
  if (held !== null && held.key === ledger.key) {
    const proof = (ledger.proof ?? []).map((hash) => fromB64u(hash, 32));
    requireConsistency(parseNote(held.text).checkpoint, newer.checkpoint, proof);
  } else if (held !== null) {
    ensure(ledger.acceptNewKey === true, "voting.server-key-changed", "This server has another key than the last time you were here.");
  }
  await keystore.saveLedgerCheckpoint(ledger.origin, { key: ledger.key, text: ledger.checkpoint });
  return ledger.checkpoint;
}

/**
 * Size of the ledger this page holds: ask the server for the consistency proof from here. With the server's
 * newest checkpoint given, 0 when that is shorter (a server set up anew has nothing to prove).
 */
export async function heldLedgerSize(keystore: Keystore, origin: string, newest?: string): Promise<number> {
  const held = await keystore.ledgerCheckpoint(origin);
  const size = held === null ? 0 : parseNote(held.text).checkpoint.size;
  return newest !== undefined && size > parseNote(newest).checkpoint.size ? 0 : size;
}

export interface CheckinRequest {
  meeting: string;
  /** b64u, 32 bytes each. */
  rollHash: string;
  nonce: string;
  site: string;
  ledger: LedgerView;
}

export interface CheckinDraft {
  challenge: Bytes;
  /** Public key of this device's credential, b64u. */
  credential: string;
  checkpoint: string;
}

/** Makes (or finds) this meeting's voting credential and the challenge that the passkey signs. */
export async function prepareCheckin(keystore: Keystore, request: CheckinRequest): Promise<CheckinDraft> {
  const checkpoint = await acceptLedger(keystore, request.ledger);
  const { publicKey } = await keystore.credential(request.meeting);
  const challenge = checkin({
    meeting: request.meeting,
    rollHash: fromB64u(request.rollHash, 32),
    site: request.site,
    credential: publicKey,
    checkpoint,
    nonce: fromB64u(request.nonce, 32),
  });
  return { challenge, credential: b64u(publicKey), checkpoint };
}

export interface CosignerRequest {
  meeting: string;
  rollHash: string;
  name: string;
  nonce: string;
}

/** Makes (or finds) this meeting's cosigner key and the challenge that the passkey signs. */
export async function prepareCosigner(keystore: Keystore, request: CosignerRequest): Promise<{ challenge: Bytes; key: string }> {
  const { publicKey } = await keystore.cosigner(request.meeting);
  const challenge = cosigner({
    meeting: request.meeting,
    rollHash: fromB64u(request.rollHash, 32),
    name: request.name,
    key: publicKey,
    nonce: fromB64u(request.nonce, 32),
  });
  return { challenge, key: b64u(publicKey) };
}
