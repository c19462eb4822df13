import assert from "node:assert/strict";
import { test } from "node:test";
import type { Meeting, MeetingEvent, Person } from "../../src/api/types.ts";
import { afterArrival, apply, cosignQuorum, count, neededFor, removedMembers } from "../../src/state/meeting.ts";
import { alone, conduct, election, item, quiet } from "./samples.ts";
import { nextStep, whyNotOpen } from "../../src/state/next.ts";

const person = (member: string, fields: Partial<Person> = {}): Person => ({
  member,
  name: member.toUpperCase(),
  site: "main",
  state: "present",
  hand: null,
  floor: false,
  muted: false,
  roles: ["member"],
  ...fields,
});

const meeting = (fields: Partial<Meeting> = {}): Meeting => ({
  ...conduct,
  id: "m",
  title: "Meeting",
  unit: "u",
  organisation: "o",
  state: "opened",
  starts_at: 1,
  time_zone: "UTC",
  opened_at: 2,
  closed_at: null,
  agenda: [
    item("a1", "One", "current"),
    item("a2", "Two", "waiting"),
  ],
  quorum: { num: 1, den: 2, present: 2, roll: 5, needed: 3, met: false },
  present: [person("ann", { roles: ["chair", "member"] }), person("bob")],
  floor: { mode: "open" },
  ...alone, ...quiet,
  roll: { frozen: true, hash: "h", size: 5 },
  key: { state: "ready", trustees: [], code: "" },
  cosigners: ["chair", "secretary", "teller-1", "teller-2", "teller-3"].map((name) => ({ name, member: name, ready: true })),
  elections: [election()],
  rehearsal: false,
  challenge_s: 0,
  removed: [],
  me: { member: "ann", roles: ["chair"], checked_in: true, credential: "c", entitled: true, removed: false, trustee: 0, cosigner: "chair", notice: null, drafts: [], site: "", companion: false },
  seq: 10,
  ...fields,
});

const event = (seq: number, type: MeetingEvent["type"], body: object): MeetingEvent => ({ seq, type, at: 100, body }) as MeetingEvent;

/** Applies events in order from number 11. */
function after(start: Meeting, ...events: [MeetingEvent["type"], object][]): Meeting {
  return events.reduce((now, [type, body], i) => apply(now, event(11 + i, type, body)).meeting, start);
}

test("an arrival is counted once, also when the member checks in on another device", () => {
  const now = after(meeting(), ["MemberCheckedIn", { member: "cat", name: "Cat", site: "main" }], ["MemberCheckedIn", { member: "cat", name: "Cat", site: "main" }]);
  assert.equal(now.quorum.present, 3);
  assert.equal(now.quorum.met, true);
  assert.equal(now.seq, 12);
});

test("a departure takes the member out and the quorum down", () => {
  const now = after(meeting(), ["MemberDeparted", { member: "bob", reason: "left", until: 99 }]);
  assert.deepEqual([now.present.map((p) => p.member), now.quorum.present], [["ann"], 1]);
});

test("my own departure ends my check-in", () => {
  assert.equal(after(meeting(), ["MemberDeparted", { member: "ann", reason: "lost", until: 99 }]).me.checked_in, false);
});

test("an old event changes nothing and a gap asks for the snapshot", () => {
  const start = meeting();
  assert.deepEqual(apply(start, event(10, "MemberDeparted", { member: "bob", reason: "left" })), { meeting: start, stale: false });
  assert.deepEqual(apply(start, event(12, "MemberDeparted", { member: "bob", reason: "left" })), { meeting: start, stale: true });
});

test("an unknown event is passed over and asks for the snapshot", () => {
  const { meeting: now, stale } = apply(meeting(), event(11, "SomethingNew" as MeetingEvent["type"], {}));
  assert.deepEqual([now.seq, stale], [11, true]);
});

test("muting everyone spares the chair", () => {
  assert.deepEqual(after(meeting(), ["AllMuted", {}]).present.map((p) => p.muted), [false, true]);
});

test("starting an item ends the one before it", () => {
  assert.deepEqual(after(meeting(), ["AgendaItemStarted", { item: "a2" }]).agenda.map((item) => item.state), ["done", "current"]);
});

test("the count of ballots never runs backwards", () => {
  const now = after(meeting(), ["BallotAccepted", { election: "e1", count: 3 }]);
  assert.equal(count(now, "e1", 2).elections[0]?.cast, 3);
  assert.equal(count(now, "e1", 4).elections[0]?.cast, 4);
});

test("the snapshot is never changed in place", () => {
  const start = meeting();
  const copy = structuredClone(start);
  after(start, ["MemberDeparted", { member: "bob", reason: "left" }], ["HandRaised", { member: "ann" }], ["AllMuted", {}], ["AgendaItemStarted", { item: "a2" }]);
  assert.deepEqual(start, copy);
});

