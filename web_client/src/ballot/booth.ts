/** The booth as the page sees it: a few hundred bytes that call the worker; no key and no cryptography here. */
import type { CastRecord } from "../identity/keystore.ts";
import type { Place } from "./ballot.ts";
import type { AuditView, OpenRequest, PracticeRequest, SealedView, Terms, VoteView } from "./booth_service.ts";
import type { Question } from "./cells.ts";
import type { Bytes, JsonObject } from "./encoding.ts";
import type { Opening } from "./opening.ts";
import { Caller, type Channel } from "./rpc.ts";
import type { Announcement, Audit, InclusionJson, Sealed, SendBallot, VoteStage } from "./voter.ts";

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

  /** On a second device: what the fragment `#a=…` names, so that its manifest can be fetched. @throws VotingError `voting.audit` */
  async readOpening(fragment: string): Promise<Opening> {
    return (await this.caller.call("readOpening", fragment)) as Opening;
  }

  /** On a second device: builds the ballot anew. @throws VotingError `voting.audit`, `voting.manifest` */
  async rebuild(opening: Opening, manifest: JsonObject): Promise<AuditView> {
    return (await this.caller.call("rebuild", opening, manifest)) as AuditView;
  }

  /** On a second device: whether this board entry is the void of the audited vote. */
  async voided(opening: Opening, manifest: JsonObject, entry: JsonObject): Promise<boolean> {
    return (await this.caller.call("voided", opening, manifest, entry)) as boolean;
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

  get terms(): Terms {
    return this.view.terms;
  }

  get manifestHash(): string {
    return this.view.manifestHash;
  }

  protected call(method: string, ...args: unknown[]): Promise<unknown> {
    return this.caller.call(method, this.view.handle, ...args);
  }

  protected async viewed(method: string, ...args: unknown[]): Promise<void> {
    this.view = (await this.call(method, ...args)) as VoteView;
  }

  /** Seals the values of every question's cells (`answers.ts`). @throws VotingError `voting.already-cast`, `voting.choice`, `voting.worker` */
  async prepare(choices: readonly (readonly number[])[]): Promise<Sealed> {
    const { sealed, view } = (await this.call("prepare", choices)) as SealedView;
    this.view = view;
    return sealed;
  }

  /** Back to choosing; only before casting. */
  change(): Promise<void> {
    return this.viewed("change");
  }

  /** Forgets the vote and, at a kiosk, its key. */
  async close(): Promise<void> {
    await this.call("close");
  }
}

/** `Vote` of `voter.ts`, living in the worker. */
export class BoothVote extends Remote {
  get weight(): number {
    return this.view.weight;
  }

  /** This device's key in this vote, b64u. */
  get credential(): string {
    return this.view.credential;
  }

  get record(): CastRecord | null {
    return this.view.record;
  }

  private keep(record: CastRecord): CastRecord {
    this.view = { ...this.view, record, stage: record.state };
    return record;
  }

  /** Back to choosing after casting, where the last ballot counts. @throws VotingError `voting.already-cast` */
  again(): Promise<void> {
    return this.viewed("again");
  }

  /** What the passkey signs so that this device's key takes the place of `old` (b64u) in this vote. */
  async replacement(old: string, nonce: string, kiosk = false): Promise<{ challenge: Bytes; new: string }> {
    return (await this.call("replacement", old, nonce, kiosk)) as { challenge: Bytes; new: string };
  }

  /** Where the lineage stands, after the server has taken the replacement. */
  take(place: Place): Promise<void> {
    return this.viewed("take", place);
  }

  /** What fixes the sealed ballot at the server. @throws VotingError `voting.nothing-to-cast` */
  async announcement({ sealed }: Sealed): Promise<Announcement> {
    return (await this.call("announcement", sealed)) as Announcement;
  }

  /** Gives the sealed ballot up for the second device; send `entry` to the server. @throws VotingError `voting.nothing-to-cast` */
  async audit(): Promise<Audit> {
    const audit = (await this.call("audit")) as Audit;
    this.view = { ...this.view, stage: "choosing" };
    return audit;
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
  /** A code as after a real vote; "" before. */
  get tracker(): string {
    return this.view.tracker;
  }

  cast(): Promise<void> {
    return this.viewed("castPractice");
  }

  /** Opens the practice box: the value of each cell, per question. */
  async open(): Promise<number[][]> {
    return (await this.call("openPractice")) as number[][];
  }
}
