/** What a long board may take: little for each ballot, no more of a file than is asked for, few batches under way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { b64u, concat, utf8 } from "../../src/ballot/encoding.ts";
import type { OpenManifest } from "../../src/ballot/manifest.ts";
import { systemRng } from "../../src/ballot/signing.ts";
import { Sums } from "../../src/ballot/verify.ts";
import type { Batch, BatchChecker, BatchOutcome } from "../../src/verifier/batch.ts";
import type { ElectionFiles } from "../../src/verifier/files.ts";
import { Scan } from "../../src/verifier/scan.ts";
import { Work } from "../../src/verifier/work.ts";
import { Archive } from "../../src/verifier/zip.ts";
import { makeWorld } from "../ballot/world.ts";
import { zip } from "./files.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** Board lines of one ballot for each credential, right in form and place; nothing in them is proved. */
async function* boardLines({ id, layouts }: OpenManifest, credentials: readonly string[], bytes = layouts[0]?.bytes ?? 0): AsyncGenerator<{ line: ReturnType<typeof utf8> }, void, undefined> {
  for (const credential of credentials) {
    const choices = layouts.map(() => b64u(systemRng(bytes)));
    const ballot = { choices, credential, manifest: id, prev: "", seq: 1, sig: b64u(systemRng(64)), v: 1, weight: 1 };
    yield { line: utf8(JSON.stringify({ ballot, type: "ballot" })) };
  }
}

const someCredentials = (count: number): string[] => Array.from({ length: count }, () => b64u(systemRng(32)));

function scan(manifest: OpenManifest, credentials: readonly string[], checker: BatchChecker, bytes?: number): Promise<Scan> {
  return Scan.run({
    manifest, checker, work: new Work(), rng: systemRng, onBallot: () => undefined,
    electorate: credentials.map((credential) => ({ credential, weight: 1, name: "" })),
    files: { lines: () => boardLines(manifest, credentials, bytes) } as unknown as ElectionFiles,
  });
}

/** Finds nothing wrong; `heard` gets each batch. */
function agreeing(lanes: number, heard: (batch: Batch) => void | Promise<void>): BatchChecker {
  const check = async (manifest: OpenManifest, batch: Batch): Promise<BatchOutcome> => {
    await heard(batch);
    return { faults: {}, ...new Sums(manifest).result() };
  };
  return { lanes, check, stop: () => undefined };
}

/** Bytes in use, in the heap and in buffers. */
function inUse(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test("what is kept of a ballot is far less than the ballot", async () => {
  const { manifest } = await makeWorld(5);
  const count = 7500;
  const kept = async (checker: BatchChecker): Promise<number> => {
    const credentials = someCredentials(count);
    const before = inUse();
    const done = await scan(manifest, credentials, checker);
    const bytes = (inUse() - before) / count;
    assert.deepEqual([...done.faults], []);
    assert.deepEqual([done.lineages.cast, done.voters.size], [count, count]);
    return bytes;
  };
  const few = await kept(agreeing(1, () => undefined));
  assert.ok(few < 1000, `${few} bytes for each ballot`);
  const batches: Batch[] = [];
  const many = await kept(agreeing(1, (batch) => void batches.push(batch)));
  assert.ok(batches.length > 0 && many > 2000, `${many} bytes where every ballot is kept`);
});

test("the reader waits for those who check", async () => {
  const { manifest } = await makeWorld(5);
  const credentials = someCredentials(1300);
  /** Batches that are handed over before any is answered, when the reader is left alone. */
  const ahead = async (lanes: number, enough: number): Promise<number> => {
    let [calls, reached, answer]: [number, () => void, () => void] = [0, () => undefined, () => undefined];
    const full = new Promise<void>((resolve) => (reached = resolve));
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const heard = (): Promise<void> => {
      calls += 1;
      if (calls === enough) reached();
      return answered;
    };
    const scanning = scan(manifest, credentials, agreeing(lanes, heard));
    await full;
    await turns(2000);
    const before = calls;
    answer();
    assert.equal((await scanning).lineages.cast, credentials.length);
    return before;
  };
  assert.equal(await ahead(1, 3), 3);
  assert.equal(await ahead(2, 5), 5);
  assert.equal(await ahead(100, 11), 11, "without a bound, every batch is handed over");
});

test("large ballots are checked in smaller batches", async () => {
  const { manifest } = await makeWorld(5);
  const batches = async (bytes?: number): Promise<number[][]> => {
    const found: number[][] = [];
    await scan(manifest, someCredentials(300), agreeing(1, ({ lines }) => void found.push(lines.map(({ length }) => length))), bytes);
    assert.equal(found.flat().length, 300);
    return found;
  };
  const sum = (sizes: number[]): number => sizes.reduce((all, size) => all + size, 0);
  assert.deepEqual((await batches()).map(({ length }) => length), [128, 128, 44], "ordinary ballots fill their batches");
  const large = await batches(48 * 1024);
  assert.ok(large.every((sizes) => sum(sizes.slice(0, -1)) < 512 * 1024), "a batch ends with the ballot that fills it");
  assert.ok(large.every(({ length }) => length <= 8));
});

/** A file that says how much of it was read. */
class Watched extends Blob {
  private readonly tell: (bytes: number) => void;

  constructor(parts: BlobPart[], tell: (bytes: number) => void) {
    super(parts);
    this.tell = tell;
  }

  override slice(start?: number, end?: number): Blob {
    return new Watched([super.slice(start, end)], this.tell);
  }

  override arrayBuffer(): Promise<ArrayBuffer> {
    this.tell(this.size);
    return super.arrayBuffer();
  }
}

test("of a packed file no more is read than is asked for", async () => {
  const size = 8 * 2 ** 20;
  const content = concat(...Array.from({ length: size / 65536 }, () => systemRng(65536)));
  for (const stored of [false, true]) {
    let [taken, allTaken]: [number, () => void] = [0, () => undefined];
    const whole = new Promise<void>((resolve) => (allTaken = resolve));
    const raw = new Watched([zip([{ name: "a", content, stored }])], (bytes) => {
      taken += bytes;
      if (taken >= size) allTaken();
    });
    const pieces = (await Archive.open(raw)).stream("a");
    assert.ok(!(await pieces.next()).done);
    await turns(20_000);
    assert.ok(taken < 2 ** 20, `${taken} bytes were read for one piece`);
    // The same file, by a reader that asks for everything.
    const [left] = await Promise.all([(async () => { let sum = 0; for await (const piece of pieces) sum += piece.length; return sum; })(), whole]);
    assert.ok(left > size - 2 ** 20, "the rest comes when it is asked for");
  }
});

test("a reader that stops early leaves nothing behind that fails", async () => {
  const content = concat(...Array.from({ length: 40 }, () => systemRng(65536)));
  const archive = await Archive.open(new Blob([zip([{ name: "a", content }])]));
  for await (const piece of archive.stream("a")) {
    assert.ok(piece.length > 0);
    break;
  }
  await turns(1000);
  assert.deepEqual(await archive.read("a"), content);
});
