/** Closed sessions: who is put outside by an event, what is left there, and what brings them back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Me, Meeting, MeetingEvent, Role } from "../../src/api/types.ts";
import type { ClosedSession, OutsideMeeting } from "../../src/api/types_closed.ts";
import type { Site } from "../../src/api/types_sites.ts";
import { hallOutside, hearOutside, isOutside, myHallOutside, outsideAfter, perhapsOut, siteIsOut } from "../../src/state/closed.ts";
import { apply } from "../../src/state/meeting.ts";
import { wallOf } from "../../src/state/wall.ts";
import { alone, conduct, election, item, quiet } from "./samples.ts";

const site = (id: string, kind: Site["kind"]): Site => ({
  site: id, name: id.toUpperCase(), kind, custodian: "", custodian_name: "", expected: 0, profile: 0, state: "connected", since: 1, tested: null, present: 0, seats: null,
});

const who = (fields: Partial<Me> = {}): Me => ({
  member: "ann", roles: [], checked_in: true, credential: "c", entitled: true, removed: false, trustee: 0, cosigner: "", notice: null, drafts: [], site: "", companion: false, ...fields,
});

const GUEST = who({ member: "g1", entitled: false, checked_in: false, credential: null, visitor: "admitted" });

const meeting = (fields: Partial<Meeting> = {}): Meeting => ({
  ...conduct, ...alone, ...quiet,
  id: "m", title: "Meeting", unit: "u", organisation: "o", state: "opened", starts_at: 1, time_zone: "UTC", opened_at: 2, closed_at: null, agenda: [item("a1", "Secret plan", "current")],
  quorum: { num: 1, den: 2, present: 5, roll: 8, needed: 4, met: true }, present: [], floor: { mode: "open" }, roll: { frozen: true, hash: "h", size: 8 }, key: { state: "ready", trustees: [], code: "" },
  cosigners: [], elections: [election({ title: "Secret vote" })], rehearsal: false, challenge_s: 0, removed: [], me: who(), seq: 10, closed_session: null,
  sites: [site("main", "main"), site("h1", "hall"), site("remote", "remote")], visitors: [{ visitor: "g1", name: "Gwen", kind: "guest" }],
  ...fields,
});

const event = (seq: number, type: MeetingEvent["type"], body: object): MeetingEvent => ({ seq, type, at: 100, body }) as MeetingEvent;
const began = (fields: object = {}): MeetingEvent => event(11, "ClosedSessionBegan", { sites: ["main"], visitors: [], ...fields });
const admits = (fields: object): MeetingEvent => event(12, "ClosedSessionAdmitted", { site: "", visitor: "", admitted: true, ...fields });
const session: ClosedSession = { since: 100, reason: "Staff", sites: ["main"], visitors: ["g1"] };

function outside(): OutsideMeeting {
  const out = outsideAfter(meeting({ me: GUEST }), began());
  assert.ok(out);
  return out;
}

test("members and officers stay inside; visitors, readers and who only observes are outside at once", () => {
  const stays = (me: Me, body: object = {}): boolean => outsideAfter(meeting({ me }), began(body)) === null;
  const officer = (role: Role): Me => who({ entitled: false, checked_in: false, roles: [role] });
  assert.ok(stays(who()));
  for (const role of ["chair", "secretary", "registrar", "teller", "auditor"] as const) assert.ok(stays(officer(role)), role);
  for (const role of ["observer", "member"] as const) assert.ok(!stays(officer(role)), role);
  assert.ok(!stays(GUEST));
  assert.ok(stays(GUEST, { visitors: ["g1"] }), "control: a visitor who is named stays");
});

test("what is left outside holds nothing of what was shown", () => {
  const out = outside();
  assert.ok(isOutside(out) && !isOutside(meeting()));
  assert.deepEqual([out.closed_session.since, out.closed_session.reason, out.closed_session.visitors, out.seq], [100, "", [], 11]);
  assert.doesNotMatch(JSON.stringify(out), /Secret|Gwen/);
});

test("an old event puts nobody outside, one after a gap does", () => {
  assert.equal(outsideAfter(meeting({ me: GUEST, seq: 11 }), began()), null);
  assert.equal(outsideAfter(meeting({ me: GUEST, seq: 5 }), began())?.seq, 11);
});

test("a visitor who is named is put outside when the chair takes that back", () => {
  const inside = meeting({ me: GUEST, seq: 11, closed_session: session });
  assert.equal(outsideAfter(inside, admits({ site: "h1" })), null);
  assert.equal(outsideAfter(inside, admits({ visitor: "g2", admitted: false })), null);
  assert.ok(outsideAfter(inside, admits({ visitor: "g1", admitted: false })));
});

test("outside, what is withheld asks for nothing; the end and one's own name do", () => {
  const out = outside();
  const withheld = hearOutside(out, event(12, "EventWithheld", {}));
  assert.deepEqual([withheld.outside.seq, withheld.stale], [12, false]);
  assert.equal(hearOutside(out, event(11, "ClosedSessionEnded", {})).stale, false, "an old number changes nothing");
  assert.equal(hearOutside(out, event(13, "EventWithheld", {})).stale, true, "a gap");
  assert.equal(hearOutside(out, event(12, "ClosedSessionEnded", {})).stale, true);
  assert.equal(hearOutside(out, admits({ visitor: "g1" })).stale, true);
  const hall = hearOutside(out, admits({ site: "h1" }));
  assert.deepEqual([hall.stale, hall.outside.closed_session.sites, hall.outside.closed_session.visitors], [false, ["main", "h1"], []]);
  const member = { ...out, me: who(), closed_session: { ...out.closed_session, address: "https://hub.example" } };
  assert.equal(hearOutside(member, admits({ site: "h1" })).stale, true, "by way of a relay it may be mine");
});

test("inside, the snapshot follows the events; the reason is fetched", () => {
  const now = apply(meeting(), began());
  assert.deepEqual([now.meeting.closed_session, now.stale], [{ since: 100, reason: "", sites: ["main"], visitors: [] }, true]);
  const more = apply(now.meeting, admits({ site: "h1" }));
  assert.deepEqual([more.meeting.closed_session?.sites, more.stale], [["main", "h1"], false]);
  assert.deepEqual(apply(more.meeting, event(13, "ClosedSessionAdmitted", { site: "h1", visitor: "", admitted: false })).meeting.closed_session?.sites, ["main"]);
  assert.deepEqual(apply(more.meeting, admits({ site: "h1" })).meeting, more.meeting, "an old number changes nothing");
  assert.equal(apply(more.meeting, event(13, "ClosedSessionEnded", {})).meeting.closed_session, null);
});

test("a hall is outside until it is admitted, and its walls with it", () => {
  const closed = meeting({ closed_session: session, me: who({ site: "h1" }) });
  assert.deepEqual([siteIsOut(closed, "h1"), siteIsOut(closed, "main"), siteIsOut(closed, ""), siteIsOut(null, "h1")], [true, false, false, false]);
  assert.deepEqual([myHallOutside(closed), wallOf(closed).closed, perhapsOut(closed, "")], ["H1", true, true]);
  const admitted = meeting({ closed_session: { ...session, sites: ["h1"] }, me: who({ site: "h1" }) });
  assert.deepEqual([myHallOutside(admitted), wallOf(admitted).closed, perhapsOut(admitted, "h1")], ["", false, false]);
  assert.equal(wallOf({ ...admitted, me: who({ site: "remote" }) }).closed, true, "the main room's wall follows the main room");
  assert.equal(wallOf(meeting()).closed, false);
  const agenda = [item("a1", "Secret plan", "current"), item("a2", "Secret next", "waiting")];
  assert.match(JSON.stringify(wallOf({ ...admitted, agenda })), /Secret plan.*Secret next/, "control: who is inside sees it");
  assert.doesNotMatch(JSON.stringify(wallOf({ ...closed, agenda })), /Secret/);
  const computer = hallOutside(closed, "h1");
  assert.ok(computer && isOutside(computer));
  assert.doesNotMatch(JSON.stringify(computer), /Secret|Gwen|Staff/);
  assert.deepEqual([hallOutside(closed, ""), hallOutside(closed, "main"), hallOutside(meeting(), "h1")], [null, null, null]);
});
