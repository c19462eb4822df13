/** One reading of a board's ballots: V10 to V15 and V29, the totals, and who voted, with memory that does not grow by ballots. */
import { type ReadBallot, pointBytes } from "../ballot/ballot.ts";
import { type Bytes, type JsonObject, type Rng, b64u, concat, fromB64u, fromUtf8 } from "../ballot/encoding.ts";
import type { Replacement } from "../ballot/entries.ts";
import { VotingError } from "../ballot/errors.ts";
import { Lineages } from "../ballot/lineages.ts";
import type { OpenManifest } from "../ballot/manifest.ts";
import { leafHash } from "../ballot/merkle.ts";
import { voidMessage } from "../ballot/receipts.ts";
import { verifySignature } from "../ballot/signing.ts";
import { Sums } from "../ballot/verify.ts";
import type { Batch, BatchChecker, BatchOutcome } from "./batch.ts";
import type { ElectionFiles } from "./files.ts";
import type { BallotForm, BoardEntry, ElectorForm, EntryOf } from "./formats.ts";
import { PointSet } from "./points.ts";
import { CheckFailed } from "./report.ts";
import type { Work } from "./work.ts";

export type ScanCheck = "V10" | "V11" | "V12" | "V13" | "V14" | "V15" | "V29";

/** Ballots, or bytes of them, that are checked together; decoded, they take many times as much. */
const BATCH = 128;
const BATCH_BYTES = 512 * 1024;
const POINT = 32;
const FAULTS: Readonly<Record<"V11" | "V12" | "V13" | "V14", string>> = {
  V11: "the signature does not verify",
  V12: "its bytes are not those of an answer",
  V13: "a cell is not proved to be in its range",
  V14: "a sum of cells is not in its range",
};

/** A ballot of right form; its choices are looked at elsewhere. */
const asBallot = (form: BallotForm): ReadBallot => ({
  json: form as JsonObject, manifest: form.manifest, weight: form.weight, seq: form.seq, prev: form.prev,
  credential: fromB64u(form.credential), choices: form.choices.map((choice) => fromB64u(choice)), sig: fromB64u(form.sig),
});

export interface ScanOptions {
  manifest: OpenManifest;
  /** Null when V09 has failed: then lineages mean nothing. */
  electorate: readonly ElectorForm[] | null;
  files: ElectionFiles;
  checker: BatchChecker;
  work: Work;
  rng: Rng;
  onBallot: () => void;
}

export class Scan {
  /** What does not hold, by check; the first of each. */
  readonly faults = new Map<ScanCheck, string>();
  readonly lineages: Lineages;
  readonly sums: Sums;
  /** First credentials of the lineages that voted. */
  readonly voters = new Set<string>();
  /** Replacement entries with the first credential of their lineage. */
  readonly replacements: { entry: Replacement; first: string }[] = [];
  private readonly options: ScanOptions;
  private readonly points: PointSet;
  private readonly counted = new Map<string, Batch["leave"][number]>();
  private batch: Batch = { lines: [], leave: [] };
  private batchBytes = 0;
  private under: Promise<void>[] = [];
  private ballots = 0;

  private constructor(options: ScanOptions) {
    const { manifest, electorate, rng } = options;
    this.options = options;
    this.lineages = new Lineages(manifest, (electorate ?? []).map(({ credential, weight }) => [credential, weight] as const));
    this.sums = new Sums(manifest);
    this.points = new PointSet(rng);
  }

  static async run(options: ScanOptions): Promise<Scan> {
    const scan = new Scan(options);
    for await (const { line } of options.files.lines()) {
      await options.work.pause();
      await scan.take(JSON.parse(fromUtf8(line)) as BoardEntry, line);
    }
    await scan.send();
    await Promise.all(scan.under);
    if (scan.points.suspects.size > 0) await scan.compareSuspects();
    return scan;
  }

  private fault(id: ScanCheck, detail: string): void {
    if (!this.faults.has(id)) this.faults.set(id, detail);
  }

  /** Runs a rule of the board; a refusal is a fault of this check. */
  private hold<T>(id: ScanCheck, place: string, rule: () => T): T | null {
    try {
      return rule();
    } catch (error) {
      if (!(error instanceof VotingError || error instanceof CheckFailed)) throw error;
      this.fault(id, `${place}: ${error.message}`);
      return null;
    }
  }

