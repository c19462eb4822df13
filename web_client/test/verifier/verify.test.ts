import assert from "node:assert/strict";
import { test } from "node:test";
import { type JsonObject, concat, jcs, utf8 } from "../../src/ballot/encoding.ts";
import { Malformed, type CheckId, ANNEX_CHECKS, CHECK_IDS, exitCode } from "../../src/verifier/report.ts";
import { count, items, parseJson, record, text } from "../../src/verifier/shapes.ts";
import { type VerifyOptions, verify as verifyBlobs } from "../../src/verifier/verify.ts";
import { Stopped } from "../../src/verifier/work.ts";
import { annex, blob, bundle, numbers, unpack, zip } from "./files.ts";

const verify = (made: Uint8Array<ArrayBuffer>, more: Uint8Array<ArrayBuffer> | null, options: VerifyOptions = {}) =>
  verifyBlobs(blob(made), more === null ? null : blob(more), options);

const firstFailed = (report: { checks: { id: CheckId; ok: boolean | null }[] }): CheckId | null =>
  report.checks.find(({ ok }) => ok === false)?.id ?? null;

test("the published record passes every check, and says what it proves", async () => {
  const { report, results } = await verify(bundle, annex);
  assert.deepEqual(report.checks.filter(({ ok }) => ok !== true), []);
  assert.deepEqual([report.verdict, exitCode(report)], ["ok", 0]);
  assert.equal(results?.annex, true);
  assert.match(results.fingerprint, /^[0-9a-f]{64}$/);
  assert.deepEqual(report.elections.map(({ election }) => election), ["vote-1", "vote-2", "vote-3"]);
  for (const { cast, counts } of report.elections) for (const row of counts) assert.equal(row.reduce((sum, n) => sum + n, 0), cast);
});

test("without the annex its checks are null", async () => {
  const { report, results } = await verify(bundle, null);
  assert.deepEqual(report.checks.filter(({ ok }) => ok === null).map(({ id }) => id), ANNEX_CHECKS);
  assert.deepEqual([report.verdict, results?.annex], ["ok", false]);
});

test("an unreadable file has no results and no check", async () => {
  const { report, results } = await verify(utf8("hello"), null);
  assert.deepEqual([report.verdict, exitCode(report), results], ["unreadable", 2, null]);
  assert.ok(report.checks.every(({ ok }) => ok === null));
});

/** The published bundle with one file changed, or left out when `change` gives null. */
async function changed(name: string, change: (content: Uint8Array<ArrayBuffer>) => Uint8Array | null): Promise<Uint8Array<ArrayBuffer>> {
  const entries = [...(await unpack(bundle))].map(([file, content]) => ({ name: file, content: file === name ? change(content) : content }));
  return zip(entries.flatMap((entry) => (entry.content === null ? [] : [{ ...entry, content: entry.content }])));
}

const json =
  (change: (value: JsonObject) => void) =>
  (content: Uint8Array): Uint8Array => {
    const value = JSON.parse(new TextDecoder().decode(content)) as JsonObject;
    change(value);
    return jcs(value);
  };

const SPOILED: [string, string, (content: Uint8Array<ArrayBuffer>) => Uint8Array | null, CheckId | null][] = [
  ["a missing file", "roll.json", () => null, null],
  ["a missing board", "elections/vote-1/board.jsonl", () => null, null],
  ["a long line", "elections/vote-1/board.jsonl", (content) => concat(content, new Uint8Array(256 * 1024 + 1).fill(0x61), utf8("\n")), null],
  ["white space", "roll.json", (content) => concat(content, utf8("\n")), "V01"],
  ["a long README", "README.txt", () => new Uint8Array(64 * 1024 + 1).fill(0x61), "V01"],
  ["a README that is no text", "README.txt", () => new Uint8Array([0xff]), "V01"],
  ["a surplus field", "bundle.json", json((value) => (value["x"] = 1)), "V01"],
  ["an election twice", "bundle.json", json((value) => (value["elections"] as string[]).push("vote-1")), "V01"],
  ["another protocol", "bundle.json", json((value) => (value["protocol"] = "fm2")), "V02"],
  ["an empty board", "elections/vote-1/board.jsonl", () => new Uint8Array(), "V02"],
  ["too many trustees", "keygen.json", json((value) => (value["count"] = 10)), "V02"],
  ["a cut checkpoint", "elections/vote-1/final.txt", (content) => content.slice(0, -1), "V08"],
  ["an empty ledger note", "ledger.json", json((value) => (value["checkpoint"] = "")), "V03"],
];

