import assert from "node:assert/strict";
import { test } from "node:test";
import type { Site } from "../../src/api/types_sites.ts";
import { curveSteps } from "../../src/state/curve.ts";
import { loopProfile, roundOf, worseLoss } from "../../src/state/line_loop.ts";
import { clockMs, clockOff, median, MOST_KBPS, rateKbps } from "../../src/state/line_test.ts";
import { checkSeats, presentAt, seatName, SITES } from "../../src/state/sites.ts";
import { wallOf } from "../../src/state/wall.ts";
import { isMuted } from "../../src/screens/room/muted.ts";
import type { Meeting, Person } from "../../src/api/types.ts";
import { alone, conduct, item, quiet } from "./samples.ts";

const person = (member: string, site: string): Person => ({ member, name: member.toUpperCase(), site, state: "present", hand: null, floor: false, muted: false, roles: [] });

const hall = (fields: Partial<Site> = {}): Site => ({
  site: "h1", name: "Upper hall", kind: "hall", custodian: "cu", custodian_name: "Cu", expected: 12, profile: 64, state: "tested", since: 10, tested: null, present: 0, seats: null, ...fields,
});

const meeting = (fields: Partial<Meeting> = {}): Meeting => ({
  ...conduct, ...alone, ...quiet,
  id: "m", title: "M", unit: "u", organisation: "o", state: "opened", starts_at: 0, time_zone: "UTC", opened_at: 1, closed_at: null, agenda: [item("a", "One", "current")],
  quorum: { num: 1, den: 2, present: 3, roll: 6, needed: 3, met: true }, present: [person("a", "h1"), person("b", "h1"), person("c", "main")], floor: { mode: "open" },
  roll: { frozen: true, hash: "", size: 6 }, key: { state: "waiting", trustees: [], code: "" }, cosigners: [], elections: [], rehearsal: false, challenge_s: 0, removed: [],
  me: { member: "a", roles: [], checked_in: true, credential: "c", entitled: true, removed: false, trustee: 0, cosigner: "", notice: null, drafts: [], site: "h1", companion: true },
  seq: 1, sites: [hall({ site: "main", kind: "main", name: "" }), hall()], ...fields,
});

test("a hall's light follows its events, and no other site's", () => {
  const lost = SITES.SiteLost(meeting(), { site: "h1" }, 50);
  assert.deepEqual(lost.sites.map(({ site, state, since }) => [site, state, since]), [["main", "tested", 10], ["h1", "lost", 50]]);
  assert.equal(SITES.SiteRejoined(lost, { site: "h1" }, 60).sites[1]?.state, "rejoined");
  assert.equal(SITES.SiteRemoved(lost, { site: "h1" }, 60).sites.length, 1);
});

test("the seat list is held against who is checked in there", () => {
  assert.equal(presentAt(meeting(), "h1"), 2);
  assert.deepEqual(checkSeats(meeting(), "h1", new Set(["a", "c", "d"])), { missing: ["c", "d"], extra: ["b"] });
  assert.deepEqual(checkSeats(meeting(), "h1", new Set(["a", "b"])), { missing: [], extra: [] });
});

test("a seat is named as the hall whose computer has it, else as the member", () => {
  assert.deepEqual(["site:h1", "b", "site:gone", "gone"].map((owner) => seatName(meeting(), owner)), ["Upper hall", "B", "", ""]);
});

test("the chair's mute is one rule in the bar and beside the booth", () => {
  const [me, ...others] = meeting().present as [Person, ...Person[]];
  const muted = meeting({ present: [{ ...me, muted: true }, ...others] });
  const alone = { ...meeting().me, companion: false };
  // The hall's computer is not the member who looks after it, and what the server says of its seat is the hall's turn.
  assert.deepEqual([isMuted(muted, true, false), isMuted(muted, true, true)], [false, false]);
  assert.deepEqual([isMuted(muted, false, false), isMuted(meeting(), false, true)], [true, false], "beside a hall's microphone");
  assert.deepEqual([true, false].map((byChair) => isMuted(meeting({ me: alone }), false, byChair)), [true, false]);
});

