/** Section 4: the trustees' key generation: messages, checks of every round, transcript. */
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { type Box, openBox, sealBox } from "./box.ts";
import {
  type Bytes, H, H512, type Json, type JsonObject, type Rng, b64u, crockford, decodeScalar, encodeScalar, fromB64u, jcs, mod,
  randomScalar, same, scalar, u32,
} from "./encoding.ts";
import { VotingError, ensure } from "./errors.ts";
import { G, Point, decodePoint, mul, mulPublic, sumOfMultiples } from "./group.ts";
import { seedKey, requireSignature } from "./signing.ts";
import { Fields } from "./strict.ts";

export const ROUNDS = ["register", "commit", "reveal", "shares", "salt", "certify"] as const;
export type Round = (typeof ROUNDS)[number];
export type KeygenMessage = JsonObject;

const BOX_BYTES = 48;
const MAX_ATTEMPT = 20;
/** The rounds that the transcript covers. */
const COVERED = ROUNDS.slice(0, 4);

export interface KeygenSetup {
  meeting: string;
  /** From 1; each attempt has fresh keys throughout. */
  attempt: number;
  rollHash: Bytes;
  threshold: number;
  count: number;
}

/** What one trustee keeps for one attempt, all 32-byte strings. */
export interface TrusteeSecrets {
  signSeed: Bytes;
  boxSecret: Bytes;
  salt: Bytes;
  /** a_0 … a_{t-1} */
  coefficients: Bytes[];
  /** w of the proof of possession, kept so that a repeated message is the same message. */
  proofNonce: Bytes;
}

export function makeSecrets(threshold: number, rng: Rng): TrusteeSecrets {
  const [signSeed, boxSecret, salt] = [rng(32), rng(32), rng(32)];
  const coefficients = Array.from({ length: threshold }, () => encodeScalar(randomScalar(rng)));
  return { signSeed, boxSecret, salt, coefficients, proofNonce: encodeScalar(randomScalar(rng)) };
}

export const signKeyOf = (secrets: TrusteeSecrets): Bytes => ed25519.getPublicKey(secrets.signSeed);
export const boxKeyOf = (secrets: TrusteeSecrets): Bytes => x25519.getPublicKey(secrets.boxSecret);

const messageHash = (message: JsonObject): Bytes => {
  const { sig: _sig, ...unsigned } = message;
  return H("fm1/dkg", jcs(unsigned));
};

async function signed(secrets: TrusteeSecrets, message: JsonObject): Promise<KeygenMessage> {
  return { ...message, sig: b64u(await seedKey(secrets.signSeed).sign(messageHash(message))) };
}

const commitmentPoints = (secrets: TrusteeSecrets): Bytes[] =>
  secrets.coefficients.map((a) => mul(G, decodeScalar(a)).toBytes());

const saltHash = ({ meeting, attempt }: KeygenSetup, trustee: number, salt: Bytes): Bytes =>
  H("fm1/dkg-salt", meeting, u32(attempt), u32(trustee), salt);

const commitHash = ({ meeting, attempt }: KeygenSetup, trustee: number, signKey: Bytes, points: readonly Bytes[]): Bytes =>
  H("fm1/dkg-commit", meeting, u32(attempt), u32(trustee), signKey, ...points);

const proofChallenge = ({ meeting, attempt }: KeygenSetup, trustee: number, a0: Bytes, r: Bytes): bigint =>
  scalar(H512("fm1/dkg-pop", meeting, u32(attempt), u32(trustee), a0, r));

/** f(x) for the polynomial with these coefficients. */
export function evaluatePolynomial(coefficients: readonly Bytes[], x: number): bigint {
  return coefficients.reduceRight((sum, a) => mod(sum * BigInt(x) + decodeScalar(a)), 0n);
}

/** Σ_k x^k·A_k, the commitment to f(x). */
function evaluateInExponent(points: readonly Point[], x: number): Point {
  let power = 1n;
  const powers = points.map(() => {
    const now = power;
    power = mod(power * BigInt(x));
    return now;
  });
  return sumOfMultiples(points, powers);
}

interface Registered {
  signKey: Bytes;
  boxKey: Bytes;
}

/** A trustee says that the share from another does not pass; ends the attempt. */
export interface Complaint {
  by: number;
  against: number;
  boxSecret: Bytes;
}

