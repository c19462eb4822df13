/** A teller's part in opening the box: watch every ballot, then announce and give one share, once. */
import type { Elector } from "../ballot/electorate.ts";
import { type Bytes, type Json, type JsonObject, b64u, decodeScalar } from "../ballot/encoding.ts";
import { type EntrySource, type Intent, intentMessage, shareMessage } from "../ballot/entries.ts";
import { VotingError, ensure } from "../ballot/errors.ts";
import { type OpenManifest, openManifest } from "../ballot/manifest.ts";
import { isTooFew } from "../ballot/rules.ts";
import { type SigningKey, seedKey } from "../ballot/signing.ts";
import { type Aggregate, decryptionParts } from "../ballot/tally.ts";
import type { BallotVerifier } from "../ballot/verify.ts";
import type { Keystore } from "../identity/keystore.ts";
import { BoardAudit, cosignatures, openClosing } from "./audit.ts";
import { type ShareSecrets, type TrusteeScope, findShare } from "./secrets.ts";
import { Serial } from "./serial.ts";

/** No teller's page opens a box that may hold fewer voters than this. */
const LEAST_ELECTORATE = 3;

export interface BoardPort {
  /** Entries from an index on, as many as the server gives at a time; empty at the end. */
  entries(from: number): Promise<readonly EntrySource[]>;
  /** Text of the closing checkpoint with the cosignatures so far; null or empty before. */
  closing(): Promise<string | null>;
  /** Posts an intent or a share. */
  post(entry: JsonObject): Promise<void>;
  /** Shares that the server refused and keeps as evidence; none when left out. */
  rejected?(): Promise<readonly EntrySource[]>;
}

export interface CountOptions {
  keystore: Keystore;
  /** This teller's number, from 1. */
  trustee: number;
  manifest: Bytes | Json;
  /** When given, the manifest must belong to it. */
  meeting?: string;
  /** The list of voters; a ballot of anybody else is refused. */
  electorate: readonly Elector[];
  /** The fewest voters of one weight for which this teller opens a box; 3 unless the teller set more. */
  least?: number;
  port: BoardPort;
  verifier: BallotVerifier;
  /** Seconds since 1970. */
  now: () => number;
}

export type CountStep = "watching" | "waiting-for-cosigners" | "intent" | "share" | "done" | "too-few" | "refused";

export interface CountState {
  step: CountStep;
  /** Ballots this page has checked. */
  verified: number;
  /** Voters who cast a ballot, once the vote is closed. */
  cast: number | null;
  cosignatures: number;
  needed: number;
  error: VotingError | null;
}

interface Closed {
  /** checkpoint_hash */
  closing: Bytes;
  agg: Aggregate;
}

/**
 * Counts one election for one teller. Intent and share are recorded in the keystore before they are sent;
 * a second aggregate for the same manifest is refused for ever.
 */
export class TellerCount {
  readonly manifest: OpenManifest;
  private readonly options: CountOptions;
  private readonly scope: TrusteeScope;
  private readonly audit: BoardAudit;
  private readonly serial = new Serial();
  private closingText: string | null = null;
  private signatures = 0;

  constructor(options: CountOptions) {
    this.options = options;
    this.manifest = openManifest(options.manifest);
    ensure((options.meeting ?? this.manifest.meeting) === this.manifest.meeting, "voting.manifest", "This vote belongs to another meeting.");
    const { meeting, roll, trustees, leastElectorate } = this.manifest;
    ensure(this.manifest.secret, "voting.manifest", "A vote with open ballots has no tellers' key.");
    const least = Math.max(LEAST_ELECTORATE, options.least ?? LEAST_ELECTORATE);
    ensure(leastElectorate >= least, "voting.small-electorate", "This vote may be counted with fewer voters than you allow.");
    this.scope = { meeting, roll, attempt: trustees.attempt, trustee: options.trustee };
    this.audit = new BoardAudit(this.manifest, options.verifier, options.electorate);
  }

  /** Fetches and checks what is new and does what is due. Rejects only when the port or a worker fails; then call it again. */
  sync(): Promise<CountState> {
    return this.serial.run(async () => {
      try {
        return this.state(await this.step());
      } catch (error) {
        if (!(error instanceof VotingError) || error.code === "voting.worker") throw error;
        return this.state("refused", error);
      }
    });
  }

  private state(step: CountStep, error: VotingError | null = null): CountState {
    const { board, verified } = this.audit;
    return { step, verified, cast: board.closing?.cast ?? null, cosignatures: this.signatures, needed: this.manifest.cosignQuorum, error };
  }

  private async fetch(): Promise<void> {
    const { board } = this.audit;
    if (this.audit.refused !== null) throw this.audit.refused;
    await this.audit.add([]); // ballots left over from a worker that stopped
    for (;;) {
      const entries = await this.options.port.entries(board.size);
      if (entries.length === 0) return;
      await this.audit.add(entries);
    }
  }

