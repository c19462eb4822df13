import assert from "node:assert/strict";
import { test } from "node:test";
import { match } from "../../src/router.ts";
import { toSeconds } from "../../src/screens/times.ts";
import { votesNeeded } from "../../src/screens/words.ts";
import type { Majority } from "../../src/api/types.ts";
import { core, election } from "./samples.ts";

test("addresses name their screens", () => {
  assert.deepEqual(match("/"), { name: "home", id: "", panel: "" });
  assert.deepEqual(match("/meetings/new"), { name: "newMeeting", id: "", panel: "" });
  assert.deepEqual(match("/meetings/abc"), { name: "meeting", id: "abc", panel: "" });
  assert.deepEqual(match("/meetings/abc/room"), { name: "room", id: "abc", panel: "" });
  assert.deepEqual(match("/meetings/abc/room/votes"), { name: "room", id: "abc", panel: "votes" });
  assert.equal(match("/meetings/abc/room/votes/more").name, "unknown");
  assert.equal(match("/meetings/%E0%A4%A").id, "%E0%A4%A");
});

test("a meeting's start is read on the clock of its own zone, summer and winter", () => {
  assert.equal(toSeconds("2026-01-15T10:00", "Europe/Berlin"), Date.UTC(2026, 0, 15, 9) / 1000);
  assert.equal(toSeconds("2026-07-15T10:00", "Europe/Berlin"), Date.UTC(2026, 6, 15, 8) / 1000);
  assert.equal(toSeconds("2026-07-15T10:00", "Asia/Ho_Chi_Minh"), Date.UTC(2026, 6, 15, 3) / 1000);
  // An hour after the clocks went forward at 02:00.
  assert.equal(toSeconds("2026-03-29T03:30", "Europe/Berlin"), Date.UTC(2026, 2, 29, 1, 30) / 1000);
});

test("the votes that are said to be needed are the fewest that the rule accepts", () => {
  const accepts: Record<string, (votes: number, base: number) => boolean> = {
    absolute: (votes, base) => 2 * votes > base,
    "two-thirds": (votes, base) => 3 * votes >= 2 * base,
    "three-quarters": (votes, base) => 4 * votes >= 3 * base,
  };
  for (const kind of ["absolute", "two-thirds", "three-quarters"] as const) {
    for (let cast = 1; cast < 40; cast++) {
      const majority: Majority = { kind, of: "cast" };
      const votes = votesNeeded(election({ majority }), core(cast), 0);
      assert.ok(votes !== null && accepts[kind]?.(votes, cast) === true && accepts[kind]?.(votes - 1, cast) === false, `${kind} of ${cast}`);
    }
  }
  assert.equal(votesNeeded(election({ majority: { kind: "absolute", of: "roll" }, roll_weight: 10 }), core(3), 0), 6);
  assert.equal(votesNeeded(election({ majority: { kind: "absolute", of: "decided" } }), core(9, [[4, 2, 3]]), 0), 4, "abstentions left out");
  assert.equal(votesNeeded(election(), core(3), 0), null);
});

