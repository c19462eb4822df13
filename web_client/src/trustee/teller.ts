/** A teller's part in making the meeting's key: what is due, once, in order, and the code that people compare. */
import { trustee as trusteeChallenge } from "../ballot/challenges.ts";
import { type Bytes, H, type JsonObject, b64u, decodeScalar, fromB64u, jcs, same } from "../ballot/encoding.ts";
import { ensure } from "../ballot/errors.ts";
import { G, mul } from "../ballot/group.ts";
import { Keygen, type KeygenMessage, type KeygenSetup, ROUNDS, type Round, type TrusteeSecrets, boxKeyOf, signKeyOf } from "../ballot/keygen.ts";
import { seedKey } from "../ballot/signing.ts";
import type { Keystore } from "../identity/keystore.ts";
import type { PasskeyStatement } from "../identity/statements.ts";
import { type CopyKind, type ShareCopy, openCopy, sealCopy } from "./copies.ts";
import { type ShareSecrets, type TrusteeScope, attemptSecrets, findShare, placeOf, saveShare } from "./secrets.ts";
import { Serial } from "./serial.ts";

export { TellerCount } from "./count.ts";
export type { BoardPort, CountState, CountStep } from "./count.ts";
export type { KeygenMessage } from "../ballot/keygen.ts";
export { codeMaterial, freshCode, groupCode, prfInput, readCode, readCopy } from "./copies.ts";
export { destroy } from "./destruction.ts";

/** The ceremony's way to the server, for one attempt. */
export interface CeremonyPort {
  postMessage(message: KeygenMessage, statement?: PasskeyStatement): Promise<void>;
  /** Every message of this attempt that the server holds, in any order. */
  messages(): Promise<unknown[]>;
}

export interface CeremonyOptions {
  keystore: Keystore;
  meeting: string;
  /** b64u */
  rollHash: string;
  /** From 1; a new attempt has a new ceremony. */
  attempt: number;
  /** This teller's number, from 1. */
  trustee: number;
  threshold: number;
  count: number;
  port: CeremonyPort;
}

export type CeremonyStep = "register" | "commit" | "reveal" | "shares" | "salt" | "compare" | "certify" | "done" | "broken";

export interface CeremonyState {
  step: CeremonyStep;
  /** Tellers whose message of the current round is missing. */
  waitingFor: number[];
  /** `ABC-DEF` as soon as there is something to compare. */
  spokenCode: string | null;
  /** The common key, b64u, at the end. */
  key: string | null;
  /** The teller whose share was wrong (or whose complaint was), when the step is "broken": begin another attempt. */
  atFault: number | null;
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
    const { meeting, rollHash, attempt, trustee, threshold, count } = options;
    this.options = options;
    this.setup = { meeting, attempt, rollHash: fromB64u(rollHash, 32), threshold, count };
    this.scope = { meeting, roll: rollHash, attempt, trustee };
    this.secrets = secrets;
  }

  static async open(options: CeremonyOptions): Promise<TellerCeremony> {
    const { keystore, meeting, rollHash, attempt, trustee, threshold } = options;
    const secrets = await attemptSecrets(keystore, { meeting, roll: rollHash, attempt, trustee }, threshold);
    return new TellerCeremony(options, secrets);
  }

  /** What the teller's passkey signs, for the server's nonce (b64u). */
  async challenge(nonce: string): Promise<Bytes> {
    const { meeting, rollHash, attempt } = this.setup;
    return trusteeChallenge({
      meeting, rollHash, attempt, index: this.options.trustee, signKey: signKeyOf(this.secrets), boxKey: boxKeyOf(this.secrets), nonce: fromB64u(nonce, 32),
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
      ensure(keygen.complaint === null && (keygen.round === "certify" || keygen.round === null), "voting.code-not-confirmed", "There is no code to compare yet.");
      await this.decide("confirmed", b64u(keygen.transcript()));
      return this.advanceNow();
    });
  }

  private async decide<T extends JsonObject | string>(name: string, value: T): Promise<T> {
    return this.options.keystore.decide(`keygen/${placeOf(this.scope)}/${name}`, value);
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
      const round = keygen.complaint === null ? keygen.round : null;
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
    if (round === "salt") {
      // Every part is opened and checked before this page shows what the spoken code is made of.
      const against = await keygen.wrongPart(trustee, this.secrets);
      if (against !== null) return this.decide("complaint", await keygen.complain(trustee, this.secrets, against));
    }
    if (round === "certify") {
      if (!(await this.confirmed(keygen))) return null;
      const share = await keygen.secretShare(trustee, this.secrets);
      await saveShare(keystore, this.scope, { signSeed: this.secrets.signSeed, boxSecret: this.secrets.boxSecret, share });
    }
    return this.decide(`message/${round}`, await keygen[round](trustee, this.secrets));
  }

  private async confirmed(keygen: Keygen): Promise<boolean> {
    const code = await this.options.keystore.decision<string>(`keygen/${placeOf(this.scope)}/confirmed`);
    return code !== null && code === b64u(keygen.transcript());
  }

  private async state(keygen: Keygen): Promise<CeremonyState> {
    const round = keygen.round;
    const spokenCode = keygen.complete("salt") ? keygen.spokenCode() : null;
    if (keygen.complaint !== null) return { step: "broken", waitingFor: [], spokenCode: null, key: null, atFault: await keygen.atFault() };
    if (round === null) return { step: "done", waitingFor: [], spokenCode, key: b64u(keygen.key()), atFault: null };
    const compare = round === "certify" && keygen.message("certify", this.options.trustee) === null && !(await this.confirmed(keygen));
    return { step: compare ? "compare" : round, waitingFor: keygen.missing(round), spokenCode, key: null, atFault: null };
  }
}

/** Material for a copy's key: the PRF's 32 bytes for `prfInput(meeting)`, or `codeMaterial(code, salt)`. */
type Material = (salt: Bytes) => Promise<Bytes> | Bytes;

/** A copy of this device's share, for the server (`passkey`) or for a file in the teller's hands (`code`). @throws VotingError `voting.no-secrets` */
export async function copyShare(keystore: Keystore, scope: TrusteeScope, kind: CopyKind, material: Material): Promise<ShareCopy> {
  const secrets = await findShare(keystore, scope);
  ensure(secrets !== null, "voting.no-secrets", "This device does not hold this teller's part of the key.");
  return sealCopy(scope, kind, secrets, material, keystore.random);
}

/**
 * Takes a share from a copy onto this device: after a lost phone.
 * @param verificationKey the V_j and sign key of the meeting's key, against which the copy is held; b64u
 * @throws VotingError `voting.copy` when it cannot be opened or is another teller's
 */
export async function restoreShare(
  keystore: Keystore, scope: TrusteeScope, copy: ShareCopy, material: Material, expected: { verificationKey: string; signKey: string },
): Promise<void> {
  const own = copy.meeting === scope.meeting && copy.attempt === scope.attempt && copy.trustee === scope.trustee;
  ensure(own, "voting.copy", "This copy is of another teller or another key.");
  const secrets: ShareSecrets = await openCopy(copy, material);
  const fits = b64u(mul(G, decodeScalar(secrets.share)).toBytes()) === expected.verificationKey && b64u(seedKey(secrets.signSeed).publicKey) === expected.signKey;
  ensure(fits, "voting.copy", "This copy does not hold the part of the key that this vote needs.");
  await saveShare(keystore, scope, secrets);
}
