/** What a page prepares before it asks for the passkey: check-in and cosigner's key, bound to what the page itself knows. */
import { checkin, cosigner, enrolment, signIn, action, registrar } from "../ballot/challenges.ts";
import { type Bytes, b64u, fromB64u } from "../ballot/encoding.ts";
import { requireConsistency } from "../ballot/merkle.ts";
import { openCheckpoint, parseNote } from "../ballot/note.ts";
import type { Assertion } from "./passkey.ts";
import type { Keystore } from "./keystore.ts";

export { action, enrolment, registrar, signIn };

/** A passkey's statement as it travels beside a message. */
export type PasskeyStatement = { nonce: string; passkey: string; assertion: Assertion };

export interface LedgerView {
  origin: string;
  /** Ed25519 key, b64u. */
  key: string;
  /** Text of the server's newest checkpoint. */
  checkpoint: string;
  /** Consistency proof (b64u hashes) from the checkpoint this page holds, when it holds one of another size. */
  proof?: readonly string[];
}

/**
 * Accepts the server's ledger checkpoint when it is signed and extends what this page saw before, and remembers it.
 * @throws VotingError `voting.note` or `voting.ledger`
 */
export async function acceptLedger(keystore: Keystore, ledger: LedgerView): Promise<string> {
  const newer = openCheckpoint(ledger.checkpoint, ledger.origin, fromB64u(ledger.key, 32));
  const held = await keystore.ledgerCheckpoint(ledger.origin, ledger.key);
  if (held !== null) {
    const proof = (ledger.proof ?? []).map((hash) => fromB64u(hash, 32));
    requireConsistency(parseNote(held).checkpoint, newer.checkpoint, proof);
  }
  await keystore.saveLedgerCheckpoint(ledger.origin, ledger.key, ledger.checkpoint);
  return ledger.checkpoint;
}

/** The sizes between which the server must prove consistency: what this page holds and what it was given. */
export async function ledgerSizes(keystore: Keystore, ledger: LedgerView): Promise<{ from: number; to: number }> {
  const held = await keystore.ledgerCheckpoint(ledger.origin, ledger.key);
  return { from: held === null ? 0 : parseNote(held).checkpoint.size, to: parseNote(ledger.checkpoint).checkpoint.size };
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
