/** A page that is left opens no device, whatever was still under way when it went. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { HeldDevice } from "../../src/media/held_device.ts";
import { LineLoop } from "../../src/media/line_loop.ts";
import { PROFILES, type Profile } from "../../src/media/profiles.ts";
import "../device.ts";

class Track {
  contentHint = "";
  open = true;
  stop(): void {
    this.open = false;
  }
}

/** What the page asked for, in order; the person answers each question when told to. */
const asked: { source: string; track: Track; answer: () => Promise<void> }[] = [];
const before = Object.getOwnPropertyDescriptor(navigator, "mediaDevices");

async function settled(): Promise<void> {
  for (let step = 0; step < 20; step += 1) await Promise.resolve();
}

beforeEach(() => {
  asked.length = 0;
  const getUserMedia = ({ video }: MediaStreamConstraints): Promise<unknown> =>
    new Promise((resolve) => {
      const track = new Track();
      const answer = (): Promise<void> => (resolve({ getTracks: () => [track] }), settled());
      asked.push({ source: video === undefined ? "microphone" : "camera", track, answer });
    });
  Object.defineProperty(navigator, "mediaDevices", { configurable: true, value: { getUserMedia } });
});
afterEach(() => {
  if (before) Object.defineProperty(navigator, "mediaDevices", before);
  else Reflect.deleteProperty(navigator, "mediaDevices");
});

const question = (at: number) => asked[at] as (typeof asked)[number];
const open = (): boolean[] => asked.map(({ track }) => track.open);

function loop(): LineLoop {
  const profile = PROFILES.find(({ video }) => video !== null) as Profile;
  const never = (): never => assert.fail("the server's side is not opened");
  return new LineLoop({ profile, open: never, onPicture: never, onSecond: never });
}

test("a loop that is stopped before it runs asks for no device", async () => {
  const left = loop();
  left.stop();
  await assert.rejects(left.run(), { name: "AbortError" });
  assert.equal(asked.length, 0);
});

test("left while the browser asks for the microphone, the loop gives it back and asks for no camera", async () => {
  const left = loop();
  const run = assert.rejects(left.run(), { name: "AbortError" });
  await settled();
  left.stop();
  await question(0).answer();
  await run;
  assert.deepEqual([asked.map(({ source }) => source), open()], [["microphone"], [false]]);
});

test("left while the browser asks for a device that is tried, it is given back", async () => {
  const device = new HeldDevice("camera");
  const opening = device.open();
  device.close();
  await question(0).answer();
  assert.deepEqual([await opening, open()], [null, [false]]);
});

test("of a device that is tried twice one stays open, and none once it is closed", async () => {
  const device = new HeldDevice("microphone");
  const first = device.open();
  await question(0).answer();
  assert.deepEqual([await first, open()], [question(0).track, [true]]);
  const second = device.open();
  await question(1).answer();
  assert.deepEqual([await second, open()], [question(1).track, [false, true]]);
  device.close();
  assert.deepEqual(open(), [false, false]);
});
