/** annex.json item by item: the same as read at once, however the file comes in pieces, and nothing but canonical JSON. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, type Json, jcs, utf8 } from "../../src/ballot/encoding.ts";
import { MAX_ITEM, readAgain, readObject } from "../../src/verifier/long_json.ts";
import { Malformed } from "../../src/verifier/report.ts";
import { type Shape, count, freeText } from "../../src/verifier/shapes.ts";

const anything: Shape<Json> = (value) => value ?? assert.fail();
const form = { fields: { b: count, text: freeText(1000) }, lists: { a: anything, c: anything } };
const good = { a: [{ x: 1 }, { x: [true, 'ệ\\"]}'] }, "t]", 7], b: 5, c: [], text: 'a"[{,' };

async function* cut(bytes: Bytes, size: number): AsyncGenerator<Bytes, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

async function read(bytes: Bytes, size = bytes.length): Promise<[string, unknown][]> {
  const found: [string, unknown][] = [];
  for await (const [name, value, raw] of readObject(cut(bytes, size), form, "file")) {
    assert.deepEqual(jcs(value as Json), raw.slice());
    found.push([name, value]);
  }
  return found;
}

const expected = [...good.a.map((one): [string, unknown] => ["a", one]), ["b", 5], ["text", good.text]];

test("the same values come however the file is cut", async () => {
  const bytes = jcs(good);
  for (let size = 1; size <= bytes.length; size++) {
    assert.deepEqual(await read(bytes, size), expected);
    const again: unknown[] = [];
    for await (const one of readAgain(cut(bytes, size), form, "a", "file")) again.push(JSON.parse(Buffer.from(one).toString()));
    assert.deepEqual(again, good.a);
  }
});

test("a file without one byte, or with one byte more, is refused", async () => {
  const bytes = jcs(good);
  let taken = 0;
  for (let at = 0; at < bytes.length; at++) {
    for (const changed of [[...bytes.slice(0, at), ...bytes.slice(at + 1)], [...bytes.slice(0, at), 0x20, ...bytes.slice(at)]]) {
      try {
        const found = await read(Uint8Array.from(changed));
        // What is still taken says what it says in the one way there is: letters of a text or a digit less.
        const values = (name: string): unknown[] => found.filter(([one]) => one === name).map(([, value]) => value);
        assert.deepEqual(jcs({ a: values("a"), b: values("b")[0], c: values("c"), text: values("text")[0] } as Json), Uint8Array.from(changed));
        taken += 1;
      } catch (error) {
        assert.ok(error instanceof Malformed, String(error));
      }
    }
  }
  assert.ok(taken > 0 && taken < bytes.length / 2, String(taken));
});

const REFUSED: Record<string, string> = {
  "a space": '{"a":[], "b":5,"c":[],"text":""}',
  "fields out of order": '{"b":5,"a":[],"c":[],"text":""}',
  "a field twice": '{"a":[],"a":[],"b":5,"c":[],"text":""}',
  "a field missing": '{"a":[],"c":[],"text":""}',
  "a field more": '{"a":[],"b":5,"c":[],"text":"","z":1}',
  "no list": '{"a":{},"b":5,"c":[],"text":""}',
  "a comma too many": '{"a":[1,],"b":5,"c":[],"text":""}',
  "brackets that do not fit": '{"a":[{"x":1]],"b":5,"c":[],"text":""}',
  "a field twice in an item": '{"a":[{"x":1,"x":1}],"b":5,"c":[],"text":""}',
  "another shape": '{"a":[],"b":"5","c":[],"text":""}',
  "something after the end": '{"a":[],"b":5,"c":[],"text":""}\n',
  "no end": '{"a":[],"b":5,"c":[],"text":""',
  nothing: "",
  "an item nested too deeply": `{"a":[${"[".repeat(15)}${"]".repeat(15)}],"b":5,"c":[],"text":""}`,
  "a long item": `{"a":["${"x".repeat(MAX_ITEM)}"],"b":5,"c":[],"text":""}`,
};

for (const [name, text] of Object.entries(REFUSED)) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(read(utf8(text), 1000), Malformed);
  });
}

test("control: the deepest and the longest item that is taken", async () => {
  const deep = `${"[".repeat(14)}${"]".repeat(14)}`;
  const long = JSON.stringify("x".repeat(MAX_ITEM - 2));
  const found = await read(utf8(`{"a":[${deep},${long}],"b":5,"c":[],"text":""}`), 1000);
  assert.equal(found.length, 4);
});