test("the quorum is rounded up", () => {
  assert.deepEqual([neededFor({ num: 1, den: 2 }, 5), neededFor({ num: 1, den: 2 }, 6), neededFor({ num: 0, den: 1 }, 6)], [3, 3, 0]);
});

test("cosigners' quorum is the smallest q with q > (w + 2) / 2", () => {
  for (let w = 3; w <= 15; w++) {
    const q = cosignQuorum(w);
    assert.ok(2 * q > w + 2 && 2 * (q - 1) <= w + 2);
  }
});

test("the chair's next step follows the meeting", () => {
  const five = ["ann", "bob", "cat", "dan", "eve"].map((name) => person(name));
  const ready = meeting({ present: five, quorum: { num: 1, den: 2, present: 5, roll: 5, needed: 3, met: true } });
  const withElection = (state: Meeting["elections"][number]["state"]): Meeting => ({ ...ready, elections: ready.elections.map((e) => ({ ...e, state })) });
  const steps = [
    meeting({ state: "draft" }),
    meeting({ state: "convened", roll: { frozen: false, hash: "", size: 0 } }),
    meeting({ state: "checking-in" }),
    ready,
    withElection("open"),
    withElection("closed"),
    withElection("counting"),
    withElection("tied"),
    withElection("counted"),
    withElection("declared"),
    { ...withElection("declared"), agenda: [] },
    meeting({ state: "closed" }),
  ].map((m) => nextStep(m, 0));
  assert.deepEqual(
    steps.map(({ step, why }) => [step, why]),
    [
      ["convene", null],
      ["begin-check-in", "roll-not-frozen"],
      ["open", null],
      ["open-vote", null],
      ["close-vote", null],
      ["wait", "waiting-cosigners"],
      ["wait", "waiting-tellers"],
      ["casting-vote", null],
      ["declare", null],
      ["start-item", null],
      ["close", null],
      ["done", "over"],
    ],
  );
});

test("a vote waits for the key, then for the cosigners, then for five members", () => {
  const none = meeting({ key: { state: "running", trustees: [], code: "" } });
  assert.equal(whyNotOpen(none, election()), "key-not-ready");
  assert.equal(whyNotOpen({ ...none, cosigners: meeting().cosigners }, election({ secrecy: "open" })), null, "a plain vote needs no key and no five members");
  const few = meeting({ cosigners: meeting().cosigners.map((c, i) => ({ ...c, ready: i < 3 })) });
  assert.equal(whyNotOpen(few, election()), "cosigners-missing");
  assert.equal(whyNotOpen(meeting(), election()), "too-few-present");
  const five = meeting({ quorum: { num: 1, den: 2, present: 5, roll: 5, needed: 3, met: true } });
  assert.equal(whyNotOpen(five, election()), null);
  assert.equal(whyNotOpen(five, election({ excluded: ["bob"] })), "too-few-present", "who is excluded is no elector");
});

test("the log tells who was removed and not let in again", () => {
  const log = [
    event(1, "MemberCheckedIn", { member: "bob", name: "Bob", site: "main" }),
    event(2, "MemberRemoved", { member: "bob" }),
    event(3, "MemberRemoved", { member: "cat" }),
    event(4, "MemberReadmitted", { member: "cat" }),
  ];
  assert.deepEqual(removedMembers(log), [{ member: "bob", name: "Bob" }]);
});

test("who comes back after being away needs no snapshot, who had been lost does", () => {
  const away = apply(meeting(), event(11, "MemberAway", { member: "bob" })).meeting;
  const back = apply(away, event(12, "MemberReturned", { member: "bob" }));
  assert.deepEqual([back.stale, back.meeting.present.find((one) => one.member === "bob")?.state], [false, "present"]);
  assert.equal(apply(away, event(12, "MemberReturned", { member: "carl" })).stale, true);
});

test("a snapshot from before one's own check-in leaves the member in the room", () => {
  const before = meeting({ seq: 10, me: { ...meeting().me, checked_in: false, credential: null, site: "" } });
  const { me } = afterArrival(before, { seq: 11, credential: "new" });
  assert.deepEqual([me.checked_in, me.credential, me.site, me.companion], [true, "new", "remote", false]);
});

test("control: one that knows of the check-in counts as it is, and so does every one where nobody checked in", () => {
  const removed = meeting({ seq: 11, me: { ...meeting().me, checked_in: false, removed: true } });
  assert.equal(afterArrival(removed, { seq: 11, credential: "new" }), removed);
  assert.equal(afterArrival(removed, null), removed);
});
