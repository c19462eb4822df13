/** The queue's order on the cases that the server knows too, and speakers and motions as events make them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Meeting, MeetingEvent } from "../../src/api/types.ts";
import type { Motion, Turn } from "../../src/api/types_floor.ts";
import { apply } from "../../src/state/meeting.ts";
import { grouped, openAmendments } from "../../src/state/motions.ts";
import { order, placeOf, spokenAt } from "../../src/state/speaking.ts";
import { quiet } from "./samples.ts";

interface Case {
  name: string;
  queue: Pick<Turn, "turn" | "kind" | "group" | "category">[];
  groups: Record<string, number>;
  pro: number;
  contra: number;
  group_s: number;
  order: string[];
}

const CASES = (JSON.parse(readFileSync(new URL("../../../tests/vectors/speaking.json", import.meta.url), "utf8")) as { cases: Case[] }).cases;

const turn = (fields: Partial<Turn>): Turn => ({
  turn: "1", person: "p", name: "P", kind: "contribution", category: 0, group: "", state: "queued", asked_at: 0, begun_at: 0, limit_s: 0, spoken_s: 0, resumed_at: 0, ...fields,
});

for (const one of CASES) {
  test(`the queue: ${one.name}`, () => {
    const groups = Object.entries(one.groups).map(([group, spoken_s]) => ({ group, spoken_s }));
    const called = order(one.queue.map(turn), { ...one, groups });
    assert.deepEqual(called.map((t) => t.turn), one.order);
  });
}

const person = (member: string) => ({ member, name: member.toUpperCase(), site: "main", state: "present" as const, hand: null, floor: false, muted: false, roles: [] });
// Only what these events touch; the rest of a snapshot is another test's.
const empty = { ...quiet, seq: 0, agenda: [], elections: [], present: [person("a"), person("b")], me: { member: "a" } } as unknown as Meeting;

function after(events: [type: string, body: object, at?: number][], from: Meeting = empty): Meeting {
  return events.reduce((meeting, [type, body, at = 0], index) => apply(meeting, { seq: meeting.seq + 1, type, at: at || index, body } as MeetingEvent).meeting, from);
}

const raised = (member: string, number: string, kind = "contribution"): [string, object] => ["HandRaised", { member, turn: number, kind, category: 0, name: member, group: "north" }];
const granted = (member: string, number: string, at: number): [string, object, number] => ["FloorGranted", { member, turn: number, kind: "pro", limit_s: 60, name: member, group: "north" }, at];

test("a turn from the hand to the end", () => {
  const waiting = after([raised("a", "1", "pro"), raised("b", "2", "contra")]);
  assert.equal(placeOf(waiting, "b"), 2);
  const speaks = after([["HandLowered", { member: "a", turn: "1" }], granted("a", "1", 100)], waiting);
  assert.equal(placeOf(speaks, "b"), 1);
  assert.ok(speaks.speaking.now);
  assert.equal(spokenAt(speaks.speaking.now, 130), 30);
  const paused = after([["TurnPaused", { turn: "1", spoken_s: 30 }, 130]], speaks);
  assert.ok(paused.speaking.now);
  assert.equal(spokenAt(paused.speaking.now, 500), 30);
  const more = after([["TurnResumed", { turn: "1" }, 600], ["TurnExtended", { turn: "1", seconds: 60 }]], paused);
  assert.ok(more.speaking.now);
  assert.equal(spokenAt(more.speaking.now, 610), 40);
  assert.equal(more.speaking.now.limit_s, 120);
  const over = after([["FloorWithdrawn", { member: "a", turn: "1", spoken_s: 45 }]], more);
  assert.equal(over.speaking.now, null);
  assert.deepEqual(over.speaking.groups, [{ group: "north", name: "", spoken_s: 45 }]);
  assert.deepEqual([over.speaking.pro, over.present[0]?.floor], [1, false]);
  const next = after([["AgendaItemStarted", { item: "x", title: "" }]], over);
  assert.deepEqual([next.speaking.groups, next.speaking.pro], [[], 0]);
});

test("control: the end of another turn does not end this one", () => {
  const speaks = after([granted("a", "1", 100), ["FloorWithdrawn", { member: "b", turn: "9", spoken_s: 5 }]]);
  assert.equal(speaks.speaking.now?.turn, "1");
});

const motion = (id: string, fields: Partial<Motion> = {}): Motion => ({
  motion: id, number: id.toUpperCase(), base: "", item: "i", title: id, hash: "h", from: 0, to: 0, base_hash: "", movers: [{ member: "a", name: "A" }], seconders: [], seconders_needed: 2,
  state: "submitted", collides: false, collides_with: [], conflicts: [], elections: [], resolution: "", version: 1, ...fields,
});

test("motions follow their events", () => {
  const begun = { ...empty, motions: [motion("m1"), motion("m2"), motion("m1-a1", { base: "m1" })] };
  assert.deepEqual(grouped(begun.motions).map((one) => one.motion), ["m1", "m1-a1", "m2"]);
  const one = after([["MotionSeconded", { motion: "m1", member: "b", name: "B" }]], begun);
  assert.equal(one.motions[0]?.state, "submitted");
  const two = after([["MotionSeconded", { motion: "m1", member: "c", name: "C" }], ["MotionAdmitted", { motion: "m2" }]], one);
  assert.deepEqual(two.motions.map((m) => m.state), ["seconded", "admitted", "submitted"]);
  assert.equal(openAmendments(two, motion("m1")).length, 1);
  const decided = after([["MotionDecided", { motion: "m1-a1", outcome: "rejected", election: "e" }], ["ConflictDeclared", { motion: "m2", member: "b", name: "B", declared: true }]], two);
  assert.equal(openAmendments(decided, motion("m1")).length, 0);
  assert.deepEqual(decided.motions[1]?.conflicts, ["b"]);
  const undone = after([["MotionDecided", { motion: "m2", outcome: "undecided", election: "e" }], ["ConflictDeclared", { motion: "m2", member: "b", name: "B", declared: false }]], decided);
  assert.deepEqual([undone.motions[1]?.state, undone.motions[1]?.conflicts], ["admitted", []]);
});
