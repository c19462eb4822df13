/** Section 5: the manifest and the electorate, read strictly. */
import { type Bytes, H, type Json, b64u, fromB64u, jcs, parseCanonical, utf8 } from "./encoding.ts";
import { ensure } from "./errors.ts";
import { type Point, decodePoint } from "./group.ts";
import { Fields, allDifferent, textItem } from "./strict.ts";

export const PROTOCOL = "fm1-ristretto255-sha512";
/** Liars among the cosigners that the quorum must outvote. */
const LIARS = 2;
const MAX_TIME = Number.MAX_SAFE_INTEGER;
const MAX_MANIFEST_BYTES = 200 * 1024;
const LEAST_ELECTORATE = 3;
const COSIGNER_NAME = /^[a-z]{1,20}(?:-[1-9][0-9]?)?$/;
const YES_NO_ABSTAIN = ["yes", "no", "abstain"];

export type QuestionType = "yes-no-abstain" | "one-of-n";
export type MajorityKind = "simple" | "absolute" | "two-thirds" | "three-quarters";
export type MajorityBase = "cast" | "present" | "roll";

export interface Question {
  type: QuestionType;
  text: string;
  options: string[];
}

export interface Rules {
  quorum: { num: number; den: number };
  majority: { kind: MajorityKind; of: MajorityBase };
}

export interface LogIdentity {
  origin: string;
  key: string;
}

/** The manifest's content; hashes and keys as b64u strings. */
export interface Manifest {
  organisation: { id: string; name: string };
  meeting: string;
  election: string;
  title: string;
  questions: Question[];
  rules: Rules;
  roll: string;
  rollSize: number;
  present: number;
  electorate: string;
  electorateSize: number;
  exceptions: number;
  trustees: { threshold: number; count: number; transcript: string; key: string; verificationKeys: string[]; signKeys: string[] };
  cosigners: { name: string; key: string }[];
  cosignQuorum: number;
  board: LogIdentity;
  ledger: LogIdentity;
  rp: { id: string; origins: string[] };
  openedAt: number;
  graceS: number;
  timeLimit: number;
}

/** A manifest that passed every check of form, with its bytes, hash and decoded keys. */
export interface OpenManifest extends Manifest {
  bytes: Bytes;
  hash: Bytes;
  /** The hash as b64u, as other documents name it. */
  id: string;
  trusteeKey: Point;
  verificationPoints: Point[];
}

const FIELDS = [
  "v", "protocol", "organisation", "meeting", "election", "title", "questions", "secrecy", "voting_again", "rules", "roll",
  "roll_size", "present", "electorate", "electorate_size", "exceptions", "trustees", "cosigners", "cosign_quorum", "board",
  "ledger", "rp", "opened_at", "grace_s", "time_limit",
] as const;

function readQuestion(value: Json): Question {
  const f = new Fields(value, "A question", ["type", "text", "options"]);
  const type = f.one("type", ["yes-no-abstain", "one-of-n"]);
  const options = f.list("options", 2, 32).map((option) => textItem(option, "An option"));
  ensure(allDifferent(options), "voting.manifest", "Two options of a question are equal.");
  ensure(
    type !== "yes-no-abstain" || (options.length === 3 && options.every((option, i) => option === YES_NO_ABSTAIN[i])),
    "voting.manifest",
    "A yes-no-abstain question has exactly the options yes, no and abstain.",
  );
  return { type, text: f.longText("text"), options };
}

function readRules(value: Json | undefined): Rules {
  const f = new Fields(value, "The rules", ["quorum", "majority", "tie"]);
  f.exactly("tie", "rejected");
  const quorum = new Fields(f.raw("quorum"), "The quorum", ["num", "den", "of"]);
  quorum.exactly("of", "roll");
  const den = quorum.int("den", 1, 1_000_000);
  const majority = new Fields(f.raw("majority"), "The majority", ["kind", "of"]);
  return {
    quorum: { num: quorum.int("num", 0, den), den },
    majority: {
      kind: majority.one("kind", ["simple", "absolute", "two-thirds", "three-quarters"]),
      of: majority.one("of", ["cast", "present", "roll"]),
    },
  };
}

function readTrustees(value: Json | undefined): Manifest["trustees"] {
  const f = new Fields(value, "The trustees", ["threshold", "count", "transcript", "key", "verification_keys", "sign_keys"]);
  const count = f.int("count", 2, 9);
  const trustees = {
    threshold: f.int("threshold", 2, count),
    count,
    transcript: f.b64("transcript", 32),
    key: f.b64("key", 32),
    verificationKeys: f.b64List("verification_keys", count, count, 32),
    signKeys: f.b64List("sign_keys", count, count, 32),
  };
  ensure(allDifferent(trustees.signKeys), "voting.manifest", "Two trustees have the same signing key.");
  return trustees;
}

function readCosigners(value: Json): { name: string; key: string } {
  const f = new Fields(value, "A cosigner", ["name", "key"]);
  const name = f.text("name");
  ensure(COSIGNER_NAME.test(name), "voting.manifest", "A cosigner's name is malformed.");
  return { name, key: f.b64("key", 32) };
}

function readLog(value: Json | undefined, what: string): LogIdentity {
  const f = new Fields(value, what, ["origin", "key"]);
  return { origin: f.text("origin"), key: f.b64("key", 32) };
}