/** All messages of one attempt seen so far, each checked as it is added. */
export class Keygen {
  readonly setup: KeygenSetup;
  complaint: Complaint | null = null;
  private readonly messages: Record<Round, Map<number, KeygenMessage>> = {
    register: new Map(), commit: new Map(), reveal: new Map(), shares: new Map(), salt: new Map(), certify: new Map(),
  };
  private readonly registered = new Map<number, Registered>();
  private readonly points = new Map<number, Point[]>();

  constructor(setup: KeygenSetup) {
    ensure(setup.attempt >= 1 && setup.attempt <= MAX_ATTEMPT, "voting.keygen", "Making the key was tried too often.");
    ensure(setup.count >= 2 && setup.count <= 9 && setup.threshold >= 2 && setup.threshold <= setup.count, "voting.keygen", "The number of tellers is out of range.");
    this.setup = setup;
  }

  /** Reads messages in any order. @throws VotingError `voting.keygen…` for the first that may not be there. */
  static read(setup: KeygenSetup, messages: readonly unknown[]): Keygen {
    const keygen = new Keygen(setup);
    const rank = (message: unknown): number => {
      const { type } = message as { type?: unknown };
      return type === "complaint" ? ROUNDS.length : ROUNDS.findIndex((round) => round === type);
    };
    for (const message of messages) ensure(typeof message === "object" && message !== null, "voting.keygen", "A message is not an object.");
    for (const message of [...messages].sort((a, b) => rank(a) - rank(b))) keygen.add(message as Json);
    return keygen;
  }

  /** The round that is not complete yet, or null at the end. */
  get round(): Round | null {
    return ROUNDS.find((round) => !this.complete(round)) ?? null;
  }

  complete(round: Round): boolean {
    return this.messages[round].size === this.setup.count;
  }

  missing(round: Round): number[] {
    return this.indices().filter((i) => !this.messages[round].has(i));
  }

  message(round: Round, trustee: number): KeygenMessage | null {
    return this.messages[round].get(trustee) ?? null;
  }

  /** The messages of a round by index. */
  all(round: Round): KeygenMessage[] {
    return this.indices()
      .map((i) => this.messages[round].get(i))
      .filter((message) => message !== undefined);
  }

  private indices(): number[] {
    return Array.from({ length: this.setup.count }, (_, i) => i + 1);
  }

  /** Adds one message; the same bytes again change nothing. @throws VotingError */
  add(value: Json): void {
    const type = typeof value === "object" && !Array.isArray(value) ? value["type"] : undefined;
    const round = ROUNDS.find((name) => name === type);
    ensure(round !== undefined || type === "complaint", "voting.keygen", "A message of the key generation has an unknown type.");
    const name = round ?? "complaint";
    const f = new Fields(value, `The message "${name}"`, ["type", "meeting", "attempt", "trustee", ...FIELDS[name], "sig"]);
    const trustee = f.int("trustee", 1, this.setup.count);
    const own = f.raw("meeting") === this.setup.meeting && f.raw("attempt") === this.setup.attempt;
    ensure(own, "voting.keygen", "A message belongs to another meeting or attempt.");
    if (round === undefined) this.addComplaint(trustee, f);
    else this.addRound(round, trustee, f);
  }

  private addRound(round: Round, trustee: number, f: Fields<string>): void {
    const earlier = this.messages[round].get(trustee);
    if (earlier !== undefined) {
      ensure(same(jcs(earlier), jcs(f.json)), "voting.keygen-second", `Teller ${trustee} sent two different messages "${round}".`);
      return;
    }
    ensure(this.complaint === null, "voting.keygen-order", "A teller has complained; this attempt is over.");
    const before = ROUNDS[ROUNDS.indexOf(round) - 1];
    ensure(before === undefined || this.complete(before), "voting.keygen-order", `The message "${round}" of teller ${trustee} comes too early.`);
    const key = round === "register" ? f.bytes("sign_key", 32) : this.keysOf(trustee).signKey;
    requireSignature(key, messageHash(f.json), f.bytes("sig", 64), `teller ${trustee}`);
    this.accept(round, trustee, f);
    this.messages[round].set(trustee, f.json);
  }

