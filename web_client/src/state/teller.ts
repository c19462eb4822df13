/** The teller's work bound to the server: making the key, watching the board, opening the box. */
import { signal } from "@preact/signals";
import { api } from "../api/fetch.ts";
import type { ElectionSummary, Meeting, TallyAnswer } from "../api/types.ts";
import { utf8 } from "../ballot/encoding.ts";
import type { PromiseFinding } from "../ballot/evidence.ts";
import { WorkerVerifier } from "../ballot/workers.ts";
import { type CeremonyState, type CountState, TellerCeremony, TellerCount } from "../trustee/teller.ts";
import { openedElection, readBoard } from "./board.ts";
import { isOutside } from "./closed.ts";
import { keystore } from "./keys.ts";
import type { LiveMeeting } from "./live.ts";
import { session } from "./session.ts";
import { signChallenge } from "./sign.ts";

const CONSENT = "folkmoot.open-box.";

/** Runs calls one after the other; calls made while one waits share the next one. */
class Serial {
  readonly #work: () => Promise<void>;
  #running: Promise<void> | null = null;
  #again = false;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  run(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#loop().finally(() => (this.#running = null));
    return this.#running;
  }

  async #loop(): Promise<void> {
    do {
      this.#again = false;
      await this.#work();
    } while (this.#again);
  }
}

/** This teller's part in making the meeting's key. */
export class KeyWork {
  readonly state = signal<CeremonyState | null>(null);
  readonly error = signal<unknown>(null);
  readonly #meeting: Meeting;
  readonly #stop: () => void;
  readonly #serial = new Serial(() => this.#advance());
  #ceremony: TellerCeremony | null = null;

  constructor(live: LiveMeeting, meeting: Meeting) {
    this.#meeting = meeting;
    this.#stop = live.onEvent((event) => {
      // A new attempt has fresh keys throughout.
      if (event.type === "KeyRestarted") this.#ceremony = null;
      if (event.type === "KeyMessagePosted" || event.type === "KeyGenerated" || event.type === "KeyRestarted") void this.refresh();
    });
    void this.refresh();
  }

  close(): void {
    this.#stop();
  }

  refresh(): Promise<void> {
    return this.#serial.run();
  }

  async #open(): Promise<TellerCeremony> {
    if (this.#ceremony) return this.#ceremony;
    const { id, roll, me } = this.#meeting;
    const { attempt, threshold, count } = await api.keygen(id);
    this.#ceremony = await TellerCeremony.open({
      keystore: await keystore(),
      meeting: id,
      rollHash: roll.hash,
      attempt,
      trustee: me.trustee,
      threshold,
      count,
      port: {
        postMessage: async (message, statement) => void (await api.keygenMessage(id, message, statement)),
        messages: async () => (await api.keygen(id)).messages,
      },
    });
    return this.#ceremony;
  }

  async #advance(): Promise<void> {
    try {
      const ceremony = await this.#open();
      this.state.value = await ceremony.advance();
      this.error.value = null;
    } catch (error) {
      this.error.value = error;
    }
  }

  /** The passkey signs the key that this device has made. */
  async makeKey(): Promise<void> {
    const ceremony = await this.#open();
    const { nonce } = await api.nonce("trustee");
    await ceremony.register(await signChallenge(nonce, await ceremony.challenge(nonce)));
    await this.refresh();
  }

  /** The person has compared the code aloud. */
  async confirm(): Promise<void> {
    const ceremony = await this.#open();
    this.state.value = await ceremony.confirmCode();
    await this.refresh();
  }
}

const consentOf = (election: string): string => `${CONSENT}${session.peek()?.member.id ?? ""}.${election}`;

function consented(election: string): boolean {
  try {
    return localStorage.getItem(consentOf(election)) !== null;
  } catch {
    return false; // storage may be blocked: the teller is asked again after a reload
  }
}

