/** The forms of every file of section 9, field by field. Meaning is left to the later checks. */
import type { Bytes } from "../ballot/encoding.ts";
import {
  type Shaped, binary, boolean, constant, count, emptyOr, freeText, hash32, ident, integer, items, object, oneOf, record, signature, tagged, text,
} from "./shapes.ts";

export const MAX_NOTE = 16 * 1024;
const anyBytes = binary(0, 256 * 1024);
const word = text();
const trustee = integer(1, 9);
const cosePublicKey = binary(1, 2048);
const credentialId = binary(1, 1023);

const assertion = record({
  authenticator_data: binary(0, 1024),
  client_data_json: binary(0, 4096),
  signature: binary(0, 1024),
});
const log = record({ origin: text(400), key: hash32 });
const rp = record({ id: text(253), origins: items(text(300), 1, 8) });
const organisation = record({ id: ident, name: word });

const question = record({
  type: word, text: text(2000, true), options: items(word), min: count, max: count, blank: boolean, score: count, ranks: count, seats: count,
});

const manifest = record({
  v: constant(1),
  protocol: word,
  organisation,
  meeting: ident,
  election: ident,
  title: word,
  rehearsal: boolean,
  questions: items(question),
  secrecy: word,
  voting_again: word,
  kiosk: boolean,
  rules: record({
    quorum: record({ num: count, den: count, by: word, in: word }),
    majority: record({ kind: word, of: word }),
    tie: word,
  }),
  roll: hash32,
  roll_size: count,
  roll_weight: count,
  present: count,
  present_weight: count,
  excluded: count,
  exceptions: count,
  electorate: hash32,
  electorate_size: count,
  electorate_weight: count,
  least_electorate: count,
  repeats: items(ident),
  trustees: record({
    attempt: count,
    threshold: count,
    count,
    transcript: emptyOr(hash32),
    key: emptyOr(hash32),
    verification_keys: items(hash32),
    sign_keys: items(hash32),
  }),
  cosigners: items(record({ name: word, key: hash32 })),
  cosign_quorum: count,
  board: log,
  ledger: log,
  rp,
  opened_at: count,
  closes_at: count,
  grace_s: count,
  time_limit: count,
  challenge_s: count,
});

const ballot = record({
  v: constant(1),
  manifest: hash32,
  credential: hash32,
  weight: count,
  seq: count,
  prev: anyBytes,
  choices: items(anyBytes),
  sig: signature,
});

const part = record({ d: hash32, u: hash32, w: hash32, z: hash32 });
const share = record({ type: constant("share"), trustee, manifest: hash32, aggregate: hash32, parts: items(items(part)), sig: signature });

const boardEntries = {
  opening: record({ type: constant("opening"), manifest }),
  ballot: record({ type: constant("ballot"), ballot }),
  replacement: record({ type: constant("replacement"), old: hash32, new: hash32, kiosk: boolean, statement: hash32 }),
  void: record({ type: constant("void"), credential: hash32, sealed: hash32, sig: signature }),
  closing: record({ type: constant("closing"), ballots: count, cast: count, ended: count, at: count }),
  intent: record({ type: constant("intent"), trustee, manifest: hash32, closing: hash32, aggregate: hash32, sig: signature }),
  share,
  casting: record({ type: constant("casting"), question: count, options: items(count), sig: signature }),
  tally: record({ type: constant("tally"), hash: hash32 }),
};
export const boardEntry = tagged(boardEntries);
export type BoardEntry = Shaped<typeof boardEntry>;
export type EntryOf<K extends keyof typeof boardEntries> = Shaped<(typeof boardEntries)[K]>;
/** One line of rejected.jsonl. */
export const rejectedShare = share;

const head = { meeting: ident, attempt: count, trustee, sig: signature };
const keyMessages = {
  register: record({ type: constant("register"), ...head, roll: hash32, sign_key: hash32, box_key: hash32, salt_hash: hash32 }),
  commit: record({ type: constant("commit"), ...head, hash: hash32 }),
  reveal: record({ type: constant("reveal"), ...head, points: items(hash32), pop: record({ r: hash32, z: hash32 }) }),
  shares: record({ type: constant("shares"), ...head, boxes: items(anyBytes) }),
  salt: record({ type: constant("salt"), ...head, salt: hash32 }),
  certify: record({ type: constant("certify"), ...head, transcript: hash32, key: hash32, verification_keys: items(hash32) }),
  complaint: record({ type: constant("complaint"), ...head, against: trustee, box_secret: hash32 }),
};
const keyMessage = tagged(keyMessages);
export type KeyMessage = Shaped<typeof keyMessage>;
export type KeyMessageOf<K extends keyof typeof keyMessages> = Shaped<(typeof keyMessages)[K]>;

export const keygen = record({ v: constant(1), meeting: ident, attempt: count, threshold: count, count, messages: items(keyMessage) });

export const destroyed = record({
  v: constant(1),
  meeting: ident,
  statements: items(record({ type: constant("destroyed"), meeting: ident, attempt: count, trustee, at: count, sig: signature })),
});

export const info = record({
  v: constant(1),
  protocol: word,
  organisation,
  meeting: record({ id: ident, title: word, rehearsal: boolean }),
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
    weight: count,
    exceptions: count,
    frozen_at: count,
    rp,
    registrar: record({ passkey: credentialId, key: cosePublicKey }),
  }),
  nonce: hash32,
  assertion,
});

