/** A teller's part in making the meeting's key: what is due, once, in order, and the code that people compare. */
import { trustee as trusteeChallenge } from "../ballot/challenges.ts";
import { type Bytes, H, type JsonObject, b64u, fromB64u, jcs, same } from "../ballot/encoding.ts";
import { ensure } from "../ballot/errors.ts";
import { Keygen, type KeygenMessage, type KeygenSetup, ROUNDS, type Round, type TrusteeSecrets, boxKeyOf, signKeyOf } from "../ballot/keygen.ts";
import type { Keystore, TrusteeScope } from "../identity/keystore.ts";
import type { PasskeyStatement } from "../identity/statements.ts";
import { Serial } from "./serial.ts";

export { TellerCount } from "./count.ts";
export type { BoardPort, CountState, CountStep } from "./count.ts";
export type { KeygenMessage } from "../ballot/keygen.ts";

/** The ceremony's way to the server. */
export interface CeremonyPort {
  postMessage(message: KeygenMessage, statement?: PasskeyStatement): Promise<void>;
  /** Every message the server holds, in any order. */
  messages(): Promise<unknown[]>;
}

export interface CeremonyOptions {
  keystore: Keystore;
  meeting: string;
  /** b64u */
  rollHash: string;
  /** This teller's number, from 1. */
  trustee: number;
  threshold: number;
  count: number;
  port: CeremonyPort;
}

export type CeremonyStep = "register" | "commit" | "reveal" | "shares" | "compare" | "certify" | "done";

export interface CeremonyState {
  step: CeremonyStep;
  /** Tellers whose message of the current round is missing. */
  waitingFor: number[];
  /** `ABC-DEF` as soon as there is something to compare. */
  spokenCode: string | null;
  /** The common key, b64u, at the end. */
  key: string | null;
}

/**
 * Drives the key generation for one teller. Every decision is recorded in the keystore before it is sent:
 * after a reload the same messages go out again, never different ones, and what the other tellers sent in
 * a finished round may not change any more.
 */
export class TellerCeremony {
  private readonly options: CeremonyOptions;
  private readonly setup: KeygenSetup;
  private readonly scope: TrusteeScope;
  private readonly secrets: TrusteeSecrets;
  private readonly serial = new Serial();

  private constructor(options: CeremonyOptions, secrets: TrusteeSecrets) {
    const { meeting, rollHash, trustee, threshold, count } = options;
    this.options = options;
    this.setup = { meeting, rollHash: fromB64u(rollHash, 32), threshold, count };
    this.scope = { meeting, roll: rollHash, trustee };
    this.secrets = secrets;
  }

  static async open(options: CeremonyOptions): Promise<TellerCeremony> {
    const { keystore, meeting, rollHash, trustee, threshold } = options;
    const secrets = await keystore.trusteeSecrets({ meeting, roll: rollHash, trustee }, threshold);
    return new TellerCeremony(options, secrets);
  }

  /** What the teller's passkey signs, for the server's nonce (b64u). */
  async challenge(nonce: string): Promise<Bytes> {
    const { meeting, rollHash } = this.setup;
    return trusteeChallenge({
      meeting, rollHash, index: this.options.trustee, signKey: signKeyOf(this.secrets), boxKey: boxKeyOf(this.secrets), nonce: fromB64u(nonce, 32),
    });
  }

  /** Registers this teller's keys with the passkey's statement, then goes on. */
  async register(statement: PasskeyStatement): Promise<CeremonyState> {
    await this.serial.run(async () => {
      const message = await new Keygen(this.setup).register(this.options.trustee, this.secrets);
      await this.options.port.postMessage(message, statement);
    });
    return this.advance();
  }

  /**
   * Checks all messages and sends what is due from this teller.
   * @throws VotingError `voting.keygen…`, `voting.box`, `voting.no-secrets`: the ceremony must be stopped
   */
  advance(): Promise<CeremonyState> {
    return this.serial.run(() => this.advanceNow());
  }

  /** The person has compared the code aloud and it was the same for all. */
  confirmCode(): Promise<CeremonyState> {
    return this.serial.run(async () => {
      const keygen = await this.load();
      ensure(keygen.round === "certify" || keygen.round === null, "voting.code-not-confirmed", "There is no code to compare yet.");
      await this.decide("confirmed", b64u(keygen.transcript()));
      return this.advanceNow();
    });
  }

  private async decide<T extends JsonObject | string>(name: string, value: T): Promise<T> {
    const { meeting, roll, trustee } = this.scope;
    return this.options.keystore.decide(`keygen/${meeting}/${roll}/${trustee}/${name}`, value);
  }

  /** Reads the server's messages and holds them against what this device has seen before. */
  private async load(): Promise<Keygen> {
    const keygen = Keygen.read(this.setup, await this.options.port.messages());
    const mine = keygen.message("register", this.options.trustee);
    const expected = await keygen.register(this.options.trustee, this.secrets);
    ensure(mine === null || same(jcs(mine), jcs(expected)), "voting.no-secrets", "You registered as a teller on another device. Go on there.");
    for (const round of ROUNDS.filter((name) => keygen.complete(name))) {
      const digest = b64u(H("fm1/page-round", jcs(keygen.all(round))));
      const first = await this.decide(`round/${round}`, digest);
      ensure(first === digest, "voting.keygen-second", "The server shows other messages of the tellers than before.");
    }
    return keygen;
  }

  private async advanceNow(): Promise<CeremonyState> {
    const { trustee, port } = this.options;
    // One pass per round that this teller can complete, and one to look at the end.
    for (let pass = 0; pass <= ROUNDS.length; pass++) {
      const keygen = await this.load();
      const round = keygen.round;
      if (round === null || round === "register" || keygen.message(round, trustee) !== null) return this.state(keygen);
      const message = await this.due(keygen, round);
      if (message === null) return this.state(keygen);
      await port.postMessage(message);
    }
    return this.state(await this.load());
  }

  /** The message this teller owes in a round, recorded before it is returned; null while the code is not compared. */
  private async due(keygen: Keygen, round: Exclude<Round, "register">): Promise<KeygenMessage | null> {
    const { trustee, keystore } = this.options;
    if (round === "certify") {
      // Every part is opened and checked before anybody is asked to compare the code.
      const share = await keygen.secretShare(trustee, this.secrets);
      if (!(await this.confirmed(keygen))) return null;
      const [transcript, key, verificationKeys] = [b64u(keygen.transcript()), b64u(keygen.key()), keygen.verificationKeys().map(b64u)];
      await keystore.saveTrusteeShare(this.scope, { share, transcript, key, verificationKeys });
    }
    return this.decide(`message/${round}`, await keygen[round](trustee, this.secrets));
  }

  private async confirmed(keygen: Keygen): Promise<boolean> {
    const { meeting, roll, trustee } = this.scope;
    const code = await this.options.keystore.decision<string>(`keygen/${meeting}/${roll}/${trustee}/confirmed`);
    return code !== null && code === b64u(keygen.transcript());
  }

  private async state(keygen: Keygen): Promise<CeremonyState> {
    const round = keygen.round;
    const spokenCode = keygen.complete("shares") ? keygen.spokenCode() : null;
    if (round === null) return { step: "done", waitingFor: [], spokenCode, key: b64u(keygen.key()) };
    const compare = round === "certify" && keygen.message("certify", this.options.trustee) === null && !(await this.confirmed(keygen));
    return { step: compare ? "compare" : round, waitingFor: keygen.missing(round), spokenCode, key: null };
  }
}
