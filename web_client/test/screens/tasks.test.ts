import assert from "node:assert/strict";
import { alone, conduct, election, item, quiet } from "./samples.ts";
import { test } from "node:test";
import type { ElectionState, Meeting, MeetingState, Role } from "../../src/api/types.ts";
import type { SiteState } from "../../src/api/types_sites.ts";
import { apply, hasResult, isOver } from "../../src/state/meeting.ts";
import { nextStep } from "../../src/state/next.ts";
import { type Duty, duties, pageOf, turn } from "../../src/state/tasks.ts";

interface Given {
  state?: MeetingState;
  frozen?: boolean;
  roles?: Role[];
  trustee?: number;
  cosigner?: string;
  ready?: boolean;
  key?: "waiting" | "ready";
  checkedIn?: boolean;
  removed?: boolean;
  vote?: ElectionState;
  voted?: boolean;
  voter?: boolean;
  hall?: SiteState;
}

function meeting(given: Given = {}): Meeting {
  const { cosigner = "", checkedIn = false, vote, hall } = given;
  return {
    ...conduct,
    id: "m",
    title: "Meeting",
    unit: "u",
    organisation: "o",
    state: given.state ?? "draft",
    starts_at: 1,
    time_zone: "UTC",
    opened_at: null,
    closed_at: null,
    agenda: [item("a1", "One", "current")],
    quorum: { num: 1, den: 2, present: 5, roll: 5, needed: 3, met: true },
    present: [],
    floor: { mode: "open" },
    ...alone, ...quiet,
    sites: hall === undefined ? [] : [{ site: "s", name: "Mill", kind: "hall", custodian: "me", custodian_name: "Me", expected: 9, profile: 64, state: hall, since: 1, tested: null, present: 0, seats: null }],
    roll: { frozen: given.frozen ?? true, hash: "h", size: 5 },
    key: { state: given.key ?? "ready", trustees: [], code: "" },
    cosigners: ["chair", "secretary", "teller-1", "teller-2", "teller-3"].map((name) => ({ name, member: name, ready: name === cosigner ? (given.ready ?? true) : true })),
    rehearsal: false,
    challenge_s: 0,
    removed: [],
    elections: vote === undefined ? [] : [election({ state: vote, electorate_size: 5, cast: 5, voted: given.voted ?? false })],
    me: { member: "me", roles: given.roles ?? ["member"], checked_in: checkedIn, credential: checkedIn ? "c" : null, entitled: true, removed: given.removed ?? false, trustee: given.trustee ?? 0, cosigner, notice: null, drafts: [], site: "", companion: false },
    seq: 1,
  };
}

const CASES: [string, Given, Duty[]][] = [
  ["a member waits while the meeting is prepared", { frozen: false }, []],
  ["the registrar freezes the roll", { frozen: false, roles: ["member", "secretary", "registrar"] }, ["freeze-roll"]],
  ["then the secretary convenes", { roles: ["member", "secretary"] }, ["convene"]],
  ["then begins check-in", { state: "convened", roles: ["member", "secretary"] }, ["begin-check-in"]],
  ["a member checks in", { state: "checking-in" }, ["check-in"]],
  ["an auditor who is no member is not asked to check in", { state: "checking-in", roles: ["auditor"], voter: false }, []],
  ["a member of a unit below holds no role here and checks in", { state: "checking-in", roles: [] }, ["check-in"]],
  ["the auditor checks what was declared, also after the end", { state: "closed", roles: ["auditor"], voter: false, vote: "declared" }, ["audit"]],
  ["but not a void vote", { state: "closed", roles: ["auditor"], voter: false, vote: "void" }, []],
  ["an officer makes the signing key", { cosigner: "secretary", ready: false, checkedIn: true, state: "checking-in" }, ["cosigner-key"]],
  ["a teller makes both keys", { cosigner: "teller-1", ready: false, trustee: 1, key: "waiting", checkedIn: true, state: "checking-in" }, ["cosigner-key", "teller-key"]],
  ["the chair opens", { state: "checking-in", roles: ["member", "chair"], checkedIn: true }, ["open"]],
  ["everyone votes", { state: "opened", checkedIn: true, vote: "open" }, ["vote"]],
  ["once", { state: "opened", checkedIn: true, vote: "open", voted: true }, []],
  ["officers sign the box", { state: "opened", checkedIn: true, vote: "closed", cosigner: "secretary" }, ["cosign"]],
  ["tellers count", { state: "opened", checkedIn: true, vote: "counting", cosigner: "teller-1", trustee: 1 }, ["count"]],
  ["the chair declares", { state: "opened", checkedIn: true, vote: "counted", cosigner: "chair", roles: ["member", "chair"] }, ["declare"]],
  ["after a void vote the chair leads on", { state: "opened", checkedIn: true, vote: "void", roles: ["member", "chair"] }, ["lead"]],
  ["whoever looks after a hall opens its page", { hall: "invited" }, ["hall"]],
  ["opens it again when the hall is lost", { state: "opened", checkedIn: true, hall: "lost" }, ["hall"]],
  ["and is asked no more while it is there", { state: "opened", checkedIn: true, hall: "connected" }, []],
  ["whoever was removed is asked nothing", { state: "opened", removed: true, vote: "open" }, []],
  ["and nobody is after the end", { state: "closed", frozen: false, roles: ["registrar"] }, []],
];

for (const [name, given, expected] of CASES) {
  test(name, () => assert.deepEqual(duties(meeting(given), given.voter ?? true), expected));
}

test("each duty is done on a page of its meeting", () => {
  assert.equal(pageOf("m", "freeze-roll"), "/meetings/m/prepare");
  assert.equal(pageOf("m", "cosigner-key"), "/meetings/m");
});

test("the meeting says whose turn it is", () => {
  const turns = [{ frozen: false }, {}, { state: "convened" }, { state: "checking-in" }, { state: "opened" }, { state: "opened", vote: "draft", key: "waiting" }, { state: "opened", vote: "counting" }, { state: "closed" }] satisfies Given[];
  assert.deepEqual(turns.map((given) => turn(meeting(given))), ["roll", "convene", "begin-check-in", "checking-in", "agenda", "key", "count", "over"]);
});

test("a void vote is over, has no result, and its event asks for the snapshot", () => {
  const before = meeting({ state: "opened", vote: "counting" });
  const { meeting: now, stale } = apply(before, { seq: 2, at: 5, type: "ElectionVoided", body: { election: "e1" } });
  const [election] = now.elections;
  assert.ok(election && stale);
  assert.deepEqual([election.state, isOver(election), hasResult(election)], ["void", true, false]);
  assert.equal(nextStep(now, 0).step, "close");
});
