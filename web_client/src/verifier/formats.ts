/** The forms of every file of section 9, field by field. Meaning is left to the later checks. */
import {
  type Shaped, binary, boolean, constant, count, emptyOr, freeText, hash32, ident, integer, items, oneOf, record, signature, tagged, text,
} from "./shapes.ts";

export const MAX_NOTE = 16 * 1024;
const word = text();
const origin = text(400);
const trustee = integer(1, 9);
const cosePublicKey = binary(1, 2048);
const credentialId = binary(1, 1023);

const assertion = record({
  authenticator_data: binary(37, 1024),
  client_data_json: binary(1, 4096),
  signature: binary(1, 1024),
});
const log = record({ origin, key: hash32 });
const rp = record({ id: text(253), origins: items(text(300), 1, 8) });
const organisation = record({ id: ident, name: word });

const manifest = record({
  v: constant(1),
  protocol: word,
  organisation,
  meeting: ident,
  election: ident,
  title: word,
  questions: items(record({ type: word, text: text(2000, true), options: items(word) })),
  secrecy: word,
  voting_again: word,
  rules: record({
    quorum: record({ num: count, den: count, of: word }),
    majority: record({ kind: word, of: word }),
    tie: word,
  }),
  roll: hash32,
  roll_size: count,
  present: count,
  electorate: hash32,
  electorate_size: count,
  exceptions: count,
  trustees: record({
    threshold: count,
    count,
    transcript: hash32,
    key: hash32,
    verification_keys: items(hash32),
    sign_keys: items(hash32),
  }),
  cosigners: items(record({ name: word, key: hash32 })),
  cosign_quorum: count,
  board: log,
  ledger: log,
  rp,
  opened_at: count,
  grace_s: count,
  time_limit: count,
});

const ballot = record({
  v: constant(1),
  manifest: hash32,
  credential: hash32,
  weight: count,
  seq: count,
  prev: binary(0, 256 * 1024),
  choices: items(binary(0, 256 * 1024)),
  sig: signature,
});

const part = record({ d: hash32, u: hash32, w: hash32, z: hash32 });

const boardEntries = {
  opening: record({ type: constant("opening"), manifest }),
  ballot: record({ type: constant("ballot"), ballot }),
  closing: record({ type: constant("closing"), cast: count, at: count }),
  intent: record({ type: constant("intent"), trustee, manifest: hash32, closing: hash32, aggregate: hash32, sig: signature }),
  share: record({ type: constant("share"), trustee, manifest: hash32, aggregate: hash32, parts: items(items(part)), sig: signature }),
  tally: record({ type: constant("tally"), hash: hash32 }),
};
export const boardEntry = tagged(boardEntries);
export type BoardEntry = Shaped<typeof boardEntry>;
export type EntryOf<K extends keyof typeof boardEntries> = Shaped<(typeof boardEntries)[K]>;

const head = { meeting: ident, trustee, sig: signature };
const keyMessages = {
  register: record({ type: constant("register"), ...head, roll: hash32, sign_key: hash32, box_key: hash32 }),
  commit: record({ type: constant("commit"), ...head, hash: hash32 }),
  reveal: record({ type: constant("reveal"), ...head, points: items(hash32), pop: record({ r: hash32, z: hash32 }) }),
  shares: record({ type: constant("shares"), ...head, boxes: items(binary(0, 256 * 1024)) }),
  certify: record({ type: constant("certify"), ...head, transcript: hash32, key: hash32, verification_keys: items(hash32) }),
};
const keyMessage = tagged(keyMessages);
export type KeyMessage = Shaped<typeof keyMessage>;
export type KeyMessageOf<K extends keyof typeof keyMessages> = Shaped<(typeof keyMessages)[K]>;

export const keygen = record({ v: constant(1), meeting: ident, threshold: count, count, messages: items(keyMessage) });

export const info = record({
  v: constant(1),
  protocol: word,
  organisation,
  meeting: record({ id: ident, title: word }),
  server_key: hash32,
  elections: items(ident, 1, 100),
});

export const rollStatement = record({
  core: record({
    v: constant(1),
    meeting: ident,
    organisation: ident,
    root: hash32,
    size: count,
    exceptions: count,
    frozen_at: count,
    rp,
    registrar: record({ passkey: credentialId, key: cosePublicKey }),
  }),
  nonce: hash32,
  assertion,
});

const ledgerEntry = record({ v: constant(1), type: oneOf("roll", "key", "opened", "closed", "tally"), at: count, hash: hash32 });
export const ledger = record({
  origin,
  checkpoint: freeText(MAX_NOTE),
  leaves: items(hash32),
  entries: items(record({ index: count, entry: ledgerEntry })),
});

export const tally = record({
  core: record({
    v: constant(1),
    election: ident,
    manifest: hash32,
    closing: hash32,
    aggregate: emptyOr(hash32),
    cast: count,
    counts: items(items(count)),
    trustees: items(trustee),
    quorum: record({ met: boolean, present: count, roll: count }),
    outcome: items(record({ kind: word, option: integer(-1) })),
    exceptions: count,
    counted_at: count,
  }),
  signatures: record({ server: signature, chair: signature, trustees: items(record({ trustee, sig: signature })) }),
});

const signed = { member: ident, nonce: hash32, passkey: credentialId, assertion };
export const annex = record({
  v: constant(1),
  meeting: ident,
  roll: items(
    record({
      member: ident,
      name: word,
      weight: constant(1),
      passkeys: items(record({ id: credentialId, key: cosePublicKey }), 0, 20),
      exception: emptyOr(word),
      salt: hash32,
    }),
  ),
  checkins: items(
    record({ ...signed, credential: hash32, site: ident, checkpoint: freeText(MAX_NOTE), at: count, elections: items(ident, 0, 100) }),
  ),
  trustees: items(record({ ...signed, trustee, sign_key: hash32, box_key: hash32 })),
  cosigners: items(record({ ...signed, name: word, key: hash32 })),
});

export type Info = Shaped<typeof info>;
export type RollStatement = Shaped<typeof rollStatement>;
export type KeygenFile = Shaped<typeof keygen>;
export type Ledger = Shaped<typeof ledger>;
export type Tally = Shaped<typeof tally>;
export type Annex = Shaped<typeof annex>;
export type ManifestForm = Shaped<typeof manifest>;
export type BallotForm = Shaped<typeof ballot>;
export type AssertionForm = Shaped<typeof assertion>;
export type Checkin = Annex["checkins"][number];
