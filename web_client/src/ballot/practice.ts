/** A practice vote: the real sealing with a throw-away key made here; nothing of it leaves the page. */
import { decodeProofs, readBallot, sealedHash } from "./ballot.ts";
import { type JsonObject, type Rng, b64u, jcs, randomScalar } from "./encoding.ts";
import { ensure } from "./errors.ts";
import { G, mul } from "./group.ts";
import { type OpenManifest, PROTOCOL, type Question, openManifest } from "./manifest.ts";
import { auditCode, tracker } from "./receipts.ts";
import type { Sealer } from "./sealing.ts";
import type { Sealed } from "./voter.ts";

const NAME = "practice";

export interface PracticeOptions {
  questions: readonly Question[];
  title: string;
  sealer: Sealer;
  rng: Rng;
}

function practiceManifest({ questions, title, rng }: PracticeOptions, key: string): JsonObject {
  const fresh = (): string => b64u(rng(32));
  const point = (): string => b64u(mul(G, randomScalar(rng)).toBytes());
  const log = fresh();
  return {
    v: 1, protocol: PROTOCOL, organisation: { id: NAME, name: NAME }, meeting: NAME, election: NAME, title, rehearsal: true,
    questions: questions.map((question) => ({ ...question })), secrecy: "trustees", voting_again: "once", kiosk: false,
    rules: { quorum: { num: 0, den: 1, by: "present", in: "members" }, majority: { kind: "simple", of: "cast" }, tie: "rejected" },
    roll: fresh(), roll_size: 3, roll_weight: 3, present: 3, present_weight: 3, excluded: 0, exceptions: 0,
    electorate: fresh(), electorate_size: 3, electorate_weight: 3, least_electorate: 3, repeats: [],
    trustees: { attempt: 1, threshold: 2, count: 2, transcript: fresh(), key, verification_keys: [point(), point()], sign_keys: [fresh(), fresh()] },
    cosigners: ["chair", "secretary", "teller-1"].map((name) => ({ name, key: fresh() })), cosign_quorum: 3,
    board: { origin: `${NAME}/${NAME}/${NAME}`, key: log }, ledger: { origin: `${NAME}/ledger`, key: log },
    rp: { id: NAME, origins: [NAME] }, opened_at: 0, closes_at: 0, grace_s: 0, time_limit: 1, challenge_s: 0,
  };
}

export class PracticeVote {
  readonly manifest: OpenManifest;
  private readonly options: PracticeOptions;
  private readonly secret: bigint;
  private ballot: JsonObject | null = null;
  private inBox = false;

  constructor(options: PracticeOptions) {
    this.options = options;
    this.secret = randomScalar(options.rng);
    this.manifest = openManifest(jcs(practiceManifest(options, b64u(mul(G, this.secret).toBytes()))));
  }

  get stage(): "choosing" | "sealed" | "promised" {
    if (this.inBox) return "promised";
    return this.ballot === null ? "choosing" : "sealed";
  }

  get title(): string {
    return this.manifest.title;
  }

  get questions(): readonly Question[] {
    return this.manifest.questions;
  }

  /** A code like a real vote's, and a tracker. */
  get tracker(): string {
    return this.ballot === null ? "" : tracker(sealedHash(this.manifest.hash, this.ballot));
  }

  prepare(choices: readonly (readonly number[])[]): Sealed {
    ensure(!this.inBox, "voting.already-cast", "Your practice vote is already in the box.");
    const { sealer, rng } = this.options;
    this.ballot = sealer.seal(this.manifest, { credential: rng(32), place: { weight: 1, seq: 1, prev: "" }, choices, seed: rng(32) });
    const hash = sealedHash(this.manifest.hash, this.ballot);
    return { sealed: b64u(hash), code: auditCode(hash) };
  }

  change(): void {
    ensure(!this.inBox, "voting.already-cast", "Your practice vote is already in the box.");
    this.ballot = null;
  }

  cast(): void {
    ensure(this.ballot !== null, "voting.nothing-to-cast", "There is no sealed ballot yet.");
    this.inBox = true;
  }

  /** Opens the practice box with the throw-away key: the value of each cell, per question. */
  open(): number[][] {
    const ballot = this.ballot;
    ensure(this.inBox && ballot !== null, "voting.nothing-to-cast", "The practice box is empty.");
    const signed = readBallot({ ...ballot, sig: b64u(new Uint8Array(64)) });
    return decodeProofs(this.manifest, signed).map(({ cells }) =>
      cells.map(({ alpha, beta }) => {
        let [rest, value] = [beta.subtract(mul(alpha, this.secret)), 0];
        for (; !rest.is0(); value++) rest = rest.subtract(G);
        return value;
      }),
    );
  }
}
