import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { choose, fill, LANGUAGES, type Message } from "../../src/i18n/core.ts";

const FOLDER = new URL("../../src/i18n/", import.meta.url);
type Catalogue = Record<string, Message>;

const read = (name: string): Catalogue => JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as Catalogue;

const placeholders = (text: string): string[] => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? ""))].toSorted();
const sentences = (message: Message): string[] => (typeof message === "string" ? [message] : Object.values(message));

/** Everything in which a translation differs from what the English catalogue asks for. */
function differences(english: Catalogue, other: Catalogue, language: string): string[] {
  const found: string[] = [];
  for (const key of Object.keys(english)) if (!(key in other)) found.push(`${key}: missing`);
  for (const key of Object.keys(other)) if (!(key in english)) found.push(`${key}: unknown`);
  const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
  for (const [key, message] of Object.entries(other)) {
    const model = english[key];
    if (model === undefined) continue;
    if (typeof model !== typeof message) found.push(`${key}: counted in one language only`);
    else if (typeof message !== "string") {
      for (const category of categories) if (!(category in message)) found.push(`${key}: no ${category}`);
    }
    const wanted = placeholders(sentences(model).join(" "));
    for (const sentence of sentences(message)) {
      const has = placeholders(sentence);
      const fits = typeof message === "string" ? has.join() === wanted.join() : has.every((name) => wanted.includes(name)) && wanted.every((name) => name === "n" || has.includes(name));
      if (!fits) found.push(`${key}: ${has.join()} instead of ${wanted.join()}`);
      if (sentence.trim() === "") found.push(`${key}: empty`);
    }
  }
  return found;
}

const PREFIXES = ["", "booth_", "booth_audit_", "errors_", "rules_"];

for (const prefix of PREFIXES) {
  const english = read(`${prefix}en.json`);
  for (const { code } of LANGUAGES) {
    test(`${prefix}${code}.json has the same keys, plurals and places as English`, () => {
      assert.deepEqual(differences(english, read(`${prefix}${code}.json`), code), []);
    });
  }
  test(`${prefix}vi.json is translated`, () => {
    const other = read(`${prefix}vi.json`);
    const same = Object.keys(english).filter((key) => JSON.stringify(english[key]) === JSON.stringify(other[key]));
    // Sentences that hold nothing but places and marks.
    assert.deepEqual(same, prefix === "" ? ["result.percent", "room.item", "sign-in.title"] : []);
  });
}

test("every catalogue has a file for each language and no other", () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
  assert.deepEqual(files.toSorted(), PREFIXES.flatMap((prefix) => [`${prefix}en.json`, `${prefix}vi.json`]).toSorted());
});

test("control: a missing key, a missing plural and a wrong place are found", () => {
  const english: Catalogue = { a: "x {n}", b: { one: "{n} y", other: "{n} ys" }, c: "z" };
  const planted: Catalogue = { a: "x {m}", b: { other: "{n} ys" } };
  assert.deepEqual(differences(english, planted, "en"), ["c: missing", "a: m instead of n", "b: no one"]);
});

test("a count picks its sentence by the language's own rule", () => {
  const message = { one: "{n} vote", other: "{n} votes" };
  assert.equal(fill(choose(message, 1, "en"), { n: 1 }, "en"), "1 vote");
  assert.equal(fill(choose(message, 1200, "en"), { n: 1200 }, "en"), "1,200 votes");
  assert.equal(choose({ other: "{n} phiếu" }, 1, "vi"), "{n} phiếu");
});

/** Keys that the code writes out in full. */
function keysInCode(): Set<string> {
  const keys = new Set<string>();
  const walk = (folder: URL): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const url = new URL(`${entry.name}${entry.isDirectory() ? "/" : ""}`, folder);
      if (entry.isDirectory()) walk(url);
      else if (/\.tsx?$/.test(entry.name)) {
        const text = readFileSync(url, "utf8");
        for (const found of text.matchAll(/"([a-z][\w.-]*)"/g)) keys.add(found[1] ?? "");
        for (const found of text.matchAll(/`([a-z][\w.-]*\.)\$\{/g)) keys.add(`${found[1] ?? ""}*`);
      }
    }
  };
  walk(new URL("../../src/", import.meta.url));
  return keys;
}

test("no sentence is left that no screen shows", () => {
  const used = keysInCode();
  const shown = (key: string): boolean =>
    used.has(key) || [...used].some((pattern) => pattern.endsWith("*") && key.startsWith(pattern.slice(0, -1)));
  const all = PREFIXES.flatMap((prefix) => Object.keys(read(`${prefix}en.json`)));
  assert.deepEqual(all.filter((key) => !shown(key)), []);
});

/** Codes in a section of the list of errors. */
function codesOf(section: string): string[] {
  const text = readFileSync(new URL("../../../docs/spec/errors.md", import.meta.url), "utf8");
  const part = text.split(/^## /m).find((each) => each.startsWith(section)) ?? "";
  return [...part.matchAll(/^\| `([a-z.-]+)`/gm)].map(([, code]) => code ?? "");
}

const said = (catalogue: Catalogue, code: string): boolean => `error.${code}` in catalogue || `error.${code.split(".")[0] ?? ""}` in catalogue;

test("every refusal of the server has a plain sentence in every language", () => {
  // Errors of starting the program are printed in a terminal, never sent.
  const codes = [...codesOf("Server"), ...codesOf("Media"), ...codesOf("Voting")].filter((code) => !code.startsWith("start."));
  assert.ok(codes.length > 100);
  for (const { code: language } of LANGUAGES) {
    const catalogue = read(`errors_${language}.json`);
    assert.deepEqual(codes.filter((code) => !said(catalogue, code)), [], language);
  }
});

test("control: an unknown code has no sentence", () => {
  assert.equal(said(read("errors_en.json"), "nowhere.never"), false);
});