  private async step(): Promise<CountStep> {
    await this.fetch();
    const { board } = this.audit;
    if (board.closing === null) return "watching";
    const text = await this.options.port.closing();
    if (text === null || text === "") return "waiting-for-cosigners";
    const note = openClosing(board, text);
    this.closingText = text;
    this.signatures = cosignatures(this.manifest, note);
    if (this.signatures < this.manifest.cosignQuorum) return "waiting-for-cosigners";
    if (isTooFew(this.manifest, board.cast)) return "too-few";
    return this.open({ closing: board.closing.hash, agg: this.audit.aggregate() });
  }

  private async open(closed: Closed): Promise<CountStep> {
    const { board } = this.audit;
    const { trustee, port } = this.options;
    this.requireOneAggregate(closed);
    if (board.shares.has(trustee)) return "done";
    if (!board.intents.has(trustee)) {
      await port.post(await this.intent(closed));
      await this.fetch();
      this.requireOneAggregate(closed);
      if (!board.intents.has(trustee)) return "intent";
    }
    await this.intent(closed); // this device's own record must agree, too
    await port.post(await this.share(closed));
    await this.fetch();
    return board.shares.has(trustee) ? "done" : "share";
  }

  /** Every intent on the board names what this page has computed. */
  private requireOneAggregate({ closing: hash, agg }: Closed): void {
    const [closing, aggregate] = [b64u(hash), b64u(agg.hash)];
    const differs = (intent: Intent): boolean => intent.aggregate !== aggregate || intent.closing !== closing;
    const other = [...this.audit.board.intents.values()].find(differs);
    ensure(other === undefined, "voting.second-aggregate", `Teller ${other?.trustee ?? 0} has announced the count of other ballots.`);
  }

  private async secrets(): Promise<ShareSecrets> {
    const kept = await findShare(this.options.keystore, this.scope);
    ensure(kept !== null, "voting.no-secrets", "This device does not hold this teller's part of the key.");
    return kept;
  }

  private async signer(): Promise<SigningKey> {
    const key = seedKey((await this.secrets()).signSeed);
    const named = this.manifest.trustees.signKeys[this.options.trustee - 1];
    ensure(named === b64u(key.publicKey), "voting.keygen", "This vote uses another key than the one that the tellers made together.");
    return key;
  }

  private async intent({ closing, agg }: Closed): Promise<JsonObject> {
    const { keystore, trustee } = this.options;
    const sig = await (await this.signer()).sign(intentMessage(this.manifest.hash, closing, agg.hash, trustee));
    const mine = { type: "intent", trustee, manifest: this.manifest.id, closing: b64u(closing), aggregate: b64u(agg.hash), sig: b64u(sig) };
    const first = await keystore.decide<JsonObject>(`intent/${trustee}/${this.manifest.id}`, mine);
    const agrees = first["aggregate"] === mine.aggregate && first["closing"] === mine.closing;
    ensure(agrees, "voting.second-aggregate", "This device has already announced the count of other ballots for this vote.");
    return first;
  }

  private async share({ agg }: Closed): Promise<JsonObject> {
    const { keystore, trustee, now } = this.options;
    const name = `share/${trustee}/${this.manifest.id}`;
    const made = await keystore.decision<JsonObject>(name);
    if (made !== null) {
      ensure(made["aggregate"] === b64u(agg.hash), "voting.second-aggregate", "This device has already opened other ballots for this vote.");
      return made;
    }
    ensure(now() <= this.manifest.timeLimit, "voting.share", "The time for counting this vote has passed; it must be repeated.");
    const key = await this.signer();
    const { share } = await this.secrets();
    const parts = decryptionParts(this.manifest, agg, trustee, decodeScalar(share), keystore.random);
    const sig = await key.sign(shareMessage(this.manifest.hash, agg.hash, trustee, parts));
    return keystore.decide<JsonObject>(name, {
      type: "share", trustee, manifest: this.manifest.id, aggregate: b64u(agg.hash), parts, sig: b64u(sig),
    });
  }

  /**
   * Recomputes the announced tally from the board and signs it; any tellers may, as many as open a box.
   * @throws VotingError `voting.tally` when it differs in anything
   */
  signTally(core: object): Promise<{ trustee: number; sig: string }> {
    return this.serial.run(async () => {
      await this.fetch();
      const { trustee } = this.options;
      ensure(this.closingText !== null, "voting.board-order", "The vote is not closed.");
      const rejected = (await this.options.port.rejected?.()) ?? [];
      const hash = this.audit.tally({ core, rejected }, this.closingText);
      const sig = await (await this.signer()).sign(hash);
      return { trustee, sig: b64u(sig) };
    });
  }
}