  private addComplaint(by: number, f: Fields<string>): void {
    const complaint = { by, against: f.int("against", 1, this.setup.count), boxSecret: f.bytes("box_secret", 32) };
    if (this.complaint !== null) {
      const again = this.complaint.by === by && this.complaint.against === complaint.against && same(this.complaint.boxSecret, complaint.boxSecret);
      ensure(again, "voting.keygen-order", "A teller has complained before; this attempt is over.");
      return;
    }
    ensure(this.complete("shares") && !this.messages.certify.has(by), "voting.keygen-order", "A complaint comes at the wrong time.");
    ensure(complaint.against !== by, "voting.keygen", "A teller complains of itself.");
    const shown = same(x25519.getPublicKey(complaint.boxSecret), this.keysOf(by).boxKey);
    ensure(shown, "voting.keygen", "A complaint does not show the key that opens the part complained of.");
    requireSignature(this.keysOf(by).signKey, messageHash(f.json), f.bytes("sig", 64), `teller ${by}`);
    this.complaint = complaint;
  }

  keysOf(trustee: number): Registered {
    const keys = this.registered.get(trustee);
    ensure(keys !== undefined, "voting.keygen-order", `Teller ${trustee} has not registered.`);
    return keys;
  }

  private pointsOf(trustee: number): Point[] {
    const points = this.points.get(trustee);
    ensure(points !== undefined, "voting.keygen-order", `Teller ${trustee} has not revealed.`);
    return points;
  }

  private accept(type: Round, trustee: number, f: Fields<string>): void {
    switch (type) {
      case "register":
        this.acceptRegister(trustee, f);
        return;
      case "commit":
        f.bytes("hash", 32);
        return;
      case "reveal":
        this.acceptReveal(trustee, f);
        return;
      case "shares":
        for (const [j, box] of f.list("boxes", this.setup.count, this.setup.count).entries()) {
          ensure(typeof box === "string" && fromB64u(box).length === (j + 1 === trustee ? 0 : BOX_BYTES), "voting.keygen", "A box has the wrong length.");
        }
        return;
      case "salt": {
        const announced = this.messages.register.get(trustee)?.["salt_hash"];
        const told = b64u(saltHash(this.setup, trustee, f.bytes("salt", 32)));
        ensure(announced === told, "voting.keygen", `Teller ${trustee} shows another salt than announced.`);
        return;
      }
      case "certify":
        this.acceptCertify(f);
    }
  }

  private acceptRegister(trustee: number, f: Fields<string>): void {
    ensure(same(f.bytes("roll", 32), this.setup.rollHash), "voting.keygen", `Teller ${trustee} registered for another roll.`);
    f.b64("salt_hash", 32);
    const keys = { signKey: f.bytes("sign_key", 32), boxKey: f.bytes("box_key", 32) };
    const others = [...this.registered.values()];
    const fresh = others.every((other) => !same(other.signKey, keys.signKey) && !same(other.boxKey, keys.boxKey));
    ensure(fresh, "voting.keygen", "Two tellers registered the same key.");
    this.registered.set(trustee, keys);
  }

  private acceptReveal(trustee: number, f: Fields<string>): void {
    const { threshold } = this.setup;
    const encoded = f.b64List("points", threshold, threshold, 32).map((point) => fromB64u(point));
    const committed = this.messages.commit.get(trustee)?.["hash"];
    const recomputed = b64u(commitHash(this.setup, trustee, this.keysOf(trustee).signKey, encoded));
    ensure(committed === recomputed, "voting.keygen", `Teller ${trustee} revealed something else than committed.`);
    const points = encoded.map(decodePoint);
    const [a0, first] = [points[0], encoded[0]];
    ensure(a0 !== undefined && first !== undefined, "voting.keygen", "A reveal has no points.");
    ensure([...this.points.values()].every(([other]) => other?.equals(a0) !== true), "voting.keygen", "Two tellers revealed the same point.");
    const pop = new Fields(f.raw("pop"), "The proof of possession", ["r", "z"]);
    const r = pop.bytes("r", 32);
    const c = proofChallenge(this.setup, trustee, first, r);
    const z = decodeScalar(pop.bytes("z", 32));
    ensure(mulPublic(G, z).equals(decodePoint(r).add(mulPublic(a0, c))), "voting.keygen", `Teller ${trustee} does not prove to know the key.`);
    this.points.set(trustee, points);
  }

  private acceptCertify(f: Fields<string>): void {
    const claimed = [f.b64("transcript", 32), f.b64("key", 32), ...f.b64List("verification_keys", this.setup.count, this.setup.count, 32)];
    const own = [this.transcript(), this.key(), ...this.verificationKeys()].map(b64u);
    ensure(claimed.every((value, i) => value === own[i]), "voting.keygen", "A teller certified another key.");
  }

