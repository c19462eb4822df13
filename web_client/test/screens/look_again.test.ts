/** What a page looks at again: while it is seen, and never two at a time. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { lookAgain, onceMore } from "../../src/ui/look_again.ts";

const before = Object.getOwnPropertyDescriptor(globalThis, "document");
let page: EventTarget & { visibilityState: string };

beforeEach(() => {
  page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  Object.assign(globalThis, { document: page });
  mock.timers.enable({ apis: ["setInterval"] });
});
afterEach(() => {
  mock.timers.reset();
  if (before) Object.defineProperty(globalThis, "document", before);
  else Reflect.deleteProperty(globalThis, "document");
});

test("it looks while the page is seen, at once when it is seen again, and not after the end", () => {
  const look = mock.fn();
  const end = lookAgain(1_000, look);
  mock.timers.tick(2_000);
  assert.equal(look.mock.callCount(), 2);
  page.visibilityState = "hidden";
  page.dispatchEvent(new Event("visibilitychange"));
  mock.timers.tick(5_000);
  assert.equal(look.mock.callCount(), 2);
  page.visibilityState = "visible";
  page.dispatchEvent(new Event("visibilitychange"));
  assert.equal(look.mock.callCount(), 3);
  end();
  page.dispatchEvent(new Event("visibilitychange"));
  mock.timers.tick(5_000);
  assert.equal(look.mock.callCount(), 3);
});

test("what is asked for while it runs is done once more, and none is lost", async () => {
  const waiting: (() => void)[] = [];
  const settled = async (): Promise<void> => {
    for (let step = 0; step < 10; step += 1) await Promise.resolve();
  };
  const load = onceMore(() => new Promise<void>((resolve) => waiting.push(resolve)));
  void load();
  void load();
  const last = load();
  assert.equal(waiting.length, 1);
  waiting[0]?.();
  await settled();
  assert.equal(waiting.length, 2);
  waiting[1]?.();
  await last;
  assert.equal(waiting.length, 2);
  void load();
  assert.equal(waiting.length, 3);
});
