/** After a cut nobody is told that the network lets nothing through while media are only on their way back. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { live, settled } from "../../src/state/link.ts";
import { Clock } from "../clock.ts";

const clock = new Clock();
beforeEach(() => clock.start());
afterEach(() => clock.stop());

test("a live connection that came back is settled after ten seconds, and not before", () => {
  assert.equal(settled.value, true);
  live.value = "lost";
  clock.tick(60_000);
  assert.equal(settled.value, false);
  live.value = "connected";
  clock.tick(9_900);
  assert.equal(settled.value, false);
  clock.tick(200);
  assert.equal(settled.value, true);
});

test("one that goes again meanwhile begins anew", () => {
  live.value = "lost";
  live.value = "connected";
  clock.tick(9_000);
  live.value = "connecting";
  clock.tick(9_000);
  live.value = "connected";
  clock.tick(9_000);
  assert.equal(settled.value, false);
  clock.tick(1_100);
  assert.equal(settled.value, true);
});