const ledgerEntry = record({ v: constant(1), type: oneOf("roll", "key", "opened", "closed", "tally", "destroyed", "attendance"), at: count, hash: hash32 });
export const ledger = record({
  origin: text(400),
  checkpoint: freeText(MAX_NOTE),
  leaves: items(hash32),
  entries: items(record({ index: count, entry: ledgerEntry })),
});

export const electorate = items(record({ credential: hash32, weight: count, name: emptyOr(word) }));

export const tally = record({
  core: record({
    v: constant(1),
    election: ident,
    manifest: hash32,
    closing: hash32,
    aggregate: emptyOr(hash32),
    ballots: count,
    cast: count,
    cast_weight: count,
    replacements: count,
    kiosk: count,
    voids: count,
    counts: items(items(count)),
    rejected: items(record({ trustee, hash: hash32 })),
    quorum: record({ met: boolean, count, base: count }),
    outcome: items(record({ kind: word, options: items(count), tied: items(count), votes: items(count) })),
    exceptions: count,
    halls: items(record({ site: ident, name: emptyOr(word), state: word, ballots: count })),
    counted_at: count,
  }),
  signatures: record({ server: signature, chair: signature, trustees: items(record({ trustee, sig: signature })) }),
});

const mark = record({
  election: ident,
  when: oneOf("opening", "closing"),
  count,
  head: hash32,
  present: count,
  present_weight: count,
  met: boolean,
});
/** attendance.json: what each vote's opening and closing say of the attendance log. */
export const marks = record({ v: constant(1), meeting: ident, marks: items(mark, 1, 200) });
/** The first line of attendance.jsonl. */
export const logStart = record({ v: constant(1), meeting: ident, salt: hash32 });
/** Every other one. */
export const logEvent = tagged({
  arrived: record({ type: constant("arrived"), seq: count, member: ident, site: ident, statement: hash32 }),
  returned: record({ type: constant("returned"), seq: count, member: ident }),
  departed: record({
    type: constant("departed"), seq: count, member: ident, reason: oneOf("left", "lost", "removed", "adjourned", "closed", "moved", "cut"),
  }),
});

const signed = { member: ident, nonce: hash32, passkey: credentialId, assertion };
export const rollEntry = record({
  member: ident,
  name: word,
  weight: integer(1, 1_000_000),
  passkeys: items(record({ id: credentialId, key: cosePublicKey }), 0, 20),
  exception: record({ kind: oneOf("none", "first", "replaced", "added"), method: emptyOr(word), officers: items(word, 0, 2) }),
  salt: hash32,
});
/** annex.json: its short fields, and its lists by the shape of an item. */
export const annex = {
  fields: { v: constant(1), meeting: ident, made_at: count, keep_until: count, auditors: items(word) },
  lists: {
    roll: rollEntry,
    checkins: record({ ...signed, credential: hash32, site: ident, checkpoint: freeText(MAX_NOTE), at: count, salt: hash32, elections: items(ident) }),
    replacements: record({ ...signed, election: ident, old: hash32, new: hash32, kiosk: boolean, salt: hash32 }),
    exclusions: record({ election: ident, member: ident, reason: word }),
    trustees: record({ ...signed, trustee, sign_key: hash32, box_key: hash32 }),
    cosigners: record({ ...signed, name: word, key: hash32 }),
    attempts: record({ attempt: count, reason: word, messages: items(object) }),
  },
};

export type Info = Shaped<typeof info>;
export type RollStatement = Shaped<typeof rollStatement>;
export type KeygenFile = Shaped<typeof keygen>;
export type Destroyed = Shaped<typeof destroyed>;
export type Ledger = Shaped<typeof ledger>;
export type ElectorForm = Shaped<typeof electorate>[number];
export type Tally = Shaped<typeof tally>;
export type Mark = Shaped<typeof mark>;
export type LogEvent = Shaped<typeof logEvent>;
export type ManifestForm = Shaped<typeof manifest>;
export type BallotForm = Shaped<typeof ballot>;
export type ShareForm = Shaped<typeof share>;
export type AssertionForm = Shaped<typeof assertion>;
type Item<K extends keyof typeof annex.lists> = Shaped<(typeof annex.lists)[K]>;
export type Checkin = Item<"checkins">;
export type ReplacementStatement = Item<"replacements">;
/** What is kept of a check-in; the rest is read again where it is verified. */
export type Place = Pick<Checkin, "member" | "credential" | "elections">;
/** What is kept of a roll entry. */
export type RollEntry = Omit<Item<"roll">, "salt">;

/** annex.json without what only one check looks at, once. */
export interface Annex {
  meeting: string;
  keepUntil: number;
  roll: RollEntry[];
  /** Over the bytes of the roll's entries; b64u. */
  rollRoot: string;
  checkins: Place[];
  /** The different checkpoints that check-ins cite. */
  checkpoints: Set<string>;
  replacements: ReplacementStatement[];
  exclusions: Item<"exclusions">[];
  trustees: Item<"trustees">[];
  cosigners: Item<"cosigners">[];
  brokenAttempts: number;
  /** The attendance log, or null without one: its first line, and the others read again. */
  log: { start: Shaped<typeof logStart>; lines: () => AsyncGenerator<{ line: Bytes; event: LogEvent }, void, undefined> } | null;
  /** The check-ins, read again. */
  again: () => AsyncGenerator<Checkin, void, undefined>;
}
