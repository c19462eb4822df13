import assert from "node:assert/strict";
import { test } from "node:test";
import { firstLook, profileOf, PROFILES, STEPS } from "../../src/media/profiles.ts";
import { followProfile, sendingOptions } from "../../src/media/sending.ts";
import { ofPictures, ofSources } from "../../src/media/catching_up.ts";
import { asSendsBadly, asStanding, asTroubled, levelOf, moreOf, sendingWords, wordsOf } from "../../src/state/ladder.ts";
import en from "../../src/i18n/ladder_en.json" with { type: "json" };

const SAID = { level: 1, reason: "link", trouble: true, profile: 64, lossy: true, estimate_kbps: 40, loss: 0.12, rtt_ms: 600 };
const track = (width: number, height: number): MediaStreamTrack => ({ getSettings: () => ({ width, height }) }) as unknown as MediaStreamTrack;
const profile = (link: number) => PROFILES.find((one) => one.link === link) ?? assert.fail(`no profile ${link}`);

test("what the server says of the link is taken as it is, and nothing that is not whole", () => {
  assert.deepEqual(asStanding(SAID), { level: 1, byChoice: false, trouble: true, profile: 64, lossy: true, estimate: 40, loss: 0.12 });
  assert.equal(asStanding({ ...SAID, estimate_kbps: null })?.estimate, null);
  for (const broken of [null, {}, "x", { ...SAID, level: 7 }, { ...SAID, level: "1" }, { ...SAID, loss: undefined }]) assert.equal(asStanding(broken), null);
});

test("the meter is poor in trouble, fair when the link keeps something back, good when the member does", () => {
  const standing = asStanding(SAID);
  assert.ok(standing);
  assert.equal(levelOf(null, null), "good");
  assert.equal(levelOf(standing, null), "poor");
  assert.equal(levelOf({ ...standing, trouble: false, level: 3 }, null), "fair");
  assert.equal(levelOf({ ...standing, trouble: false }, { source: "microphone", loss: 0.2, lateMs: 0 }), "poor");
  assert.equal(levelOf({ ...standing, trouble: false, level: 3, byChoice: true }, null), "good");
});

test("the chair's list keeps who is whole, with since when by this device's clock", () => {
  const members = [
    { owner: "m1", level: 1, reason: "link", sends_badly: "camera", for_s: 40 },
    { owner: 7 },
    { owner: "m2", level: 0, reason: "choice", sends_badly: null, for_s: 0 },
    { owner: "m3", level: 4, reason: null, sends_badly: "microphone", for_s: 3 },
  ];
  assert.deepEqual(asTroubled({ members, more: 3 }, 1000), [
    { owner: "m1", level: 1, byChoice: false, receives: false, sendsBadly: "camera", since: 960 },
    { owner: "m2", level: 0, byChoice: true, receives: false, sendsBadly: null, since: 1000 },
    { owner: "m3", level: 4, byChoice: false, receives: true, sendsBadly: "microphone", since: 997 },
  ]);
  assert.equal(moreOf({ members, more: 3 }), 3);
  assert.deepEqual([asTroubled(null, 0), moreOf(null)], [[], 0]);
});

test("what others get badly is taken as it is, and has words", () => {
  assert.deepEqual(asSendsBadly({ source: "microphone", loss: 0.2, late_ms: 30 }), { source: "microphone", loss: 0.2, lateMs: 30 });
  for (const none of [null, {}, { source: null, loss: 0, late_ms: 0 }, { source: "nose", loss: 0, late_ms: 0 }, { source: "camera", loss: 0 }]) assert.equal(asSendsBadly(none), null);
  const catalogue: Record<string, unknown> = en;
  for (const whose of ["others", "their"] as const) for (const source of ["microphone", "camera", "screen"] as const) assert.ok(sendingWords(whose, source) in catalogue);
});

test("after a broken connection the server is told what this seat did meanwhile, and nothing else", () => {
  const mine = (producer_id: string, paused: boolean) => ({ producer_id, owner: "me", kind: "audio", source: "microphone", paused }) as const;
  const listed = [mine("same", false), mine("muted", false), mine("opened", true), mine("stopped", false), { ...mine("other", true), owner: "you" }];
  const held = new Map([["same", { paused: false }], ["muted", { paused: true }], ["opened", { paused: false }]]);
  assert.deepEqual(ofSources(listed, "me", held), [
    ["pause_producer", { producer_id: "muted" }],
    ["resume_producer", { producer_id: "opened" }],
    ["close_producer", { producer_id: "stopped" }],
  ]);
  assert.deepEqual(ofSources(listed.slice(0, 1), "me", held), []);
  assert.deepEqual(ofPictures([{ id: "a", paused: true }, { id: "b", paused: false }]), [
    ["pause_consumer", { consumer_id: "a" }],
    ["resume_consumer", { consumer_id: "b" }],
  ]);
});

