import assert from "node:assert/strict";
import { test } from "node:test";
import { same, utf8 } from "../../src/ballot/encoding.ts";
import { Unreadable } from "../../src/verifier/report.ts";
import { MAX_FILES } from "../../src/verifier/zip.ts";
import { type Entry, bundle, numbers, unpack, zip } from "./files.ts";

const content = utf8("every ballot counts ".repeat(40));
const good: Entry = { name: "a.txt", content };

test("stored and deflated members come out as they went in", async () => {
  const found = await unpack(zip([good, { name: "b", content, stored: true }, { name: "empty", content: new Uint8Array() }]));
  assert.deepEqual([...found.keys()], ["a.txt", "b", "empty"]);
  assert.ok(same(found.get("a.txt") ?? content.slice(1), content) && same(found.get("b") ?? content.slice(1), content));
  assert.equal(found.get("empty")?.length, 0);
});

const REFUSED: Record<string, () => Uint8Array<ArrayBuffer>> = {
  "a comment": () => zip([good], "a comment"),
  "sizes after the data": () => zip([{ ...good, flags: 8 }]),
  "nothing": () => new Uint8Array(),
  "cut at the end": () => zip([good]).slice(0, -1),
  "bytes after the end": () => new Uint8Array([...zip([good]), 0]),
  "bytes before the beginning": () => new Uint8Array([0, ...zip([good])]),
  "a name twice": () => zip([good, good]),
  "encrypted": () => zip([{ ...good, flags: 1 }]),
  "a directory": () => zip([{ name: "d/", content: new Uint8Array(), stored: true }]),
  "another method": () => zip([{ ...good, method: 14 }]),
  "a wrong checksum": () => zip([{ ...good, crc: 1 }]),
  "longer than it says": () => zip([{ ...good, size: content.length - 1 }]),
  "shorter than it says": () => zip([{ ...good, size: content.length + 1 }]),
  "stored with two sizes": () => zip([{ ...good, stored: true, size: 3 }]),
  "zip64": () => zip([{ ...good, size: 0xffffffff }]),
  "two names": () => zip([{ ...good, localName: "b.txt" }]),
  "more than the limit unpacked": () => zip([{ ...good, size: 2 ** 30 }, { ...good, name: "b", size: 1 }]),
  "too many files": () => zip(Array.from({ length: MAX_FILES + 1 }, (_, i) => ({ name: String(i), content: new Uint8Array(), stored: true }))),
};

for (const [name, make] of Object.entries(REFUSED)) {
  test(`refused: ${name}`, () => assert.rejects(unpack(make()), Unreadable));
}

test("a member that inflates without end is stopped at the size it says", async () => {
  const huge = zip([{ name: "bomb", content: new Uint8Array(2 ** 26), size: 1000 }]);
  await assert.rejects(unpack(huge), /longer than it says/);
});

test("a damaged zip gives the same files or is unreadable, and raises nothing else", async () => {
  const original = await unpack(bundle);
  const random = numbers(7);
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const raw = bundle.slice();
    // Half of the damage goes where the directory is.
    const at = round % 2 === 0 ? random.next().value % raw.length : raw.length - 1 - (random.next().value % 900);
    raw[at] = (raw[at] ?? 0) ^ (1 << (random.next().value % 8));
    try {
      const found = await unpack(raw);
      for (const [name, bytes] of found) if (original.has(name)) assert.ok(same(bytes, original.get(name) ?? new Uint8Array()), name);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      refused += 1;
    }
  }
  assert.ok(refused > 200, String(refused));
});
