/** What the oldest browsers served (Chrome 100, Safari 15.4) do not have; tsconfig's `lib` keeps newer JavaScript out. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const SOURCE = new URL("../src/", import.meta.url);
const TOO_NEW = /AbortSignal\.(?:timeout|any)\b|\bURL\.(?:canParse|parse)\(|\bPromise\.(?:withResolvers|try)\b|\.(?:fromBase64|toBase64|fromHex)\(|\bnew Set\b[^;]*\.(?:union|intersection|difference)\(/g;

const tooNew = (text: string): string[] => [...text.matchAll(TOO_NEW)].map(([found]) => found);

test("no script asks for what the oldest browsers lack", () => {
  const found = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name))
    .flatMap((name) => tooNew(readFileSync(new URL(name, SOURCE), "utf8")).map((what) => `${name}: ${what}`));
  assert.deepEqual(found, []);
});

test("the compiler knows no library newer than ES2022", () => {
  const { compilerOptions } = JSON.parse(readFileSync(new URL("../tsconfig.json", import.meta.url), "utf8")) as { compilerOptions: { lib: string[] } };
  assert.deepEqual(compilerOptions.lib.filter((name) => name.startsWith("ES")), ["ES2022"]);
});

test("control: newer calls are found", () => {
  assert.equal(tooNew("AbortSignal.timeout(1); Promise.withResolvers(); Uint8Array.fromBase64(x);").length, 3);
});
