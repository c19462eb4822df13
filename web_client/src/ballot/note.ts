/** Section 6: C2SP checkpoints in signed notes, server signatures and timestamped cosignatures. */
import { sha256 } from "@noble/hashes/sha2.js";
import { type Bytes, b64, concat, fromB64, isWellFormed, same, u64, utf8 } from "./encoding.ts";
import { VotingError, ensure } from "./errors.ts";
import { type SigningKey, verifySignature } from "./signing.ts";

const SERVER = 0x01;
const COSIGNER = 0x04;
const MAX_NOTE_BYTES = 16 * 1024;
const MAX_SIGNATURES = 32;
const NAME = /^[^\s+\p{Cc}]+$/u;
const LINE = /^— (\S+) (\S+)$/u;
const SIZE = /^(?:0|[1-9][0-9]{0,15})$/;

export interface Checkpoint {
  origin: string;
  size: number;
  root: Bytes;
}

export interface NoteLine {
  name: string;
  keyId: Bytes;
  payload: Bytes;
}

/** A parsed note; nothing in it is verified yet. */
export interface Note {
  /** The signed text: three lines, each ended by a line feed. */
  body: string;
  checkpoint: Checkpoint;
  lines: NoteLine[];
}

export const checkpointBody = (c: Checkpoint): string => `${c.origin}\n${c.size}\n${b64(c.root)}\n`;

/** SHA-256 of the body. */
export const checkpointHash = (body: string): Bytes => sha256(utf8(body));

function parseLine(line: string): NoteLine {
  const [, name, packed] = LINE.exec(line) ?? [];
  ensure(name !== undefined && packed !== undefined && NAME.test(name), "voting.note", "A signature line of the note is malformed.");
  const bytes = fromB64(packed);
  ensure(bytes.length > 4, "voting.note", "A signature of the note is too short.");
  return { name, keyId: bytes.slice(0, 4), payload: bytes.slice(4) };
}

/**
 * Parses a signed note strictly.
 * @throws VotingError `voting.note` for any other form, `voting.encoding` for base64 that is not canonical.
 */
export function parseNote(text: string): Note {
  ensure(isWellFormed(text) && utf8(text).length <= MAX_NOTE_BYTES, "voting.note", "The note is too long.");
  const [origin, size, root, blank, ...rest] = text.split("\n");
  ensure(
    origin !== undefined && NAME.test(origin) && size !== undefined && SIZE.test(size) && root !== undefined && blank === "" && rest.pop() === "",
    "voting.note",
    "The checkpoint is malformed.",
  );
  ensure(rest.length >= 1 && rest.length <= MAX_SIGNATURES, "voting.note", "The note has no or too many signatures.");
  const checkpoint = { origin, size: Number(size), root: fromB64(root) };
  ensure(checkpoint.root.length === 32 && Number.isSafeInteger(checkpoint.size), "voting.note", "The checkpoint is malformed.");
  return { body: checkpointBody(checkpoint), checkpoint, lines: rest.map(parseLine) };
}

const keyId = (name: string, type: number, key: Bytes): Bytes =>
  sha256(concat(utf8(name), new Uint8Array([0x0a, type]), key)).slice(0, 4);

const signatureLine = (name: string, id: Bytes, payload: Bytes): string => `— ${name} ${b64(concat(id, payload))}\n`;

const linesOf = (note: Note, name: string, id: Bytes): NoteLine[] =>
  note.lines.filter((line) => line.name === name && same(line.keyId, id));

/** Signs a checkpoint as the log does; returns the whole note. */
export async function signCheckpoint(checkpoint: Checkpoint, key: SigningKey): Promise<string> {
  const body = checkpointBody(checkpoint);
  const id = keyId(checkpoint.origin, SERVER, key.publicKey);
  return `${body}\n${signatureLine(checkpoint.origin, id, await key.sign(utf8(body)))}`;
}

/**
 * The note with this log's valid signature.
 * @throws VotingError `voting.note` when the origin differs, or the signature is missing or false.
 */
export function openCheckpoint(text: string, origin: string, key: Bytes): Note {
  const note = parseNote(text);
  ensure(note.checkpoint.origin === origin, "voting.note", "The checkpoint belongs to another log.");
  const lines = linesOf(note, origin, keyId(origin, SERVER, key));
  ensure(lines.length > 0, "voting.note", "The checkpoint is not signed by the log.");
  for (const line of lines) {
    ensure(verifySignature(key, utf8(note.body), line.payload), "voting.note", "The log's signature of the checkpoint does not verify.");
  }
  return note;
}

const cosignatureMessage = (body: string, time: number): Bytes => utf8(`cosignature/v1\ntime ${time}\n${body}`);

/** A cosignature/v1 line for a checkpoint's body at `time` (seconds). */
export async function cosign(body: string, name: string, key: SigningKey, time: number): Promise<string> {
  const sig = await key.sign(cosignatureMessage(body, time));
  return signatureLine(name, keyId(name, COSIGNER, key.publicKey), concat(u64(time), sig));
}

/**
 * True when the note holds this cosigner's signature.
 * @throws VotingError `voting.note` when a line matches the key and does not verify.
 */
export function hasCosignature(note: Note, name: string, key: Bytes): boolean {
  const lines = linesOf(note, name, keyId(name, COSIGNER, key));
  for (const { payload } of lines) {
    ensure(payload.length === 72, "voting.note", `The cosignature of ${name} is malformed.`);
    const time = new DataView(payload.buffer, payload.byteOffset).getBigUint64(0);
    if (time > BigInt(Number.MAX_SAFE_INTEGER) || !verifySignature(key, cosignatureMessage(note.body, Number(time)), payload.slice(8))) {
      throw new VotingError("voting.note", `The cosignature of ${name} does not verify.`);
    }
  }
  return lines.length > 0;
}

export interface CosignerKey {
  name: string;
  key: Bytes;
}

/** How many of the named cosigners signed this note; each counts once. */
export const countCosignatures = (note: Note, cosigners: readonly CosignerKey[]): number =>
  cosigners.filter(({ name, key }) => hasCosignature(note, name, key)).length;
