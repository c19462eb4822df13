import assert from "node:assert/strict";
import { test } from "node:test";
import { Refetcher, refetchDelay } from "../../src/state/refetch.ts";

const BURST = 50;
const settled = (): Promise<void> => new Promise((done) => setImmediate(done));

/** A page whose fetches end when the test says so. */
function page(again: () => boolean = () => false) {
  const under: (() => void)[] = [];
  const counts = { begun: 0, together: 0, most: 0 };
  const fetcher = new Refetcher(
    async () => {
      counts.begun += 1;
      counts.together += 1;
      counts.most = Math.max(counts.most, counts.together);
      await new Promise<void>((done) => under.push(done));
      counts.together -= 1;
      return again();
    },
    () => refetchDelay(300, 0.5),
  );
  const end = async (): Promise<void> => {
    under.shift()?.();
    await settled();
  };
  return { fetcher, counts, end };
}

test("a burst of events is one fetch, and one more for what came while it was under way", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { fetcher, counts, end } = page();
  for (let n = 0; n < BURST; n += 1) fetcher.soon();
  assert.equal(counts.begun, 0);
  t.mock.timers.tick(refetchDelay(300, 1));
  assert.equal(counts.begun, 1);
  for (let n = 0; n < BURST; n += 1) fetcher.soon();
  t.mock.timers.tick(refetchDelay(300, 1));
  assert.equal(counts.begun, 1);
  await end();
  assert.equal(counts.begun, 2);
  await end();
  assert.deepEqual([counts.begun, counts.most], [2, 1]);
});

test("control: without waiting for others every event of the burst is a fetch", async () => {
  const { counts, fetcher, end } = page();
  for (let n = 0; n < BURST; n += 1) {
    void fetcher.now();
    await end();
  }
  assert.equal(counts.begun, BURST);
});

test("the pages of a large room ask at moments spread over a second and more, those of a small one at once", () => {
  const moments = Array.from({ length: 300 }, (_, n) => refetchDelay(300, n / 300));
  const busiest = Math.max(...moments.map((at) => moments.filter((other) => other >= at && other < at + 100).length));
  assert.ok(busiest <= 25, `${busiest} of 300 within 100 ms`);
  assert.ok(refetchDelay(10, 1) < 200);
  assert.ok(refetchDelay(5_000, 1) < 2_000);
  const together = moments.map(() => refetchDelay(0, Math.random()));
  assert.equal(together.filter((at) => at === together[0]).length, 300); // control: with nobody else there is no spread
});

test("a stopped page fetches nothing more; an answer that is too old is asked for again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const answers = [true, false];
  const { fetcher, counts, end } = page(() => answers.shift() ?? false);
  const done = fetcher.now();
  await end();
  await end();
  await done;
  assert.equal(counts.begun, 2);
  fetcher.soon();
  fetcher.stop();
  fetcher.soon();
  t.mock.timers.tick(10_000);
  assert.equal(counts.begun, 2);
});
