/** What is being opened can be stopped: the room's media are real, but for the server, which never answers. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { RoomMedia } from "../../src/media/room_media.ts";
import { HoldToTalk } from "../../src/screens/room/hold.ts";
import { Sources } from "../../src/state/sources.ts";
import { Devices, settled } from "./devices.ts";

const nothing = (): void => undefined;
const names = ["document", "MediaStream"] as const;
const before = names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));
const element = { play: () => Promise.resolve(), remove: nothing };
const page = Object.assign(new EventTarget(), { createElement: () => element, body: { append: nothing } });

let devices: Devices;
let media: RoomMedia;
let sources: Sources;

beforeEach(() => {
  devices = new Devices();
  Object.assign(globalThis, { document: page, MediaStream: EventTarget });
  media = new RoomMedia({ request: () => new Promise(nothing), onEvent: () => nothing });
  void media.join();
  sources = new Sources();
  sources.use(media);
});
afterEach(() => {
  media.leave();
  devices.restore();
  for (const [at, name] of names.entries()) {
    const own = before[at];
    if (own) Object.defineProperty(globalThis, name, own);
    else Reflect.deleteProperty(globalThis, name);
  }
});

test("control: a camera that is allowed is on, and stopped it is given back", async () => {
  void sources.send("camera");
  await devices.question(0).allow();
  assert.deepEqual([sources.camera.value, devices.open, sources.ownPicture.value !== null], ["on", [true], true]);
  await sources.stop("camera");
  assert.deepEqual([sources.camera.value, devices.open, sources.ownPicture.value], ["off", [false], null]);
});

test("a camera that is stopped while the browser asks does not come on", async () => {
  void sources.send("camera");
  void sources.stop("camera");
  assert.equal(sources.camera.value, "off");
  await devices.question(0).allow();
  assert.deepEqual([sources.camera.value, devices.open, media.isPublishing("camera"), sources.ownPicture.value], ["off", [false], false, null]);
});

test("asked for again while the browser still asks, it comes on, and only once", async () => {
  void sources.send("camera");
  void sources.stop("camera");
  void sources.send("camera");
  await devices.question(0).allow();
  assert.deepEqual([sources.camera.value, media.isPublishing("camera")], ["starting", false]);
  await devices.question(1).allow();
  assert.deepEqual([sources.camera.value, devices.open], ["on", [false, true]]);
});

test("a refusal after it was stopped is no problem, and ends nothing that was asked for since", async () => {
  void sources.send("camera");
  void sources.stop("camera");
  void sources.send("camera");
  await devices.question(0).refuse();
  assert.deepEqual([sources.camera.value, sources.problem.value], ["starting", null]);
  await devices.question(1).refuse();
  assert.equal(sources.camera.value, "off");
  assert.notEqual(sources.problem.value, null);
});

test("a microphone that is silenced while the browser asks is muted when it comes", async () => {
  void sources.send("microphone");
  void sources.stop("microphone");
  await devices.question(0).allow();
  assert.deepEqual([sources.microphone.value, media.isPublishing("microphone")], ["off", true]);
  // Only what is muted is unmuted.
  const { track } = devices.question(0);
  track.enabled = false;
  await media.setMuted(false);
  assert.equal(track.enabled, true);
});

test("what is still being opened when the room is left is not said to be on", async () => {
  void sources.send("camera");
  sources.use(null);
  media.leave();
  await devices.question(0).allow();
  assert.deepEqual([sources.camera.value, devices.open], ["off", [false]]);
});

/** A microphone that was begun for another link: the server takes its time to close it. */
class Outdated {
  microphoneIsOutdated = true;
  sounds = false;
  closed: () => void = nothing;
  readonly done: string[] = [];

  async stop(): Promise<void> {
    this.microphoneIsOutdated = false;
    this.done.push("stop");
    await new Promise<void>((resolve) => (this.closed = resolve));
  }
  isPublishing = (): boolean => false;
  localTrack = (): null => null;
  publishMicrophone = (): Promise<void> => this.#set("publish", true);
  publishCamera = (): Promise<void> => Promise.resolve();
  publishScreen = (): Promise<void> => Promise.resolve();
  setMuted = (muted: boolean): Promise<void> => this.#set(muted ? "mute" : "unmute", !muted);

  #set(what: string, sounds: boolean): Promise<void> {
    this.done.push(what);
    this.sounds = sounds;
    return Promise.resolve();
  }
}

test("released while the microphone is begun anew, a hall is not heard", async () => {
  const old = new Outdated();
  sources.use(old);
  const hold = new HoldToTalk(sources);
  hold.press();
  hold.release();
  old.closed();
  await settled();
  assert.deepEqual([old.sounds, sources.microphone.value, old.done.includes("publish")], [false, "off", false]);
});

test("pressed again while the microphone is begun anew, a hall is heard", async () => {
  const old = new Outdated();
  sources.use(old);
  const hold = new HoldToTalk(sources);
  hold.press();
  hold.release();
  hold.press();
  old.closed();
  await settled();
  assert.deepEqual([old.sounds, sources.microphone.value], [true, "on"]);
});
