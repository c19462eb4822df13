import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { LANGUAGES, type Message } from "../../src/i18n/core.ts";
import { choose, combined, commandFor } from "../../src/auditor/files.ts";
import { readDigestFile } from "../../src/auditor/files.ts";
import { reportPage } from "../../src/auditor/saving.ts";
import { Runner } from "../../src/auditor/runner.ts";
import type { News, Order } from "../../src/verifier/protocol.ts";
import { CHECK_IDS, check } from "../../src/verifier/report.ts";
import { utf8 } from "../../src/ballot/encoding.ts";
import { annex, bundle } from "./files.ts";

const FOLDER = new URL("../../src/auditor/", import.meta.url);
const catalogue = (language: string): Record<string, Message> =>
  JSON.parse(readFileSync(new URL(`${language}.json`, FOLDER), "utf8")) as Record<string, Message>;
const places = (message: Message): string[] => [...JSON.stringify(message).matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "").toSorted();
const english = catalogue("en");

for (const { code } of LANGUAGES) {
  test(`the auditor's ${code}.json has the keys, places and plurals of the English one`, () => {
    const other = catalogue(code);
    assert.deepEqual(Object.keys(other), Object.keys(english).toSorted());
    for (const [key, message] of Object.entries(other)) {
      assert.deepEqual([...new Set(places(message))], [...new Set(places(english[key] ?? ""))], key);
      assert.equal(typeof message, typeof english[key], key);
      const categories = new Intl.PluralRules(code).resolvedOptions().pluralCategories;
      if (typeof message !== "string") assert.deepEqual(categories.filter((category) => !(category in message)), [], key);
    }
  });
}

test("the auditor's page is translated", () => {
  const vi = catalogue("vi");
  assert.deepEqual(Object.keys(english).filter((key) => JSON.stringify(vi[key]) === JSON.stringify(english[key])), []);
});

test("each check has its sentence, and no sentence is unused", () => {
  const sources = readdirSync(FOLDER).filter((name) => /\.tsx?$/.test(name)).map((name) => readFileSync(new URL(name, FOLDER), "utf8")).join("\n");
  const families = [...sources.matchAll(/`([a-z][\w.-]*\.)\$\{/g)].map(([, family]) => family ?? "");
  families.push("rule.", "check.");
  const unused = Object.keys(english).filter((key) => !sources.includes(`"${key}"`) && !families.some((family) => key.startsWith(family)));
  assert.deepEqual(unused, []);
  assert.deepEqual(CHECK_IDS.filter((id) => !(`check.${id}` in english)), []);
});

const file = (name: string, content: Uint8Array<ArrayBuffer>): File => new File([content], name);

test("bundle and annex are told apart by what they hold, and the last of a kind counts", async () => {
  const chosen = await choose([file("one.zip", annex), file("two.zip", new Uint8Array([1])), file("three.zip", bundle)]);
  assert.deepEqual(chosen.map(({ kind, file: { name } }) => [kind, name]), [["bundle", "three.zip"], ["annex", "one.zip"]]);
  assert.match(chosen[0]?.sha256 ?? "", /^[0-9a-f]{64}$/);
  const sealed = await choose([file("annex.age", utf8("age-encryption.org/v1\n-> X25519 x\n")), file("my.txt", utf8("# mine\nAGE-SECRET-KEY-1QQ\n"))]);
  assert.deepEqual(sealed.map(({ kind, sha256 }) => [kind, sha256.length]), [["annex", 64], ["identity", 0]], "of a key no digest is made");
});

test("the command quotes what a shell would read", () => {
  assert.equal(commandFor("bundle.zip", null), "folkmoot-verify bundle.zip");
  assert.equal(commandFor("it's.zip", "a b.zip"), "folkmoot-verify 'it'\\''s.zip' --annex 'a b.zip'");
  assert.equal(commandFor("bundle.zip", "annex.age", "key.txt"), "folkmoot-verify bundle.zip --annex annex.age --identity key.txt");
});

test("the combined digest does not depend on order, and depends on each file", async () => {
  const [a, b] = [{ name: "/a.js", sha256: "00" }, { name: "/b.js", sha256: "11" }];
  assert.equal(await combined([a, b]), await combined([b, a]));
  assert.notEqual(await combined([a, b]), await combined([a, { ...b, sha256: "12" }]));
});

/** A worker that keeps what it is told; the test speaks for it. */
class Puppet extends EventTarget {
  readonly orders: Order["type"][] = [];
  postMessage({ type }: Order): void {
    this.orders.push(type);
  }
  say(news: News): void {
    this.dispatchEvent(new MessageEvent("message", { data: news }));
  }
}

test("the runner follows the worker's news", () => {
  const worker = new Puppet();
  const runner = new Runner(worker);
  runner.stop();
  runner.start(new Blob(), null);
  runner.start(new Blob(), null);
  assert.deepEqual([worker.orders, runner.state.value], [["run"], "running"]);
  worker.say({ type: "start", id: "V01" });
  worker.say({ type: "check", check: check("V01", true) });
  worker.say({ type: "progress", id: "V02", done: 1, total: 4 });
  assert.deepEqual([runner.running.value, runner.checks.value.length], [{ id: "V02", done: 1, total: 4 }, 1]);
  runner.stop();
  worker.say({ type: "stopped" });
  assert.deepEqual([worker.orders, runner.state.value, runner.checks.value], [["run", "stop"], "stopped", []]);
  runner.start(new Blob(), null);
  worker.say({ type: "done", verification: { report: { verdict: "ok", checks: [], elections: [] }, results: null } });
  assert.deepEqual([runner.state.value, runner.verification.value?.report.verdict], ["done", "ok"]);
  runner.clear();
  assert.deepEqual([runner.state.value, runner.verification.value], ["idle", null]);
  worker.dispatchEvent(new Event("error"));
  runner.start(new Blob(), null);
  assert.deepEqual([runner.state.value, worker.orders.length], ["broken", 3]);
});

test("the digest file of the build is read as it is written", () => {
  const lines = `${"0".repeat(64)}  assets/a.js\n${"1".repeat(64)}  auditor.html\n${"2".repeat(64)}  auditor.html-and-all-it-loads\n`;
  assert.deepEqual(readDigestFile(lines), { names: ["assets/a.js", "auditor.html"], all: "2".repeat(64) });
  assert.deepEqual(readDigestFile("hello"), { names: [], all: "" });
});

test("the saved report needs nothing from outside and escapes its title", () => {
  const page = reportPage('<b>"&', "vi", "<p>done</p>");
  assert.match(page, /<title>&lt;b>&quot;&amp;<\/title>/);
  assert.ok(page.includes("<p>done</p>") && page.includes("default-src 'none'"));
  assert.ok(!/(?:src|href)=/.test(page));
});
