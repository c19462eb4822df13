import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Asked, cacheName, type Course, courseOf, outdated, type Shell } from "../../src/sw/course.ts";
import { groupsOf } from "../../tools/shell_files.ts";

const ORIGIN = "https://meet.example";
const SHELL: Shell = { version: "abc", files: { "/": "x", "/icon.svg": "x", "/booth.html": "x", "/assets/main-1.js": "x" } };

const kindOf = (path: string, asked: Partial<Asked> = {}): Course => courseOf({ method: "GET", mode: "cors", url: ORIGIN + path, ...asked }, ORIGIN, SHELL);
const visit = (path: string): Course => kindOf(path, { mode: "navigate" });

test("every address of the application is answered by its one page", () => {
  for (const path of ["/", "/sign-in", "/meetings/a/room/papers", "/resolutions/b?x=1", "/enrol#token"]) assert.deepEqual(visit(path), { kind: "page", key: "/" });
  for (const path of ["/booth", "/booth.html", "/booth.html?x#a=1"]) assert.deepEqual(visit(path), { kind: "page", key: "/booth.html" });
  assert.deepEqual(visit("/auditor"), { kind: "page", key: "/auditor.html" });
});

test("what the server itself answers is left to it, however it is asked for", () => {
  for (const path of ["/api/session", "/api/meetings/m/bundle.zip", "/api/meetings/m/papers/p/1/pages/1", "/api", "/socket.io/?EIO=4", "/healthz", "/metrics", "/sw.js"]) {
    assert.deepEqual(kindOf(path), { kind: "leave" }, path);
    assert.deepEqual(visit(path), { kind: "leave" }, path);
  }
});

test("nothing but reading this origin's files and pages is answered", () => {
  assert.deepEqual(kindOf("/assets/main-1.js"), { kind: "file", key: "/assets/main-1.js" });
  assert.deepEqual(kindOf("/assets/other-2.js"), { kind: "file", key: "/assets/other-2.js" });
  assert.deepEqual(kindOf("/icon.svg"), { kind: "file", key: "/icon.svg" });
  assert.deepEqual(kindOf("/auditor-digest.txt"), { kind: "leave" });
  assert.deepEqual(visit("/auditor-digest.txt"), { kind: "leave" });
  assert.deepEqual(kindOf("/assets/main-1.js", { method: "POST" }), { kind: "leave" });
  assert.deepEqual(kindOf("", { url: "https://elsewhere.example/assets/main-1.js" }), { kind: "leave" });
  assert.deepEqual(kindOf("/toString"), { kind: "leave" }, "a name that every object has");
});

test("only the caches of other builds are outdated; papers are nobody's business here", () => {
  assert.deepEqual(outdated([cacheName("abc"), cacheName("old"), "folkmoot-papers.m1", "other"], "abc"), [cacheName("old")]);
});

test("the sentences of a screen are found where it is made lazy", () => {
  const source = (name: string): string => readFileSync(new URL(`../../src/${name}`, import.meta.url), "utf8");
  const room = groupsOf(source("app.tsx"), ["screens/room/room.tsx"]);
  assert.ok(room.includes("conduct") && room.includes("speakers"), String(room));
  assert.ok(!room.includes("minutes"), "control: the sentences of another screen");
  assert.deepEqual(new Set(groupsOf(source("screens/room/room.tsx"), ["screens/room/papers.tsx"])), new Set(["papers"]));
});
