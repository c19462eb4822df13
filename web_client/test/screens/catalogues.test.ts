import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { choose, createI18n, fill, LANGUAGES, type Message } from "../../src/i18n/core.ts";

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

/** The groups that a screen of the application asks for; the shell has the rest. */
const GROUPS = [...readFileSync(new URL("index.ts", FOLDER), "utf8").matchAll(/^ {2}(\w+): group\(/gm)].map(([, name]) => name ?? "");
const PREFIXES = ["", "booth_", "booth_audit_", "errors_", "rules_", ...GROUPS.map((group) => `${group}_`)];
// Sentences that hold nothing but places and marks.
const SAME: Record<string, readonly string[]> = { "": ["result.percent", "sign-in.title"], conduct_: ["room.item"] };

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
    assert.deepEqual(same, SAME[prefix] ?? []);
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

/** Keys that a file writes out in full; those that it puts together end in `*`. */
function keysIn(text: string): Set<string> {
  const keys = new Set<string>();
  for (const found of text.matchAll(/"([a-z][\w.-]*)"/g)) keys.add(found[1] ?? "");
  for (const found of text.matchAll(/`([a-z][\w.-]*\.)\$\{/g)) keys.add(`${found[1] ?? ""}*`);
  return keys;
}

const names = (used: Set<string>, key: string): boolean =>
  used.has(key) || [...used].some((pattern) => pattern.endsWith("*") && key.startsWith(pattern.slice(0, -1)));

function keysInCode(): Set<string> {
  const keys = new Set<string>();
  const walk = (folder: URL): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const url = new URL(`${entry.name}${entry.isDirectory() ? "/" : ""}`, folder);
      if (entry.isDirectory()) walk(url);
      else if (/\.tsx?$/.test(entry.name)) for (const key of keysIn(readFileSync(url, "utf8"))) keys.add(key);
    }
  };
  walk(new URL("../../src/", import.meta.url));
  return keys;
}

test("no sentence is left that no screen shows", () => {
  const used = keysInCode();
  const all = PREFIXES.flatMap((prefix) => Object.keys(read(`${prefix}en.json`)));
  assert.deepEqual(all.filter((key) => !names(used, key)), []);
});

interface Part {
  file: URL;
  groups: readonly string[];
}

const LAZY = /lazy<.*?import\("([^"]+)"\)\)\.\w+(?:, \[([^\]]*)\])?\)/g;

/** A file, what it imports without being lazy, and the parts that it loads lazily with their groups. */
function reach(entry: URL): { texts: string[]; lazily: Part[] } {
  const seen = new Set<string>();
  const texts: string[] = [];
  const lazily: Part[] = [];
  const waiting = [entry];
  for (let file = waiting.pop(); file; file = waiting.pop()) {
    if (seen.has(file.href)) continue;
    seen.add(file.href);
    const text = readFileSync(file, "utf8");
    const here = file;
    const rest = text.replace(LAZY, (_, path: string, groups = "") => {
      lazily.push({ file: new URL(path, here), groups: [...(groups as string).matchAll(/"(\w+)"/g)].map(([, name]) => name ?? "") });
      return "";
    });
    texts.push(rest);
    for (const [, path] of rest.matchAll(/(?:from |import\()"(\.[^"]+\.tsx?)"/g)) waiting.push(new URL(path ?? "", file));
  }
  return { texts, lazily };
}

/** Sentences of a group that a part says without having asked for the group, or for which its own page has not. */
function unasked(part: Part, groups: Map<string, string[]>): string[] {
  const { texts, lazily } = reach(part.file);
  const used = keysIn(texts.join("\n"));
  const missing = [...groups].flatMap(([group, keys]) => (part.groups.includes(group) ? [] : keys.filter((key) => names(used, key)).map((key) => `${group}: ${key}`)));
  return [...missing, ...lazily.flatMap((inner) => unasked({ ...inner, groups: [...inner.groups, ...part.groups] }, groups))];
}

const APP: Part = { file: new URL("../../src/app.tsx", import.meta.url), groups: [] };
const GROUP_KEYS = new Map(GROUPS.map((group) => [group, Object.keys(read(`${group}_en.json`))]));

test("every screen asks for the groups whose sentences it says", () => {
  assert.ok(reach(APP.file).lazily.length > 10 && GROUPS.length > 3);
  const plain = [...GROUP_KEYS.values()].flat().filter((key) => !key.includes("."));
  assert.deepEqual(plain, [], "a key of a group has a dot, so that no other word of the code looks like it");
  assert.deepEqual(unasked(APP, GROUP_KEYS), []);
});

test("control: a sentence of the shell that were in a group only is found, and so is one of a screen that asks for nothing", () => {
  assert.ok(unasked(APP, new Map([["papers", ["sign-out"]]])).includes("papers: sign-out"));
  const teller: Part = { file: new URL("../../src/screens/teller.tsx", import.meta.url), groups: [] };
  assert.ok(unasked(teller, GROUP_KEYS).includes("teller: teller.step.compare"));
});

test("no sentence stands in two catalogues of the application", () => {
  const all = ["", "errors_", "rules_", ...GROUPS.map((group) => `${group}_`)].flatMap((prefix) => Object.keys(read(`${prefix}en.json`)));
  assert.equal(new Set(all).size, all.length);
});

test("a group comes in the page's language, also when that changes while it loads", async () => {
  const part = (sentence: string) => Promise.resolve({ default: { [sentence.split(" ")[0] ?? ""]: sentence } });
  const base = { en: () => part("a base"), vi: () => part("a nền") };
  const papers = { en: () => part("b papers"), vi: () => part("b giấy") };
  const broken = { en: () => Promise.reject(new Error("offline")), vi: () => Promise.reject(new Error("offline")) };
  const i18n = createI18n<{ a: string; b: string }, "papers" | "broken">(base, { papers, broken });
  const told = { lang: "", dir: "" };
  Object.assign(globalThis, { document: { documentElement: told } });
  await i18n.use("en");
  assert.equal(i18n.lookup("b"), null);
  await Promise.all([i18n.need(["papers"]), i18n.use("vi")]);
  assert.deepEqual([i18n.t("a"), i18n.t("b"), told.lang], ["a nền", "b giấy", "vi"]);
  await assert.rejects(i18n.need(["broken"]));
  await i18n.use("en");
  assert.deepEqual([i18n.t("a"), i18n.t("b"), told.lang], ["a base", "b papers", "en"]);
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
