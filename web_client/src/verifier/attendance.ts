/** Check V34: the attendance log of the annex gives every mark that the ledger has of it. */
import { statementHash } from "../ballot/challenges.ts";
import { type Bytes, H, type JsonObject, b64u, fromB64u, jcs } from "../ballot/encoding.ts";
import type { OpenManifest } from "../ballot/manifest.ts";
import { type CheckRun, type Context, annexOf, rollEntry, within } from "./context.ts";
import type { Annex, LogEvent, Mark } from "./formats.ts";
import { NotApplicable, given, hold } from "./report.ts";

/** Departures after which a sign of life takes a member back without another check-in. */
const RETURNING: ReadonlySet<string | undefined> = new Set(["lost", "cut"]);

/** The hash that the ledger has of a mark. */
export const markHash = (meeting: string, mark: Mark): Bytes => H("fm1/attendance-mark", meeting, jcs(mark as JsonObject));

function quorumMet({ rules, rollSize, rollWeight }: OpenManifest, { present, present_weight: weight }: Mark): boolean {
  const { num, den, in: unit } = rules.quorum;
  const [count, base] = unit === "votes" ? [weight, rollWeight] : [present, rollSize];
  return BigInt(count) * BigInt(den) >= BigInt(num) * BigInt(base);
}

/** Folds the lines of a log: who is present, and their weight, after the `count` events taken so far. */
class Replay {
  head: Bytes;
  count = 0;
  weight = 0;
  readonly present = new Set<string>();
  private readonly annex: Annex;
  /** Whose statement a check-in's hash names. */
  private readonly signed: ReadonlyMap<string, string>;
  private last = 0;
  /** Why who is away has gone. */
  private readonly gone = new Map<string, string>();

  constructor(head: Bytes, annex: Annex, signed: ReadonlyMap<string, string>) {
    this.head = head;
    this.annex = annex;
    this.signed = signed;
  }

  take(line: Bytes, event: LogEvent): void {
    this.head = H("fm1/attendance", this.head, line);
    this.count += 1;
    hold(event.seq > this.last, "its number is not above that of the event before");
    this.last = event.seq;
    const { member } = event;
    const here = this.present.has(member);
    if (event.type === "departed") {
      hold(here, "a departure of somebody who was not there");
      this.weight -= this.weightOf(member);
      this.present.delete(member);
      this.gone.set(member, event.reason);
      return;
    }
    if (event.type === "arrived") hold(this.signed.get(event.statement) === member, "an arrival without the member's check-in");
    else hold(here || RETURNING.has(this.gone.get(member)), "a return of somebody who was not lost");
    if (here) return;
    this.weight += this.weightOf(member);
    this.present.add(member);
  }

  private weightOf(member: string): number {
    return given(rollEntry(this.annex, member), "the member's roll entry").weight;
  }
}

/** Whose statements were signed, by hash. */
async function statements({ work }: Context, annex: Annex): Promise<Map<string, string>> {
  const signed = new Map<string, string>();
  for await (const { assertion, checkpoint, credential, member, nonce, passkey, site, salt } of annex.again()) {
    await work.pause();
    const statement = { assertion, checkpoint, credential, member, nonce, passkey, site };
    signed.set(b64u(statementHash(fromB64u(salt), statement as JsonObject)), member);
  }
  return signed;
}

function requireMark({ elections }: Context, annex: Annex, mark: Mark, replay: Replay): void {
  const { manifest } = given(elections.find(({ files }) => files.id === mark.election), "the election");
  hold(mark.head === b64u(replay.head), "another head of the attendance log");
  hold(mark.present === replay.present.size, "another number present");
  hold(mark.present_weight === replay.weight, "another weight present");
  hold(mark.met === quorumMet(manifest, mark), "whether the quorum was met");
  if (mark.when !== "opening") return;
  hold(manifest.present === mark.present && manifest.presentWeight === mark.present_weight, "another number present than the manifest says");
  const electors = annex.checkins.filter(({ elections: theirs }) => theirs.includes(mark.election));
  hold(electors.every(({ member }) => replay.present.has(member)), "an elector was not present");
}

const attendance: CheckRun = async (context) => {
  const annex = annexOf(context);
  const marks = [...(context.bundle.attendance?.marks ?? [])];
  if (marks.length === 0) {
    hold(annex.log === null, "an attendance log that no mark vouches for");
    throw new NotApplicable("the record holds no attendance log");
  }
  const { log } = annex;
  hold(log !== null, "the annex has no attendance log");
  hold(log.start.meeting === context.bundle.info.meeting.id, "the attendance log is of another meeting");
  const head = H("fm1/attendance-start", log.start.meeting, fromB64u(log.start.salt));
  const replay = new Replay(head, annex, await statements(context, annex));
  const compare = async (): Promise<void> => {
    for (let mark = marks[0]; mark?.count === replay.count; mark = marks[0]) {
      const one = mark;
      await within(`${one.election}, ${one.when}`, () => requireMark(context, annex, one, replay));
      marks.shift();
    }
  };
  await compare();
  for await (const { line, event } of log.lines()) {
    await context.work.pause();
    await within(`attendance event ${replay.count + 1}`, () => {
      hold(marks.length > 0, "no mark vouches for it");
      replay.take(line, event);
    });
    await compare();
  }
  hold(marks.length === 0, "the attendance log ends before its last mark");
};

export const ATTENDANCE_CHECKS = { V34: attendance };