  /** Y, 32 bytes; needs all reveals. @throws VotingError `voting.point` when it is the identity. */
  key(): Bytes {
    const sum = this.indices().reduce((total, i) => total.add(this.pointsOf(i)[0] ?? Point.ZERO), Point.ZERO);
    ensure(!sum.is0(), "voting.point", "The common key is the identity.");
    return sum.toBytes();
  }

  /** V_1 … V_n, 32 bytes each; needs all reveals. */
  verificationKeys(): Bytes[] {
    return this.indices().map((j) => {
      const sum = this.indices().reduce((total, i) => total.add(evaluateInExponent(this.pointsOf(i), j)), Point.ZERO);
      ensure(!sum.is0(), "voting.point", "A verification key is the identity.");
      return sum.toBytes();
    });
  }

  /** The hash of the first four rounds; needs all of them. */
  transcript(): Bytes {
    for (const round of COVERED) ensure(this.complete(round), "voting.keygen-order", "The key generation is not that far.");
    return H("fm1/dkg-transcript", jcs(COVERED.flatMap((round) => this.all(round))));
  }

  /** What tellers compare aloud: `ABC-DEF`; needs all salts. */
  spokenCode(): string {
    ensure(this.complete("salt"), "voting.keygen-order", "The key generation is not that far.");
    const salts = this.all("salt").map((message) => fromB64u(String(message["salt"]), 32));
    return crockford(H("fm1/dkg-code", this.transcript(), ...salts), 6, 3);
  }

  private box(boxSecret: Bytes, from: number, to: number, peer: number): Box {
    const reveals = H("fm1/dkg-reveals", jcs(this.all("reveal")));
    const { meeting, attempt } = this.setup;
    return { meeting, attempt, from, to, secret: boxSecret, peer: this.keysOf(peer).boxKey, reveals };
  }

  private signed(type: Round | "complaint", trustee: number, secrets: TrusteeSecrets, fields: JsonObject): Promise<KeygenMessage> {
    const { meeting, attempt } = this.setup;
    return signed(secrets, { type, meeting, attempt, trustee, ...fields });
  }

  register(trustee: number, secrets: TrusteeSecrets): Promise<KeygenMessage> {
    return this.signed("register", trustee, secrets, {
      roll: b64u(this.setup.rollHash), sign_key: b64u(signKeyOf(secrets)), box_key: b64u(boxKeyOf(secrets)),
      salt_hash: b64u(saltHash(this.setup, trustee, secrets.salt)),
    });
  }

  commit(trustee: number, secrets: TrusteeSecrets): Promise<KeygenMessage> {
    const hash = commitHash(this.setup, trustee, signKeyOf(secrets), commitmentPoints(secrets));
    return this.signed("commit", trustee, secrets, { hash: b64u(hash) });
  }

  reveal(trustee: number, secrets: TrusteeSecrets): Promise<KeygenMessage> {
    const points = commitmentPoints(secrets);
    const w = decodeScalar(secrets.proofNonce);
    const r = mul(G, w).toBytes();
    const c = proofChallenge(this.setup, trustee, points[0] ?? new Uint8Array(), r);
    const z = mod(w + c * evaluatePolynomial(secrets.coefficients, 0));
    const pop = { r: b64u(r), z: b64u(encodeScalar(z)) };
    return this.signed("reveal", trustee, secrets, { points: points.map(b64u), pop });
  }

  /** Seals every other trustee's part. Call once per key generation: a box key may seal one thing only. */
  async shares(trustee: number, secrets: TrusteeSecrets): Promise<KeygenMessage> {
    ensure(this.complete("reveal"), "voting.keygen-order", "Not every teller has revealed.");
    const boxes = await Promise.all(
      this.indices().map(async (j) => {
        if (j === trustee) return "";
        const part = encodeScalar(evaluatePolynomial(secrets.coefficients, j));
        return b64u(await sealBox(this.box(secrets.boxSecret, trustee, j, j), part));
      }),
    );
    return this.signed("shares", trustee, secrets, { boxes });
  }

  /** Send it only when every share for this trustee has passed: `secretShare`. */
  salt(trustee: number, secrets: TrusteeSecrets): Promise<KeygenMessage> {
    return this.signed("salt", trustee, secrets, { salt: b64u(secrets.salt) });
  }