for (const [name, file, change, expected] of SPOILED) {
  test(`${name}: ${expected ?? "unreadable"}`, async () => {
    assert.ok((await unpack(bundle)).has(file), file);
    const { report } = await verify(await changed(file, change), annex);
    assert.deepEqual([report.verdict, firstFailed(report)], [expected === null ? "unreadable" : "failed", expected]);
  });
}

test("control: the same bundle packed anew passes", async () => {
  assert.equal((await verify(await changed("", () => null), annex)).report.verdict, "ok");
});

test("any changed byte of any file is noticed, and nothing is raised", async () => {
  const names = [...(await unpack(bundle))].filter(([name, { length }]) => name !== "README.txt" && length > 0).map(([name]) => name);
  const random = numbers(11);
  for (let round = 0; round < 30; round++) {
    const name = names[random.next().value % names.length] ?? "";
    const spoiled = await changed(name, (content) => {
      const copy = content.slice();
      const place = random.next().value % copy.length;
      copy[place] = (copy[place] ?? 0) ^ (1 << (random.next().value % 7));
      return copy;
    });
    const { report } = await verify(spoiled, annex);
    // A bit of a signature that nobody needs (a cosigner beyond the quorum) is the one thing that may change.
    if (report.verdict === "ok") assert.match(name, /closing\.txt$/);
  }
});

test("progress is told check by check", async () => {
  const told: string[] = [];
  await verify(bundle, annex, {
    onStart: (id) => told.push(`start ${id}`),
    onCheck: ({ id, ok }) => told.push(`${id} ${ok}`),
    onProgress: (id, done, total) => assert.ok(done >= 1 && done <= total && CHECK_IDS.includes(id)),
  });
  assert.deepEqual(told, CHECK_IDS.flatMap((id) => [`start ${id}`, `${id} true`]));
});

test("it stops when asked, in the middle", async () => {
  let at: CheckId = "V01";
  let clock = 0;
  const options = { now: () => (clock += 100), stopped: () => at === "V13", onStart: (id: CheckId) => (at = id) };
  await assert.rejects(verify(bundle, annex, options), Stopped);
  assert.equal(at, "V13");
});

const shape = record({ a: items(count), b: text() });

test("JSON is strict", () => {
  assert.deepEqual(parseJson(utf8('{"a":[1,2],"b":"é"}'), shape, "it"), { a: [1, 2], b: "é" });
  const refused = [
    '{"a":[1,2],"a":[1,2],"b":"x"}', '{"b":"x","a":[]}', '{"a":[1.5],"b":"x"}', '{"a":[1e0],"b":"x"}', '{"a":[-0],"b":"x"}', '{"a":[null],"b":"x"}',
    '{"a":[9007199254740992],"b":"x"}', '{"a":[],"b":"e\u0301"}', '{"a":[],"b":"\\ud800"}', '{"a":[],"b":"\\u00e9"}', '{"a":[],"b":"x","c":1}', '{"a":[]}',
    '{"a":[],"b":"x"} ', '\ufeff{"a":[],"b":"x"}', '{"__proto__":1,"a":[],"b":"x"}', `${"[".repeat(5000)}${"]".repeat(5000)}`, "", "null",
  ];
  for (const source of refused) assert.throws(() => parseJson(utf8(source), shape, "it"), Malformed, source.slice(0, 40));
});
