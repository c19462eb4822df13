/** The kiosk forgets who walked away: two minutes after the last touch, and once. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { actFor, ApiError, call } from "../../src/api/call.ts";
import { isOver } from "../../src/booth/done.tsx";
import { whenIdle } from "../../src/booth/idle.ts";
import english from "../../src/i18n/booth_en.json" with { type: "json" };
import vietnamese from "../../src/i18n/booth_vi.json" with { type: "json" };
import { startCut, waiting } from "../../src/state/cut.ts";

const RULE_MS = 120_000; // docs/spec/sites.md section 2
const real = globalThis.fetch;

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => {
  mock.timers.reset();
  globalThis.fetch = real;
  actFor("");
});

test("after two minutes without a touch, and not before", () => {
  const forget = mock.fn();
  whenIdle(new EventTarget(), forget);
  mock.timers.tick(RULE_MS - 1);
  assert.equal(forget.mock.callCount(), 0);
  mock.timers.tick(1);
  assert.equal(forget.mock.callCount(), 1);
  mock.timers.tick(10 * RULE_MS);
  assert.equal(forget.mock.callCount(), 1);
});

for (const kind of ["pointerdown", "keydown", "input"]) {
  test(`a ${kind} begins the two minutes anew`, () => {
    const [page, forget] = [new EventTarget(), mock.fn()];
    whenIdle(page, forget);
    for (let times = 0; times < 5; times++) {
      mock.timers.tick(RULE_MS - 1);
      page.dispatchEvent(new Event(kind));
    }
    assert.equal(forget.mock.callCount(), 0);
    mock.timers.tick(RULE_MS);
    assert.equal(forget.mock.callCount(), 1);
  });
}

test("control: what is no touch does not keep a voter, and who has left is not forgotten twice", () => {
  const [page, forget] = [new EventTarget(), mock.fn()];
  const stop = whenIdle(page, forget);
  mock.timers.tick(RULE_MS - 1);
  page.dispatchEvent(new Event("pointermove"));
  mock.timers.tick(1);
  assert.equal(forget.mock.callCount(), 1);
  stop();
  page.dispatchEvent(new Event("keydown"));
  mock.timers.tick(2 * RULE_MS);
  assert.equal(forget.mock.callCount(), 1);
});

test("the member's token goes with what the member does, and with nothing after that", async () => {
  const sent: (string | null)[] = [];
  globalThis.fetch = async (_path, init) => {
    sent.push(new Headers(init?.headers).get("Authorization"));
    return Response.json({});
  };
  const paths = ["/api/nonce", "/api/meetings/m/elections/e/ballots", "/api/session"];
  actFor("dG9rZW4");
  for (const path of paths) await call("POST", path, {});
  actFor("");
  for (const path of paths) await call("POST", path, {});
  assert.deepEqual(sent, ["Kiosk dG9rZW4", "Kiosk dG9rZW4", null, null, null, null]);
});

test("a check-in that the hall keeps for a member at the kiosk is not told as the custodian's", async () => {
  startCut();
  globalThis.fetch = async () => Response.json({ queued: {} }, { status: 202 });
  await call("POST", "/api/meetings/m/sites/s/kiosk/finish", {});
  assert.deepEqual([...waiting.value], []);
  await call("POST", "/api/meetings/m/check-in/finish", {});
  assert.deepEqual([...waiting.value], ["check-in"]);
});

test("a session that has ended is over at a kiosk, where nobody can sign in beside the vote", () => {
  const where = { meeting: "m", election: "e", kiosk: true, site: "s" };
  const ended = new ApiError("kiosk.ended", "…", 401);
  assert.equal(isOver(where, ended), true);
  assert.equal(isOver({ ...where, kiosk: false }, new ApiError("session.ended", "…", 401)), false);
  assert.equal(isOver("practice", ended), false);
  for (const passing of [new ApiError("relay.cut", "…", 503), new ApiError("network.unreachable", "…", 0), new Error("…"), null]) assert.equal(isOver(where, passing), false);
});

test("what a hall's kiosk and relay refuse is said in the voter's language", () => {
  for (const code of ["kiosk", "kiosk.ended", "kiosk.not-here", "relay", "relay.cut", "relay.outbox-full", "site", "site.kiosk-too-many"]) {
    for (const catalogue of [english, vietnamese]) assert.ok(`error.${code}` in catalogue, code);
  }
});