  /** Says that the share from `against` does not pass, with the evidence; ends the attempt. */
  complain(trustee: number, secrets: TrusteeSecrets, against: number): Promise<KeygenMessage> {
    return this.signed("complaint", trustee, secrets, { against, box_secret: b64u(secrets.boxSecret) });
  }

  /** The trustee at fault after a complaint: anybody can open the box. @throws VotingError `voting.keygen-order` without one */
  async atFault(): Promise<number> {
    ensure(this.complaint !== null, "voting.keygen-order", "Nobody has complained.");
    const { by, against, boxSecret } = this.complaint;
    return (await this.partPasses(boxSecret, against, by)) === null ? against : by;
  }

  /** The part from one trustee to another when it opens and fits what was revealed, else null. */
  private async partPasses(boxSecret: Bytes, from: number, to: number): Promise<bigint | null> {
    const boxes = this.message("shares", from)?.["boxes"];
    const box = Array.isArray(boxes) ? boxes[to - 1] : undefined;
    ensure(typeof box === "string", "voting.keygen-order", `Teller ${from} has not sent the parts.`);
    try {
      const part = decodeScalar(await openBox(this.box(boxSecret, from, to, from), fromB64u(box, BOX_BYTES)));
      return mulPublic(G, part).equals(evaluateInExponent(this.pointsOf(from), to)) ? part : null;
    } catch (error) {
      if (error instanceof VotingError) return null;
      throw error;
    }
  }

  /** The first trustee whose part for this one does not pass, or null. */
  async wrongPart(trustee: number, secrets: TrusteeSecrets): Promise<number | null> {
    for (const from of this.indices()) {
      if (from !== trustee && (await this.partPasses(secrets.boxSecret, from, trustee)) === null) return from;
    }
    return null;
  }

  /** Opens and checks all parts and adds them to x_j (32 bytes). @throws VotingError `voting.box` naming the sender. */
  async secretShare(trustee: number, secrets: TrusteeSecrets): Promise<Bytes> {
    let sum = evaluatePolynomial(secrets.coefficients, trustee);
    for (const i of this.indices()) {
      if (i === trustee) continue;
      const part = await this.partPasses(secrets.boxSecret, i, trustee);
      ensure(part !== null, "voting.box", `The part of the key from teller ${i} does not fit what that teller revealed.`);
      sum = mod(sum + part);
    }
    return encodeScalar(sum);
  }

  certify(trustee: number, secrets: TrusteeSecrets): Promise<KeygenMessage> {
    const fields = {
      transcript: b64u(this.transcript()), key: b64u(this.key()), verification_keys: this.verificationKeys().map(b64u),
    };
    return this.signed("certify", trustee, secrets, fields);
  }

  /** keygen.json of a finished key generation. */
  file(): JsonObject {
    const { meeting, attempt, threshold, count } = this.setup;
    return { v: 1, meeting, attempt, threshold, count, messages: ROUNDS.flatMap((round) => this.all(round)) };
  }
}

const FIELDS: Readonly<Record<Round | "complaint", readonly string[]>> = {
  register: ["roll", "sign_key", "box_key", "salt_hash"],
  commit: ["hash"],
  reveal: ["points", "pop"],
  shares: ["boxes"],
  salt: ["salt"],
  certify: ["transcript", "key", "verification_keys"],
  complaint: ["against", "box_secret"],
};

/** Reads keygen.json in full. @throws VotingError unless it is complete. */
export function readKeygenFile(value: Json, rollHash: Bytes): Keygen {
  const f = new Fields(value, "keygen.json", ["v", "meeting", "attempt", "threshold", "count", "messages"]);
  f.exactly("v", 1);
  const count = f.int("count", 2, 9);
  const attempt = f.int("attempt", 1, MAX_ATTEMPT);
  const keygen = new Keygen({ meeting: f.id("meeting"), attempt, rollHash, threshold: f.int("threshold", 2, count), count });
  for (const message of f.list("messages", ROUNDS.length * count, ROUNDS.length * count)) keygen.add(message);
  ensure(same(jcs(keygen.file()), jcs(value)) && keygen.round === null, "voting.keygen", "keygen.json is not complete or not in order.");
  return keygen;
}

/** Trustees' signing keys in order, to compare with a manifest. */
export const signKeys = (keygen: Keygen): string[] =>
  Array.from({ length: keygen.setup.count }, (_, i) => b64u(keygen.keysOf(i + 1).signKey));