test("who confirms is counted in the question that runs only", () => {
  const presence = { presence: "p", at: 1, until: 99, asked: 3, confirmed: 0, me: "asked" as const };
  assert.equal(SITES.PresenceConfirmed(meeting({ presence }), { presence: "p", confirmed: 2 }, 5).presence?.confirmed, 2);
  assert.equal(SITES.PresenceConfirmed(meeting({ presence }), { presence: "q", confirmed: 2 }, 5).presence?.confirmed, 0);
});

test("the line's figures: rates without the way there and back, the clock in the middle of it", () => {
  assert.equal(rateKbps(8000, 1.6, 0.6), 64);
  assert.equal(rateKbps(8000, 0.6, 0.6), MOST_KBPS);
  assert.equal(clockMs(10_000, 0.8, 10_400), 0);
  assert.equal(clockMs(7_210_000, 0.8, 10_400), 7_200_000);
  assert.equal(median([5, 1, 9]), 5);
});

test("of both directions the worse loss counts, and what was lost outwards is not counted again", () => {
  const near = (found: number, wanted: number): void => assert.ok(Math.abs(found - wanted) < 0.001, `${found} is not ${wanted}`);
  near(worseLoss({ sent: 400, lostUp: 40, received: 324, lost: 76 }), 0.1);
  near(worseLoss({ sent: 400, lostUp: 0, received: 300, lost: 100 }), 0.25);
  near(worseLoss({ sent: 400, lostUp: 160, received: 240, lost: 160 }), 0.4);
  near(worseLoss({ sent: 400, lostUp: 400, received: 0, lost: 0 }), 1);
  assert.equal(worseLoss({ sent: 0, lostUp: 0, received: 0, lost: 0 }), 0);
});

test("nothing that came back is no loss of nothing, and silence is no sound", () => {
  const seen = { sent: 133, lostUp: 0, received: 133, lost: 0, level: 0.5, frames: 90, bytesUp: 80_000, bytesDown: 72_000 };
  assert.deepEqual(roundOf(seen, 8, true), { loss_permille: 0, packets: 133, frames: 90, up_kbps: 80, down_kbps: 72, sound: true, picture: true, camera: true });
  assert.equal(roundOf({ ...seen, level: 0.001 }, 8, true).sound, false);
  const none = roundOf({ ...seen, received: 3, frames: 0 }, 8, true);
  assert.deepEqual([none.loss_permille, none.sound, none.picture], [null, false, false]);
});

test("a loop asks of a line what its profile allows", () => {
  const wide = { up_kbps: MOST_KBPS, down_kbps: MOST_KBPS };
  assert.deepEqual([0, 64, 128, 256, 512].map((profile) => loopProfile(wide, profile).link), [512, 64, 128, 256, 512]);
  assert.equal(loopProfile({ up_kbps: 300, down_kbps: 900 }, 0).link, 256);
  assert.equal(loopProfile({ up_kbps: 20, down_kbps: 900 }, 0).link, 64);
});

test("a wrong clock is told in the units that fit it", () => {
  const told = (ms: number): number[] => Object.values(clockOff(ms));
  assert.deepEqual(told(7_200_400), [2, 0, 0]);
  assert.deepEqual(told(-7_204_000), [2, 0, 0]);
  assert.deepEqual(told(3_599_600), [1, 0, 0]);
  assert.deepEqual(told(190_000), [0, 3, 10]);
  assert.deepEqual(told(-2_400), [0, 0, 2]);
});

test("the curve is a stair from the first point to the last", () => {
  const points = [{ seq: 1, at: 0, present: 1, needed: 2, by_site: {} }, { seq: 2, at: 50, present: 3, needed: 2, by_site: {} }, { seq: 3, at: 100, present: 2, needed: 2, by_site: {} }];
  assert.equal(curveSteps(points, 100, 40, 4).present, "M0 30H50V10H100V20");
  assert.equal(curveSteps(points.slice(0, 1), 100, 40, 4).needed, "M0 20H100");
});

test("a wall names places with their heads", () => {
  assert.deepEqual(wallOf(meeting()).sites.map(({ kind, present }) => [kind, present]), [["main", 1], ["hall", 2]]);
});
