/** The page of a hall that is cut off: what its relay says, what waits, and when that is over. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { call } from "../../src/api/call.ts";
import { isQueued, tellCut } from "../../src/api/cut.ts";
import { deliveryOf } from "../../src/booth/booth.tsx";
import type { CastRecord } from "../../src/identity/keystore.ts";
import { whereabouts } from "../../src/state/board.ts";
import { cutSince, startCut, waiting } from "../../src/state/cut.ts";

const RECEIPT = { relay: "r1", seq: 3, head: "aGVhZA", sig: "c2ln" };
const RECORD: CastRecord = { manifest: "m", meeting: "x", election: "e", title: "Budget", seq: 1, tracker: "T", leaf: "bGVhZg", ballot: {}, state: "sending", promise: null };
const real = globalThis.fetch;

function answer(status: number, body: object, headers: Record<string, string> = {}): void {
  globalThis.fetch = async () => Response.json(body, { status, headers });
}

startCut();
afterEach(() => {
  globalThis.fetch = real;
  tellCut(0);
});

test("an answer of a relay that is cut off says since when, the next one of the main room that it is over", async () => {
  answer(200, {}, { "Folkmoot-Cut": "1700000000" });
  await call("GET", "/api/session");
  assert.equal(cutSince.value, 1_700_000_000);
  answer(200, {});
  await call("GET", "/api/session");
  assert.equal(cutSince.value, 0);
});

test("what has to wait is refused with the same word", async () => {
  answer(503, { error: { code: "relay.cut", message: "…", details: { since: 5 } } }, { "Folkmoot-Cut": "5" });
  await assert.rejects(call("POST", "/api/meetings/m/commands", {}), { code: "relay.cut" });
  assert.equal(cutSince.value, 5);
  assert.equal(waiting.value.size, 0);
});

test("of what the hall keeps a check-in and a hand are named, until the line is back", async () => {
  answer(202, { queued: RECEIPT }, { "Folkmoot-Cut": "5" });
  for (const path of ["/api/meetings/m/check-in/finish", "/api/meetings/m/commands", "/api/meetings/m/elections/e/ballots"]) {
    const told = await call<object>("POST", path, {});
    assert.ok(isQueued(told));
    assert.deepEqual(told.queued, RECEIPT);
  }
  assert.deepEqual([...waiting.value], ["check-in", "hand"]);
  answer(200, { promise: {} });
  assert.equal(isQueued(await call<object>("POST", "/api/meetings/m/elections/e/ballots", {})), false);
  assert.equal(waiting.value.size, 0);
});

test("a ballot that a hall keeps is neither lost nor arrived", () => {
  const queued = { ...RECORD, queued: { ...RECEIPT } };
  assert.deepEqual([deliveryOf("sending", queued), whereabouts(queued)], ["queued", "queued"]);
  assert.deepEqual([deliveryOf("sending", RECORD), whereabouts(RECORD)], ["unknown", "sending"]);
  assert.deepEqual([deliveryOf("promised", { ...queued, state: "promised" }), whereabouts({ ...queued, state: "promised" })], ["received", "pending"]);
});
