/** Section 5: the manifest, read strictly. */
import { type Bytes, H, type Json, b64u, fromB64u, jcs, parseCanonical } from "./encoding.ts";
import { ensure } from "./errors.ts";
import { type Layout, MAX_CELLS, type Question, layoutOf } from "./cells.ts";
import { Point, decodePoint } from "./group.ts";
import { readQuestion } from "./questions.ts";
import { Fields, allDifferent, textItem } from "./strict.ts";

export type { Question, QuestionType } from "./cells.ts";

export const PROTOCOL = "fm1-ristretto255-sha512";
/** Liars among the cosigners that the quorum must outvote. */
const LIARS = 2;
const MAX = Number.MAX_SAFE_INTEGER;
const MAX_MANIFEST_BYTES = 200 * 1024;
const MAX_TOTAL = 100_000_000;
const MAX_ATTEMPT = 20;
/** More do not fit into a manifest. */
const MAX_REPEATS = 100_000;
const YEAR_S = 31_536_000;
const COSIGNER_NAME = /^[a-z]{1,20}(?:-[1-9][0-9]?)?$/;

export type MajorityKind = "simple" | "absolute" | "two-thirds" | "three-quarters";
export type MajorityBase = "cast" | "decided" | "present" | "roll";
export type Secrecy = "trustees" | "open" | "roll-call";

export interface Rules {
  quorum: { num: number; den: number; by: "present" | "cast"; in: "members" | "votes" };
  majority: { kind: MajorityKind; of: MajorityBase };
  tie: "rejected" | "casting-vote";
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
  rehearsal: boolean;
  questions: Question[];
  secrecy: Secrecy;
  votingAgain: "once" | "last-counts";
  kiosk: boolean;
  rules: Rules;
  roll: string;
  rollSize: number;
  rollWeight: number;
  present: number;
  presentWeight: number;
  excluded: number;
  exceptions: number;
  electorate: string;
  electorateSize: number;
  electorateWeight: number;
  leastElectorate: number;
  repeats: string[];
  trustees: {
    attempt: number; threshold: number; count: number; transcript: string; key: string; verificationKeys: string[]; signKeys: string[];
  };
  cosigners: { name: string; key: string }[];
  cosignQuorum: number;
  board: LogIdentity;
  ledger: LogIdentity;
  rp: { id: string; origins: string[] };
  openedAt: number;
  closesAt: number;
  graceS: number;
  timeLimit: number;
  challengeS: number;
}

/** A manifest that passed every check of form, with its bytes, hash and decoded keys. */
export interface OpenManifest extends Manifest {
  bytes: Bytes;
  hash: Bytes;
  /** The hash as b64u, as other documents name it. */
  id: string;
  /** True for a secret vote: sealed ballots and trustees. */
  secret: boolean;
  /** Cells and constraints per question. */
  layouts: Layout[];
  /** The identity when there are no trustees. */
  trusteeKey: Point;
  verificationPoints: Point[];
}

const FIELDS = (
  "v protocol organisation meeting election title rehearsal questions secrecy voting_again kiosk rules roll roll_size roll_weight " +
  "present present_weight excluded exceptions electorate electorate_size electorate_weight least_electorate repeats trustees " +
  "cosigners cosign_quorum board ledger rp opened_at closes_at grace_s time_limit challenge_s"
).split(" ");

function readRules(value: Json | undefined): Rules {
  const f = new Fields(value, "The rules", ["quorum", "majority", "tie"]);
  const quorum = new Fields(f.raw("quorum"), "The quorum", ["num", "den", "by", "in"]);
  const den = quorum.int("den", 1, 1_000_000);
  const majority = new Fields(f.raw("majority"), "The majority", ["kind", "of"]);
  return {
    quorum: { num: quorum.int("num", 0, den), den, by: quorum.one("by", ["present", "cast"]), in: quorum.one("in", ["members", "votes"]) },
    majority: {
      kind: majority.one("kind", ["simple", "absolute", "two-thirds", "three-quarters"]),
      of: majority.one("of", ["cast", "decided", "present", "roll"]),
    },
    tie: f.one("tie", ["rejected", "casting-vote"]),
  };
}

function readTrustees(value: Json | undefined, secret: boolean): Manifest["trustees"] {
  const f = new Fields(value, "The trustees", ["attempt", "threshold", "count", "transcript", "key", "verification_keys", "sign_keys"]);
  const [least, most] = secret ? [2, 9] : [0, 0];
  const bytes = secret ? 32 : 0;
  const count = f.int("count", least, most);
  const trustees = {
    attempt: f.int("attempt", secret ? 1 : 0, secret ? MAX_ATTEMPT : 0),
    threshold: f.int("threshold", least, count),
    count,
    transcript: f.b64("transcript", bytes),
    key: f.b64("key", bytes),
    verificationKeys: f.b64List("verification_keys", count, count, 32),
    signKeys: f.b64List("sign_keys", count, count, 32),
  };
  ensure(allDifferent(trustees.signKeys), "voting.manifest", "Two trustees have the same signing key.");
  return trustees;
}

function readCosigner(value: Json): { name: string; key: string } {
  const f = new Fields(value, "A cosigner", ["name", "key"]);
  const name = f.text("name");
  ensure(COSIGNER_NAME.test(name), "voting.manifest", "A cosigner's name is malformed.");
  return { name, key: f.b64("key", 32) };
}

