import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { Paper, PaperVersion } from "../../src/api/types_papers.ts";
import type { Session } from "../../src/api/types.ts";
import { keepAll, keptVersions } from "../../src/state/paper_pages.ts";
import { session } from "../../src/state/session.ts";

const ORIGIN = "https://folkmoot.example";
const page = (n: number, text = "line"): string => `${text} of page ${n}\n`.repeat(120);
const VERSIONS: Record<number, string[]> = { 1: [1, 2, 3, 4, 5].map((n) => page(n)), 2: [page(1), page(2), page(3, "changed"), page(4), page(5)] };

/** The browser's store, as far as pages use it. */
function aStore(): Cache {
  const held = new Map<string, Response>();
  const match = (url: string): Promise<Response | undefined> => Promise.resolve(held.get(url)?.clone());
  const put = (url: string, answer: Response): Promise<void> => Promise.resolve(void held.set(url, answer));
  const keys = (): Promise<{ url: string }[]> => Promise.resolve([...held.keys()].map((url) => ({ url: ORIGIN + url })));
  return { match, put, keys } as unknown as Cache;
}

const version = (n: number): PaperVersion => ({ version: n, sha256: "", size: 0, type: "text", pages: 5, at: 0, by: "", state: "ready", refusal: "" });
const paper: Paper = { paper: "p", item: "", name: "Report.txt", class: "members", version: 2, versions: [version(1), version(2)], state: "ready", refusal: "" };

test("of a new version only what has changed is fetched", async (t) => {
  let octets = 0;
  const asked: string[] = [];
  t.mock.method(globalThis, "fetch", (url: string) => {
    const [, number, rest] = /papers\/p\/(\d)\/pages(?:\/(\d))?$/.exec(url) ?? [];
    const pages = VERSIONS[Number(number)] ?? [];
    const hashes = pages.map((one) => createHash("sha256").update(one).digest("hex"));
    const body = rest === undefined ? JSON.stringify({ pages: hashes, words: hashes }) : (pages[Number(rest) - 1] ?? "");
    octets += body.length;
    asked.push(`${number}/${rest ?? "hashes"}`);
    return Promise.resolve(new Response(body, { headers: { "Content-Type": "text/plain" } }));
  });
  const kept = aStore();
  Object.assign(globalThis, { caches: { open: () => Promise.resolve(kept) } });
  session.value = { member: { id: "me" } } as Session;
  const keep = (n: number): Promise<void> => keepAll("m", paper, n, new AbortController().signal);

  await keep(1);
  const whole = octets;
  assert.deepEqual(asked.splice(0), ["1/1", "1/2", "1/3", "1/4", "1/5"]); // control: nothing was there, no hash is asked for
  octets = 0;
  await keep(2);
  assert.deepEqual(asked.splice(0), ["2/hashes", "2/3"]);
  assert.ok(octets < whole / 3, `${octets} of ${whole}`);
  assert.deepEqual([...(await keptVersions("m", [paper]))], ["p/1", "p/2"]);
  for (const [index, text] of (VERSIONS[2] ?? []).entries()) assert.equal(await (await kept.match(`/api/meetings/m/papers/p/2/pages/${index + 1}`))?.text(), text);
  await keep(2);
  assert.deepEqual(asked, []);
});
