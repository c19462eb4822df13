/** A page that is left opens no device, whatever was still under way when it went. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { HeldDevice } from "../../src/media/held_device.ts";
import { LineLoop } from "../../src/media/line_loop.ts";
import { PROFILES, type Profile } from "../../src/media/profiles.ts";
import { Devices, settled } from "./devices.ts";

let devices: Devices;
beforeEach(() => (devices = new Devices()));
afterEach(() => devices.restore());

function loop(): LineLoop {
  const profile = PROFILES.find(({ video }) => video !== null) as Profile;
  const never = (): never => assert.fail("the server's side is not opened");
  return new LineLoop({ profile, open: never, onPicture: never, onSecond: never });
}

test("a loop that is stopped before it runs asks for no device", async () => {
  const left = loop();
  left.stop();
  await assert.rejects(left.run(), { name: "AbortError" });
  assert.deepEqual(devices.sources, []);
});

test("left while the browser asks for the microphone, the loop gives it back and asks for no camera", async () => {
  const left = loop();
  const run = assert.rejects(left.run(), { name: "AbortError" });
  await settled();
  left.stop();
  await devices.question(0).allow();
  assert.deepEqual([devices.sources, devices.open], [["microphone"], [false]]);
  await run;
});

test("left while the browser asks for a device that is tried, it is given back", async () => {
  const device = new HeldDevice("camera");
  const opening = device.open();
  device.close();
  await devices.question(0).allow();
  assert.deepEqual([await opening, devices.open], [null, [false]]);
});

test("of a device that is tried twice one stays open, and none once it is closed", async () => {
  const device = new HeldDevice("microphone");
  const first = device.open();
  await devices.question(0).allow();
  assert.deepEqual([await first, devices.open], [devices.question(0).track, [true]]);
  const second = device.open();
  await devices.question(1).allow();
  assert.deepEqual([await second, devices.open], [devices.question(1).track, [false, true]]);
  device.close();
  assert.deepEqual(devices.open, [false, false]);
});