/** A log whose name is given by where it is used. */
function readLog(value: Json | undefined, origin: string): LogIdentity {
  const f = new Fields(value, "A log", ["origin", "key"]);
  f.exactly("origin", origin);
  return { origin, key: f.b64("key", 32) };
}

export function readRp(value: Json | undefined): Manifest["rp"] {
  const f = new Fields(value, "The relying party", ["id", "origins"]);
  return { id: f.text("id"), origins: f.list("origins", 1, 8).map((origin) => textItem(origin, "An origin")) };
}

function readManifest(value: Json): Manifest {
  const f = new Fields(value, "The manifest", FIELDS);
  f.exactly("v", 1);
  f.exactly("protocol", PROTOCOL);
  const secrecy = f.one("secrecy", ["trustees", "open", "roll-call"]);
  const secret = secrecy === "trustees";
  const organisation = new Fields(f.raw("organisation"), "The organisation", ["id", "name"]);
  const [rp, meeting, election] = [readRp(f.raw("rp")), f.id("meeting"), f.id("election")];
  const rollSize = f.int("roll_size", 0, MAX);
  const rollWeight = f.int("roll_weight", 0, MAX_TOTAL);
  const present = f.int("present", 0, rollSize);
  const presentWeight = f.int("present_weight", 0, rollWeight);
  const excluded = f.int("excluded", 0, present);
  const electorateSize = f.int("electorate_size", 1, present - excluded);
  const timeLimit = f.int("time_limit", 1, MAX);
  const openedAt = f.int("opened_at", 0, timeLimit - 1);
  const closesAt = f.int("closes_at", 0, timeLimit);
  return {
    organisation: { id: organisation.id("id"), name: organisation.text("name") },
    meeting, election, title: f.text("title"), rehearsal: f.flag("rehearsal"),
    questions: f.list("questions", 1, 8).map(readQuestion),
    secrecy, votingAgain: f.one("voting_again", ["once", "last-counts"]), kiosk: f.flag("kiosk"), rules: readRules(f.raw("rules")),
    roll: f.b64("roll", 32), rollSize, rollWeight, present, presentWeight, excluded, exceptions: f.int("exceptions", 0, MAX),
    electorate: f.b64("electorate", 32), electorateSize, electorateWeight: f.int("electorate_weight", 1, presentWeight),
    leastElectorate: secret ? f.int("least_electorate", 3, electorateSize) : f.int("least_electorate", 1, 1),
    repeats: f.list("repeats", 0, MAX_REPEATS).map((_, i, list) => new Fields({ id: list[i] ?? "" }, "A repeat", ["id"]).id("id")),
    trustees: readTrustees(f.raw("trustees"), secret),
    cosigners: f.list("cosigners", 2, 15).map(readCosigner),
    cosignQuorum: f.int("cosign_quorum", 1, 15),
    board: readLog(f.raw("board"), `${rp.id}/${meeting}/${election}`), ledger: readLog(f.raw("ledger"), `${rp.id}/ledger`), rp,
    openedAt, closesAt, graceS: f.int("grace_s", 0, 3600), timeLimit, challengeS: f.int("challenge_s", 0, YEAR_S),
  };
}

function checkAgreement(m: Manifest): void {
  const names = m.cosigners.map(({ name }) => name);
  ensure(
    allDifferent(names) && allDifferent(m.cosigners.map(({ key }) => key)) && names.includes("chair") && names.includes("secretary"),
    "voting.manifest",
    "Chair, secretary and the other cosigners must be different people.",
  );
  const safe = m.cosignQuorum <= names.length && 2 * m.cosignQuorum > names.length + LIARS;
  ensure(safe, "voting.manifest", "The quorum of cosigners is not safe against two liars.");
  ensure(m.board.key === m.ledger.key, "voting.manifest", "Board and ledger must have the same key.");
  ensure(m.closesAt === 0 || (m.openedAt < m.closesAt && m.closesAt < m.timeLimit), "voting.manifest", "The vote must close between its opening and its time limit.");
  const simple = m.rules.majority.kind === "simple";
  const casting = m.rules.tie === "casting-vote";
  const apt = m.questions.every(({ type }) => simple || !(type === "score" || type === "borda" || (type === "yes-no-abstain" && casting)));
  ensure(apt, "voting.manifest", "The majority does not fit a question.");
  const score = Math.max(...m.questions.map((question) => question.score));
  ensure(m.rollWeight * score <= MAX_TOTAL, "voting.manifest", "The totals of this vote may become too large.");
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
  const layouts = manifest.questions.map(layoutOf);
  ensure(layouts.reduce((all, { cells }) => all + cells, 0) <= MAX_CELLS, "voting.manifest", "The questions have too many cells.");
  const hash = H("fm1/manifest", bytes);
  const secret = manifest.secrecy === "trustees";
  const { key, verificationKeys } = manifest.trustees;
  return {
    ...manifest, bytes, hash, id: b64u(hash), secret, layouts,
    trusteeKey: secret ? decodePoint(fromB64u(key)) : Point.ZERO,
    verificationPoints: verificationKeys.map((one) => decodePoint(fromB64u(one))),
  };
}