/** This teller's part in one election: checks ballots as they come, opens the box when the person says so. */
export class CountWork {
  readonly state = signal<CountState | null>(null);
  readonly error = signal<unknown>(null);
  readonly checked = signal(0);
  /** The person wants this box opened; from then on the page goes on by itself, also after a reload. */
  readonly wanted = signal(false);
  readonly signed = signal(false);
  readonly #live: LiveMeeting;
  readonly #election: string;
  readonly #stop: () => void;
  readonly #serial = new Serial(() => this.#sync());
  #count: TellerCount | null = null;

  constructor(live: LiveMeeting, election: string) {
    this.#live = live;
    this.#election = election;
    this.wanted.value = consented(election);
    this.#stop = live.onEvent((event) => {
      if ("election" in event.body && event.body.election === election && event.type !== "BallotAccepted") void this.refresh();
    });
    void this.refresh();
  }

  close(): void {
    this.#stop();
  }

  refresh(): Promise<void> {
    return this.#serial.run();
  }

  async open(): Promise<void> {
    this.wanted.value = true;
    try {
      localStorage.setItem(consentOf(this.#election), "1");
    } catch {
      // storage may be blocked: the teller is asked again after a reload
    }
    await this.refresh();
  }

  #summary(): ElectionSummary | undefined {
    return this.#live.meeting.peek()?.elections.find((e) => e.election === this.#election);
  }

  /** What the server has computed, or null before. */
  async #tally(): Promise<TallyAnswer | null> {
    const state = this.#summary()?.state;
    return state === "counted" || state === "tied" || state === "declared" ? api.tally(this.#live.id, this.#election) : null;
  }

  /** Whether a promise that a voter shows was kept, against the board as this page has checked it. */
  async judge(text: string): Promise<PromiseFinding> {
    const { judgeShown } = await import("./evidence.ts");
    return judgeShown(this.#live.id, this.#election, text);
  }

  async #counter(): Promise<TellerCount> {
    if (this.#count) return this.#count;
    const meeting = this.#live.id;
    const election = this.#election;
    this.#count = new TellerCount({
      keystore: await keystore(),
      meeting,
      trustee: this.#live.meeting.peek()?.me.trustee ?? 0,
      ...(await openedElection(meeting, election)),
      port: {
        entries: async (from) => (await readBoard(meeting, election, from)).entries,
        closing: async () => (await api.board(meeting, election, 0)).closing || null,
        rejected: async () => (await this.#tally())?.rejected.map(utf8) ?? [],
        post: async (entry) => {
          await (entry["type"] === "intent" ? api.postIntent : api.postShare)(meeting, election, entry);
        },
      },
      verifier: new WorkerVerifier((checked) => (this.checked.value = checked)),
      now: () => Math.floor(Date.now() / 1000),
    });
    return this.#count;
  }

  async #sync(): Promise<void> {
    const state = this.#summary()?.state;
    // Past closing, checking and opening are one movement: it begins when the person says so.
    if (state === undefined || state === "draft" || (state !== "open" && !this.wanted.peek())) return;
    try {
      const count = await this.#counter();
      this.state.value = await count.sync();
      this.error.value = this.state.value.error;
      if (this.wanted.peek()) await this.#sign(count);
    } catch (error) {
      this.error.value = error;
    }
  }

  /** Signs the tally when the server has computed it from an opened box. */
  async #sign(count: TellerCount): Promise<void> {
    const meeting = this.#live.meeting.peek();
    const now = await api.meeting(this.#live.id);
    const state = isOutside(now) ? undefined : now.elections.find((e) => e.election === this.#election)?.state;
    if (!meeting || this.signed.peek() || (state !== "counted" && state !== "declared")) return;
    const { core, signatures } = await api.tally(meeting.id, this.#election);
    const { trustee } = meeting.me;
    if (core === null) return;
    if (state === "counted" && core.aggregate !== "" && !signatures.trustees.some((known) => known.trustee === trustee)) {
      const made = await count.signTally({ ...core });
      if (made) await api.signTally(meeting.id, this.#election, { signer: "trustee", ...made });
    }
    this.signed.value = true;
  }
}
