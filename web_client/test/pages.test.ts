import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const PAGES = ["index.html", "booth.html", "auditor.html"];

/** What `script-src 'self'; style-src 'self'` would refuse in a page. */
function refusedByPolicy(html: string): string[] {
  return [...html.matchAll(/<script(?![^>]*\bsrc=)[^>]*>|<style\b|\sstyle=|\son[a-z]+=|javascript:|https?:\/\//gi)].map(
    (match) => match[0],
  );
}

for (const name of PAGES) {
  test(`${name} holds nothing that the content security policy refuses`, () => {
    const html = readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
    assert.deepEqual(refusedByPolicy(html), []);
  });
}

test("control: an inline script, style and handler are found", () => {
  const planted = '<script>1</script><p style="x" onclick="y"></p><style></style>';
  assert.equal(refusedByPolicy(planted).length, 4);
});