  private async take(entry: BoardEntry, line: Bytes): Promise<void> {
    if (entry.type === "ballot") await this.ballot(asBallot(entry.ballot), line);
    else if (entry.type === "replacement") this.replacement(entry);
    else if (entry.type === "void") this.void(entry);
  }

  private replacement(entry: EntryOf<"replacement">): void {
    this.hold("V10", "a replacement", () => {
      const { first } = this.lineages.current(entry.old);
      this.lineages.replace(entry);
      this.replacements.push({ entry, first });
    });
  }

  private void(entry: EntryOf<"void">): void {
    const { manifest } = this.options;
    const read = { ...entry, sig: fromB64u(entry.sig) };
    this.hold("V10", "a void", () => this.lineages.void(read));
    this.hold("V29", "a void", () => {
      const signed = verifySignature(fromB64u(entry.credential), voidMessage(manifest.hash, fromB64u(entry.sealed)), read.sig);
      if (!signed) throw new CheckFailed("it is not signed by its credential");
      this.lineages.countVoid(read);
    });
  }

  private async ballot(ballot: ReadBallot, line: Bytes): Promise<void> {
    const { manifest, onBallot } = this.options;
    this.ballots += 1;
    const place = `ballot ${this.ballots}`;
    this.hold("V29", place, () => this.lineages.requireNotVoid(ballot));
    const lineage = this.hold("V10", place, () => this.lineages.vote(ballot, b64u(leafHash(line))));
    if (lineage !== null) this.voters.add(lineage.first);
    this.points.add(this.pointsOf(ballot));
    this.batch.lines.push(line.slice());
    this.batchBytes += line.length;
    if (lineage !== null && manifest.votingAgain === "last-counts") {
      const before = this.counted.get(lineage.first);
      if (before !== undefined) this.batch.leave.push(before);
      this.counted.set(lineage.first, { cells: this.cellsOf(ballot), weight: ballot.weight });
    }
    onBallot();
    if (this.batch.lines.length >= BATCH || this.batchBytes >= BATCH_BYTES) await this.send();
  }

  private pointsOf({ choices }: ReadBallot): Bytes[] {
    const { layouts, secret } = this.options.manifest;
    return secret ? layouts.flatMap((layout, q) => pointBytes(layout, choices[q] ?? new Uint8Array()).filter((point) => point.length === POINT)) : [];
  }

  /** α and β of every cell, or the plain values, in order. */
  private cellsOf({ choices }: ReadBallot): Bytes {
    const { layouts, secret } = this.options.manifest;
    if (!secret) return concat(...choices);
    return concat(
      ...layouts.flatMap(({ cells, most }, q) => {
        const step = 64 + 128 * (most + 1) - 32;
        return Array.from({ length: cells }, (_, i) => (choices[q] ?? new Uint8Array()).slice(i * step, i * step + 64));
      }),
    );
  }

  /** Hands the batch over; waits while too many are under way. */
  private async send(): Promise<void> {
    const { checker, manifest } = this.options;
    const { batch } = this;
    if (batch.lines.length === 0) return;
    const start = this.ballots - batch.lines.length;
    this.batch = { lines: [], leave: [] };
    this.batchBytes = 0;
    const done = checker.check(manifest, batch).then((outcome) => this.heard(start, outcome));
    this.under.push(done);
    if (this.under.length > 2 * checker.lanes) await this.under.shift();
  }

  private heard(start: number, { faults, sums, counts }: BatchOutcome): void {
    for (const id of ["V11", "V12", "V13", "V14"] as const) {
      const index = faults[id];
      if (index !== undefined) this.fault(id, `ballot ${start + index + 1}: ${FAULTS[id]}`);
    }
    this.sums.add({ sums, counts });
  }

  /** Reads the ballots once more and compares the points whose hashes occurred twice. */
  private async compareSuspects(): Promise<void> {
    const owners = new Map<string, number>();
    let index = 0;
    for await (const { line } of this.options.files.lines()) {
      await this.options.work.pause();
      const entry = JSON.parse(fromUtf8(line)) as BoardEntry;
      if (entry.type !== "ballot") continue;
      index += 1;
      for (const point of this.pointsOf(asBallot(entry.ballot))) {
        if (!this.points.suspects.has(this.points.hash(point))) continue;
        const name = b64u(point);
        if ((owners.get(name) ?? index) !== index) this.fault("V15", `ballot ${index}: a point of ballot ${owners.get(name)}`);
        owners.set(name, index);
      }
    }
  }
}