export function readRp(value: Json | undefined): Manifest["rp"] {
  const f = new Fields(value, "The relying party", ["id", "origins"]);
  return { id: f.text("id"), origins: f.list("origins", 1, 8).map((origin) => textItem(origin, "An origin")) };
}

function readManifest(value: Json): Manifest {
  const f = new Fields(value, "The manifest", FIELDS);
  f.exactly("v", 1);
  f.exactly("protocol", PROTOCOL);
  f.exactly("secrecy", "trustees");
  f.exactly("voting_again", "once");
  const organisation = new Fields(f.raw("organisation"), "The organisation", ["id", "name"]);
  const rollSize = f.int("roll_size", 0, MAX_TIME);
  const present = f.int("present", 0, rollSize);
  return {
    organisation: { id: organisation.id("id"), name: organisation.text("name") },
    meeting: f.id("meeting"),
    election: f.id("election"),
    title: f.text("title"),
    questions: f.list("questions", 1, 8).map(readQuestion),
    rules: readRules(f.raw("rules")),
    roll: f.b64("roll", 32),
    rollSize,
    present,
    electorate: f.b64("electorate", 32),
    electorateSize: f.int("electorate_size", LEAST_ELECTORATE, present),
    exceptions: f.int("exceptions", 0, rollSize),
    trustees: readTrustees(f.raw("trustees")),
    cosigners: f.list("cosigners", 2, 15).map(readCosigners),
    cosignQuorum: f.int("cosign_quorum", 1, 15),
    board: readLog(f.raw("board"), "The board"),
    ledger: readLog(f.raw("ledger"), "The ledger"),
    rp: readRp(f.raw("rp")),
    openedAt: f.int("opened_at", 0, MAX_TIME),
    graceS: f.int("grace_s", 0, 3600),
    timeLimit: f.int("time_limit", 0, MAX_TIME),
  };
}

function checkAgreement(m: Manifest): void {
  const names = m.cosigners.map(({ name }) => name);
  ensure(allDifferent(names) && allDifferent(m.cosigners.map(({ key }) => key)), "voting.manifest", "Two cosigners are the same.");
  ensure(names.includes("chair") && names.includes("secretary"), "voting.manifest", "Chair and secretary must be cosigners.");
  ensure(
    m.cosignQuorum <= names.length && 2 * m.cosignQuorum > names.length + LIARS,
    "voting.manifest",
    "The quorum of cosigners is not safe against two liars.",
  );
  ensure(m.board.key === m.ledger.key, "voting.manifest", "Board and ledger must have the same key.");
  ensure(
    m.board.origin === `${m.rp.id}/${m.meeting}/${m.election}` && m.ledger.origin === `${m.rp.id}/ledger`,
    "voting.manifest",
    "Board or ledger carry the wrong name.",
  );
  ensure(m.openedAt < m.timeLimit, "voting.manifest", "The time limit lies before the opening.");
}

/**
 * Reads the RFC 8785 bytes of a manifest (or its parsed value) and checks all of section 5.
 * @throws VotingError `voting.manifest`, `voting.encoding` or `voting.point`.
 */
export function openManifest(source: Bytes | Json): OpenManifest {
  const bytes = source instanceof Uint8Array ? source : jcs(source);
  ensure(bytes.length <= MAX_MANIFEST_BYTES, "voting.manifest", "The manifest is too long.");
  const manifest = readManifest(parseCanonical(bytes));
  checkAgreement(manifest);
  const hash = H("fm1/manifest", bytes);
  return {
    ...manifest,
    bytes,
    hash,
    id: b64u(hash),
    trusteeKey: decodePoint(fromB64u(manifest.trustees.key)),
    verificationPoints: manifest.trustees.verificationKeys.map((key) => decodePoint(fromB64u(key))),
  };
}

export interface Elector {
  credential: string;
  weight: 1;
}

/** `electorate_hash` of a list that must be sorted and free of duplicates. */
export function electorateHash(list: readonly Elector[]): Bytes {
  const ordered = list.every(({ credential }, i) => i === 0 || (list[i - 1]?.credential ?? "") < credential);
  ensure(ordered, "voting.manifest", "The electorate is not sorted or names someone twice.");
  return H("fm1/electorate", jcs(list));
}

/** The credentials (b64u) of the list, when it is the manifest's electorate. @throws VotingError `voting.manifest` */
export function electorate(manifest: OpenManifest, list: readonly Elector[]): ReadonlySet<string> {
  const agrees = b64u(electorateHash(list)) === manifest.electorate && list.length === manifest.electorateSize;
  ensure(agrees, "voting.manifest", "The list of voters is not the one in the manifest.");
  return new Set(list.map(({ credential }) => credential));
}

/** Throws unless the list is the manifest's electorate and holds this credential. */
export function requireElector(manifest: OpenManifest, list: readonly Elector[], credential: Bytes): void {
  const listed = electorate(manifest, list).has(b64u(credential));
  ensure(listed, "voting.not-in-the-electorate", "This device's voting key is not in the list of voters.");
}

/** UTF-8 length, for forms that want to warn before the server does. */
export const textBytes = (text: string): number => utf8(text).length;
