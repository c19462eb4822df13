/** Holding to speak: a release silences whatever is still on its way, and a press after it opens again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals";
import { HoldToTalk } from "../../src/screens/room/hold.ts";
import type { Sending } from "../../src/state/room.ts";

/** A microphone that takes until it is told to open, as one does behind a question of the browser or a slow line. */
class SlowMicrophone {
  readonly microphone = signal<Sending>("off");
  /** Whether something is sent, whatever the signal says. */
  sends = false;
  opened = 0;
  #waiting: (() => void)[] = [];

  async send(): Promise<void> {
    if (this.microphone.peek() === "starting") return;
    this.microphone.value = "starting";
    this.sends = true;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.opened += 1;
    this.microphone.value = "on";
  }

  stop(): Promise<void> {
    this.microphone.value = "off";
    this.sends = false;
    return Promise.resolve();
  }

  /** Lets one opening come to its end. */
  async answer(): Promise<void> {
    this.#waiting.shift()?.();
    await settled();
  }
}

/** What is done already has its turn: each of these waits for one step of promises. */
async function settled(): Promise<void> {
  for (let step = 0; step < 10; step += 1) await Promise.resolve();
}

test("held, the microphone sounds; released, it is silent", async () => {
  const room = new SlowMicrophone();
  const hold = new HoldToTalk(room);
  hold.press();
  await room.answer();
  assert.deepEqual([room.sends, room.microphone.value], [true, "on"]);
  hold.press();
  assert.equal(room.opened, 1);
  hold.release();
  assert.deepEqual([room.sends, room.microphone.value], [false, "off"]);
});

test("a release silences what is still being opened, also when that ends afterwards", async () => {
  const room = new SlowMicrophone();
  const hold = new HoldToTalk(room);
  hold.press();
  hold.release();
  assert.equal(room.sends, false);
  await room.answer();
  assert.deepEqual([room.sends, room.microphone.value], [false, "off"]);
});

test("pressed again while the first press is still being answered, it opens", async () => {
  const room = new SlowMicrophone();
  const hold = new HoldToTalk(room);
  hold.press();
  hold.release();
  hold.press();
  assert.equal(room.sends, false);
  await room.answer();
  await room.answer();
  assert.deepEqual([room.sends, room.microphone.value, room.opened], [true, "on", 2]);
  hold.release();
  assert.equal(room.sends, false);
});
