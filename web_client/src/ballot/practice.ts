/** A practice vote: the real sealing with a throw-away key made here; nothing of it leaves the page. */
import { decodeProofs, readBallot } from "./ballot.ts";
import { ballotLeaf, tracker } from "./board.ts";
import { type JsonObject, type Rng, b64u, jcs, randomScalar } from "./encoding.ts";
import { ensure } from "./errors.ts";
import { G, mul } from "./group.ts";
import { PROTOCOL, type Question, openManifest } from "./manifest.ts";
import type { OpenManifest } from "./manifest.ts";
import type { Sealer } from "./sealing.ts";
import { type PortableKey, systemRng } from "./signing.ts";
import type { Sealed } from "./voter.ts";

const PRACTICE = "practice";

export interface PracticeOptions {
  questions: readonly Question[];
  title: string;
  sealer: Sealer;
  rng?: Rng;
}

function practiceManifest({ questions, title }: PracticeOptions, key: string, rng: Rng): JsonObject {
  const fresh = (): string => b64u(rng(32));
  const point = (): string => b64u(mul(G, randomScalar(rng)).toBytes());
  const log = fresh();
  return {
    v: 1, protocol: PROTOCOL, organisation: { id: PRACTICE, name: PRACTICE }, meeting: PRACTICE, election: PRACTICE, title,
    questions: questions.map(({ type, text, options }) => ({ type, text, options })), secrecy: "trustees", voting_again: "once",
    rules: { quorum: { num: 0, den: 1, of: "roll" }, majority: { kind: "simple", of: "cast" }, tie: "rejected" },
    roll: fresh(), roll_size: 3, present: 3, electorate: fresh(), electorate_size: 3, exceptions: 0,
    trustees: { threshold: 2, count: 2, transcript: fresh(), key, verification_keys: [point(), point()], sign_keys: [fresh(), fresh()] },
    cosigners: ["chair", "secretary", "teller-1"].map((name) => ({ name, key: fresh() })), cosign_quorum: 3,
    board: { origin: `${PRACTICE}/${PRACTICE}/${PRACTICE}`, key: log }, ledger: { origin: `${PRACTICE}/ledger`, key: log },
    rp: { id: PRACTICE, origins: [PRACTICE] }, opened_at: 0, grace_s: 0, time_limit: 1,
  };
}

export class PracticeVote {
  readonly manifest: OpenManifest;
  private readonly secret: bigint;
  private readonly key: PortableKey;
  private readonly sealer: Sealer;
  private ballot: JsonObject | null = null;
  private inBox = false;

  private constructor(options: PracticeOptions, rng: Rng) {
    this.secret = randomScalar(rng);
    this.key = { kind: "seed", seed: rng(32) };
    this.sealer = options.sealer;
    this.manifest = openManifest(jcs(practiceManifest(options, b64u(mul(G, this.secret).toBytes()), rng)));
  }

  static make(options: PracticeOptions): PracticeVote {
    return new PracticeVote(options, options.rng ?? systemRng);
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

  async prepare(choices: readonly number[]): Promise<Sealed> {
    ensure(!this.inBox, "voting.already-cast", "Your practice vote is already in the box.");
    this.ballot = await this.sealer.seal(this.manifest.bytes, choices, this.key);
    const leaf = ballotLeaf(this.ballot);
    return { tracker: tracker(leaf), leaf: b64u(leaf) };
  }

  change(): void {
    ensure(!this.inBox, "voting.already-cast", "Your practice vote is already in the box.");
    this.ballot = null;
  }

  cast(): void {
    ensure(this.ballot !== null, "voting.nothing-to-cast", "There is no sealed ballot yet.");
    this.inBox = true;
  }

  /** Opens the practice box with the throw-away key: 0 or 1 per question and option. */
  open(): number[][] {
    const ballot = this.ballot;
    ensure(this.inBox && ballot !== null, "voting.nothing-to-cast", "The practice box is empty.");
    return decodeProofs(this.manifest, readBallot(ballot)).map(({ options }) =>
      options.map(({ alpha, beta }) => (beta.subtract(mul(alpha, this.secret)).equals(G) ? 1 : 0)),
    );
  }
}
