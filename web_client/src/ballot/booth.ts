/** The booth as the page sees it: a few hundred bytes that call the worker; no key and no cryptography here. */
import type { CastRecord } from "../identity/keystore.ts";
import type { OpenRequest, PracticeRequest, SealedView, VoteView } from "./booth_service.ts";
import type { Question } from "./manifest.ts";
import { Caller, type Channel } from "./rpc.ts";
import type { InclusionJson, Sealed, SendBallot, VoteStage } from "./voter.ts";

const ballotWorker = (): Channel => new Worker(new URL("./ballot.worker.ts", import.meta.url), { type: "module" });

/** The worker behind the booth; one per page. */
export class BoothWorker {
  private readonly caller: Caller;

  constructor(channel: Channel = ballotWorker()) {
    this.caller = new Caller(channel);
  }

  /** Checks the manifest and finds what this device has cast. @throws VotingError like `Vote.open` */
  async open(request: OpenRequest): Promise<BoothVote> {
    return new BoothVote(this.caller, (await this.caller.call("open", request)) as VoteView);
  }

  /** A practice vote with a throw-away key; nothing of it leaves this page. */
  async practice(request: PracticeRequest): Promise<BoothPractice> {
    return new BoothPractice(this.caller, (await this.caller.call("practice", request)) as VoteView);
  }

  stop(): void {
    this.caller.stop();
  }
}

/** What a real and a practice vote have in common. */
class Remote {
  protected readonly caller: Caller;
  protected view: VoteView;

  constructor(caller: Caller, view: VoteView) {
    this.caller = caller;
    this.view = view;
  }

  get stage(): VoteStage {
    return this.view.stage;
  }

  get title(): string {
    return this.view.title;
  }

  get questions(): readonly Question[] {
    return this.view.questions;
  }

  get manifestHash(): string {
    return this.view.manifestHash;
  }

  protected call(method: string, ...args: unknown[]): Promise<unknown> {
    return this.caller.call(method, this.view.handle, ...args);
  }

  /** Seals one option index per question. @throws VotingError `voting.already-cast`, `voting.choice`, `voting.worker` */
  async prepare(choices: readonly number[]): Promise<Sealed> {
    const { sealed, view } = (await this.call("prepare", [...choices])) as SealedView;
    this.view = view;
    return sealed;
  }

  /** Back to choosing; only before casting. */
  async change(): Promise<void> {
    this.view = (await this.call("change")) as VoteView;
  }
}

/** `Vote` of `voter.ts`, living in the worker. */
export class BoothVote extends Remote {
  get record(): CastRecord | null {
    return this.view.record;
  }

  private keep(record: CastRecord): CastRecord {
    this.view = { ...this.view, record, stage: record.state };
    return record;
  }

  /** Sends the same ballot on every call until a promise has come. @throws VotingError like `Vote.cast`, and what `send` throws */
  async cast(send: SendBallot): Promise<CastRecord> {
    const record = this.keep((await this.call("begin")) as CastRecord);
    if (record.state !== "sending") return record;
    const answer = await send(record.ballot);
    if ("refused" in answer) this.view = { ...this.view, record: null, stage: "choosing" };
    return this.keep((await this.call("settle", answer)) as CastRecord);
  }

  /** @throws VotingError `voting.not-on-the-board`, `voting.note` */
  async checkInclusion(inclusion: InclusionJson): Promise<CastRecord> {
    return this.keep((await this.call("checkInclusion", inclusion)) as CastRecord);
  }
}

/** `PracticeVote` of `practice.ts`, living in the worker. */
export class BoothPractice extends Remote {
  async cast(): Promise<void> {
    this.view = (await this.call("castPractice")) as VoteView;
  }

  /** Opens the practice box: 0 or 1 per question and option. */
  async open(): Promise<number[][]> {
    return (await this.call("openPractice")) as number[][];
  }
}
