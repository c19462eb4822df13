/** Recess, adjournment, quorum, chair and agenda as the pages know them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgendaItem, Meeting, MeetingEvent, MeetingState } from "../../src/api/types.ts";
import { MOVES, type Move, placeAfter } from "../../src/state/agenda.ts";
import { apply, inSession, isEnded, leadsNow, roomOpen } from "../../src/state/meeting.ts";
import { nextStep } from "../../src/state/next.ts";
import { duties, turn } from "../../src/state/tasks.ts";
import { fromSeconds, toSeconds } from "../../src/screens/times.ts";
import { alone, conduct, election, item, quiet } from "./samples.ts";

const STATES: MeetingState[] = ["draft", "convened", "checking-in", "opened", "recess", "quorum-lost", "adjourned", "closed", "cancelled"];
const ANN = { member: "ann", name: "Ann" };
const BOB = { member: "bob", name: "Bob" };

const meeting = (fields: Partial<Meeting> = {}): Meeting => ({
  ...conduct,
  ...alone, ...quiet,
  id: "m", title: "Meeting", unit: "u", organisation: "o", state: "opened", starts_at: 1, time_zone: "UTC", opened_at: 2, closed_at: null,
  agenda: [item("a1", "One", "current")],
  quorum: { num: 1, den: 2, present: 5, roll: 8, needed: 4, met: true },
  present: [], floor: { mode: "open" }, roll: { frozen: true, hash: "h", size: 8 },
  key: { state: "ready", trustees: [], code: "" },
  cosigners: ["chair", "secretary", "teller-1", "teller-2", "teller-3"].map((name) => ({ name, member: name, ready: true })),
  elections: [], rehearsal: false, challenge_s: 0, removed: [],
  me: { member: "ann", roles: ["chair", "member"], checked_in: true, credential: "c", entitled: true, removed: false, trustee: 0, cosigner: "chair", notice: null, drafts: [], site: "", companion: false },
  seq: 10, presiding: ANN,
  ...fields,
});

type Told = [MeetingEvent["type"], object];
const after = (start: Meeting, ...told: Told[]): Meeting =>
  told.reduce((now, [type, body], i) => apply(now, { seq: 11 + i, type, at: 100, body } as MeetingEvent).meeting, start);

test("a recess, its end, an adjournment and the next day", () => {
  const resting = after(meeting(), ["RecessBegan", { until: 500 }]);
  assert.deepEqual([resting.state, resting.until, turn(resting)], ["recess", 500, "recess"]);
  assert.deepEqual(nextStep(resting, 0), { step: "resume", target: "", why: null });
  const going = after(resting, ["BoardPublished", { election: "e", size: 1 }], ["MeetingResumed", {}]);
  assert.equal(after(resting, ["MeetingResumed", {}]).state, "recess", "control: an old number changes nothing");
  assert.deepEqual([going.state, going.until], ["opened", 0]);
  const gone = after(meeting(), ["MeetingAdjourned", { continues_at: 900 }]);
  assert.deepEqual([gone.state, gone.until, gone.presiding, turn(gone)], ["adjourned", 900, null, "adjourned"]);
  assert.deepEqual(nextStep(gone, 0), { step: "begin-check-in", target: "", why: null });
  assert.deepEqual(duties({ ...gone, me: { ...gone.me, checked_in: false } }, true), ["begin-check-in"]);
});

test("a binding quorum takes the meeting along, another one does not", () => {
  const lost: Told = ["QuorumLost", { present: 3, needed: 4 }];
  const reached: Told = ["QuorumReached", { present: 4, needed: 4 }];
  const bound = meeting({ binding: true, elections: [election({ agenda_item: "a1" })] });
  assert.equal(nextStep(bound, 0).why, null);
  const now = after(bound, lost);
  assert.deepEqual([now.state, turn(now)], ["quorum-lost", "quorum-lost"]);
  assert.deepEqual([nextStep(now, 0).step, nextStep(now, 0).why], ["open-vote", "quorum-lost"]);
  assert.equal(after(bound, lost, reached).state, "opened");
  assert.equal(after(meeting(), lost).state, "opened");
  assert.equal(after(meeting({ binding: true, state: "recess" }), lost).state, "recess");
  const without = meeting({ binding: true, state: "checking-in", presiding: null, quorum: { ...bound.quorum, present: 3, met: false } });
  assert.equal(nextStep(without, 0).why, "no-quorum");
  assert.equal(nextStep({ ...without, binding: false }, 0).why, null);
});

test("who does not preside is told so, and signs what is their own all the same", () => {
  const bob = meeting({ presiding: BOB });
  assert.equal(leadsNow(bob), false);
  assert.equal(nextStep(bob, 0).why, "not-presiding");
  assert.deepEqual(duties(bob, true), []);
  for (const [state, why] of [["counted", null], ["tied", null], ["open", "not-presiding"]] as const) {
    assert.equal(nextStep({ ...bob, elections: [election({ state })] }, 0).why, why, state);
  }
  assert.equal(nextStep(meeting({ presiding: null }), 0).why, null);
});

test("the chair is handed over, lost to a deputy and taken back", () => {
  const offered = after(meeting(), ["HandoverOffered", { from: "ann", to: "bob", name: "Bob" }]);
  assert.deepEqual([offered.offered_to, offered.presiding], [BOB, ANN]);
  assert.equal(after(offered, ["BoardPublished", { election: "e", size: 1 }], ["HandoverOffered", { from: "ann", to: "", name: "" }]).offered_to, null);
  const handed = after(meeting({ offered_to: BOB }), ["ChairHandedOver", { from: "ann", to: "bob", name: "Bob" }]);
  assert.deepEqual([handed.presiding, handed.offered_to, handed.lost_chair], [BOB, null, ""]);
  const deputy = after(meeting(), ["DeputyPresides", { from: "ann", to: "bob", name: "Bob" }]);
  assert.deepEqual([deputy.presiding, deputy.lost_chair], [BOB, "ann"]);
  assert.deepEqual(duties(deputy, true), ["resume-chair"]);
  assert.deepEqual(duties(meeting({ presiding: BOB, offered_to: ANN }), true), ["accept-chair"]);
  const back = after(meeting({ presiding: BOB, lost_chair: "ann" }), ["ChairResumed", ANN]);
  assert.deepEqual([back.presiding, back.lost_chair, duties(back, true)], [ANN, "", ["lead"]]);
});

test("a vote is not closed before its announced time, and one broken off is void", () => {
  const open = meeting({ elections: [election({ state: "open" })] });
  assert.equal(nextStep(open, 0).why, null);
  const timed = after(open, ["VoteTimerSet", { election: "e1", ends_at: 600, reason: "" }]);
  assert.deepEqual([nextStep(timed, 599).why, nextStep(timed, 600).why], ["timer-running", null]);
  const { meeting: gone, stale } = apply(open, { seq: 11, at: 1, type: "ElectionAborted", body: { election: "e1", reason: "x" } });
  assert.deepEqual([gone.elections[0]?.state, stale], ["void", true]);
});

test("a notice that would be late is not sent, unless its period is waived", () => {
  const draft = meeting({ state: "draft", presiding: null, notice_days: 7, notice_latest: 1000 });
  assert.deepEqual([nextStep(draft, 1000).why, nextStep(draft, 1001).why], [null, "notice-too-short"]);
  assert.equal(nextStep(after(draft, ["NoticeWaived", { reason: "x" }]), 1001).why, null);
});

test("a meeting called off is over for everybody", () => {
  const off = after(meeting({ state: "convened", presiding: null }), ["MeetingCancelled", { reason: "Flood" }]);
  assert.deepEqual([off.state, off.reason, turn(off), duties(off, true)], ["cancelled", "Flood", "over", []]);
  assert.deepEqual(nextStep(off, 0), { step: "done", target: "", why: "cancelled" });
});

test("every state has a turn, a next step and a place", () => {
  for (const state of STATES) {
    const now = meeting({ state });
    assert.ok(turn(now) && nextStep(now, 0).step, state);
    assert.equal(Number(inSession(now)) + Number(isEnded(now)) <= 1, true, state);
  }
  assert.deepEqual(STATES.filter((state) => roomOpen({ state })), ["checking-in", "opened", "recess", "quorum-lost"]);
  assert.deepEqual(STATES.filter((state) => isEnded({ state })), ["closed", "cancelled"]);
});

test("what others do to the agenda asks for the snapshot, and what is known shows at once", () => {
  const start = meeting({ agenda: [item("a1", "One", "current"), item("a2", "Two", "waiting")] });
  const title = (now: Meeting): string[] => now.agenda.map((one) => `${one.title} ${one.state}`);
  assert.deepEqual(title(after(start, ["AgendaItemChanged", { item: "a2", title: "Deux", minutes: 5, internal: false, version: 1 }])), ["One current", "Deux waiting"]);
  assert.deepEqual(title(after(start, ["AgendaItemDeferred", { item: "a1", title: "One" }])), ["One deferred", "Two waiting"]);
  assert.deepEqual(title(after(start, ["AgendaItemRemoved", { item: "a2" }])), ["One current"]);
  const added = apply(start, { seq: 11, at: 1, type: "AgendaItemAdded", body: { item: "x", parent: "", after: "", title: "", minutes: 0, internal: true, carried_from: "" } });
  assert.deepEqual([title(added.meeting), added.stale], [title(start), true]);
});

const tree = (...paths: string[]): AgendaItem[] =>
  paths.map((path) => {
    const parts = path.split("/");
    return item(parts.at(-1) ?? "", path, "waiting", { parent: parts.at(-2) ?? "" });
  });

test("arrows say where an item goes, relative to its neighbours", () => {
  const items = tree("a", "a/x", "a/y", "b", "c");
  const to = (id: string, move: Move): string => {
    const place = placeAfter(items, id, move);
    return place === null ? "-" : `${place.parent}>${place.after}`;
  };
  assert.deepEqual(MOVES.map((move) => to("a", move)), ["-", ">b", "-", "-"]);
  assert.deepEqual(MOVES.map((move) => to("b", move)), [">", ">c", "-", "a>y"]);
  assert.deepEqual(MOVES.map((move) => to("c", move)), [">a", "-", "-", "b>"]);
  assert.deepEqual(MOVES.map((move) => to("y", move)), ["a>", "-", ">a", "x>"]);
  assert.equal(placeAfter(items, "nothing", "up"), null);
  const deep = tree("a", "a/b", "b/c", "c/d", "c/e", "f", "f/g");
  assert.equal(placeAfter(deep, "e", "in"), null, "four levels are the most");
  assert.deepEqual(placeAfter(deep, "f", "in"), { parent: "a", after: "b" });
});

test("a time on the wall is read and written in the meeting's zone, also around a change of clocks", () => {
  for (const zone of ["Europe/Berlin", "Asia/Ho_Chi_Minh"]) {
    for (const local of ["2026-03-29T01:59", "2026-03-29T03:00", "2026-10-25T03:30", "2026-07-01T19:00"]) {
      assert.equal(fromSeconds(toSeconds(local, zone), zone), local, `${zone} ${local}`);
    }
  }
});