test("every level has words for the member and for the chair", () => {
  const catalogue: Record<string, unknown> = en;
  for (const level of STEPS)
    for (const byChoice of [true, false]) {
      const key = wordsOf(level, byChoice);
      assert.ok(key in catalogue, key);
      assert.ok(key.replace("ladder.", "ladder.their.") in catalogue, key);
    }
  for (const step of STEPS) assert.ok(`ladder.step.${step}` in catalogue);
});

test("a step sends no more than it is for, whatever the server finds fit", () => {
  assert.deepEqual([0, 64, 512].map((link) => profileOf(1, link).link), [64, 64, 64]);
  assert.deepEqual([0, 64, 128, 256, 512].map((link) => profileOf(3, link).link), [256, 128, 128, 256, 256]);
  assert.deepEqual([0, 64, 512].map((link) => profileOf(4, link).link), [0, 128, 512]);
});

test("a lossy thin link gets no picture of this seat, a wider one does", () => {
  const sent = (lossy: boolean) => [3, 4].map((step) => [64, 128, 256, 512, 0].map((link) => profileOf(step as 3 | 4, link, lossy).video !== null));
  assert.deepEqual(sent(false), [[true, true, true, true, true], [true, true, true, true, true]]);
  assert.deepEqual(sent(true), [[false, false, true, true, true], [false, false, true, true, true]]);
  assert.deepEqual([profileOf(4, 128, true).opus, profileOf(4, 128, true).ptime], [16_000, 60]);
});

test("what the device says of its link is told in whole figures within the protocol's bounds, or not at all", () => {
  const says = (connection: unknown): unknown => {
    Object.defineProperty(navigator, "connection", { value: connection, configurable: true });
    return firstLook();
  };
  assert.deepEqual(says({ downlink: 0.064, rtt: 600 }), { kbps: 64, rtt_ms: 600 });
  assert.deepEqual(says({ downlink: Infinity, rtt: 1e9 }), { kbps: 10_000_000, rtt_ms: 60_000 });
  assert.deepEqual(says({ downlink: 1.4 }), { kbps: 1_400, rtt_ms: 0 });
  for (const nothing of [undefined, {}, { downlink: 0, rtt: 0 }, { downlink: NaN }]) assert.equal(says(nothing), null);
});

test("the profile decides how voices and pictures begin", () => {
  const camera = track(1280, 720);
  const thin = sendingOptions("microphone", camera, profile(64)).codecOptions;
  assert.deepEqual(thin, { opusDtx: false, opusFec: true, opusStereo: false, opusMaxAverageBitrate: 12_000, opusPtime: 60 });
  assert.equal(sendingOptions("microphone", camera, profile(0)).codecOptions?.opusPtime, 20);
  const active = (link: number) => sendingOptions("camera", camera, profile(link)).encodings?.map((one) => one.active);
  assert.deepEqual([64, 128, 256, 512, 0].map(active), [[false, false, false], [true, false, false], [true, false, false], [true, false, false], [true, true, true]]);
  const [small] = sendingOptions("camera", camera, profile(128)).encodings ?? [];
  assert.deepEqual([small?.maxBitrate, small?.maxFramerate, small?.scaleResolutionDownBy], [12_000, 1, 6]);
  assert.equal(sendingOptions("camera", camera, profile(256)).codecOptions?.videoGoogleStartBitrate, 90);
  assert.equal(sendingOptions("camera", track(320, 180), profile(0)).encodings?.length, 1);
});

test("a running picture follows the profile at once, and a pause is no end", async () => {
  const camera = track(1280, 720);
  const sent = { encodings: (sendingOptions("camera", camera, profile(0)).encodings ?? []).map((one) => ({ ...one })) };
  const set: unknown[] = [];
  const sender = { getParameters: () => structuredClone(sent), setParameters: (parameters: { encodings: object[] }) => (set.push(parameters.encodings), Promise.resolve()) };
  const producer = { rtpSender: sender, closed: false } as unknown as Parameters<typeof followProfile>[0];
  await followProfile(producer, "camera", camera, profile(64));
  await followProfile(producer, "camera", camera, profile(0));
  const states = (set as { active: boolean }[][]).map((encodings) => encodings.map((one) => one.active));
  assert.deepEqual(states, [[false, false, false], [true, true, true]]);
  await followProfile({ rtpSender: sender, closed: true } as unknown as Parameters<typeof followProfile>[0], "camera", camera, profile(64));
  assert.equal(set.length, 2);
});
