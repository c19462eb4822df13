import assert from "node:assert/strict";
import { test } from "node:test";
import { Refetcher, refetchDelay } from "../../src/state/refetch.ts";

const BURST = 50;
const settled = (): Promise<void> => new Promise((done) => setImmediate(done));

/** A page whose fetches end when the test says so. */
function page(reached: () => number | null = () => Infinity) {
  const under: (() => void)[] = [];
  const counts = { begun: 0, together: 0, most: 0 };
  const fetcher = new Refetcher(
    async () => {
      counts.begun += 1;
      counts.together += 1;
      counts.most = Math.max(counts.most, counts.together);
      await new Promise<void>((done) => under.push(done));
      counts.together -= 1;
      return reached();
    },
    () => refetchDelay(300, 0.5),
  );
  const end = async (): Promise<void> => {
    under.shift()?.();
    await settled();
  };
  return { fetcher, counts, end };
}

test("a burst of events is one fetch, and one more for what came while it was under way and has no number", async (t) => {
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

test("what an answer on its way has reached is not fetched again, what is newer is, after a pause", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const answers = [12, 14];
  const { fetcher, counts, end } = page(() => answers.shift() ?? 14);
  void fetcher.now();
  fetcher.soon(11);
  fetcher.soon(12);
  t.mock.timers.tick(1_000);
  await end();
  t.mock.timers.tick(60_000);
  assert.deepEqual([counts.begun, fetcher.pending], [1, false]);
  void fetcher.now();
  for (let n = 12; n < 15; n += 1) fetcher.soon(n);
  fetcher.soon(14);
  t.mock.timers.tick(3_000);
  await end();
  assert.deepEqual([counts.begun, fetcher.pending], [2, false]);
  fetcher.soon(15);
  assert.equal(fetcher.pending, true);
  t.mock.timers.tick(2_900); // the link was busy for 3 s with the one before
  assert.equal(counts.begun, 2);
  t.mock.timers.tick(200);
  assert.equal(counts.begun, 3);
});

test("control: a wish without a number, and one beyond the answer, is one more fetch", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { fetcher, counts, end } = page(() => 12);
  void fetcher.now();
  fetcher.soon();
  t.mock.timers.tick(10_000);
  await end();
  assert.equal(counts.begun, 2);
  fetcher.soon(13);
  await end();
  t.mock.timers.tick(10_000);
  assert.equal(counts.begun, 3);
});

test("what came to nothing is tried again after a while, as long as something is wished for", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const answers: (number | null)[] = [null, null];
  const { fetcher, counts, end } = page(() => (answers.length > 0 ? (answers.shift() as number | null) : 7));
  fetcher.soon(7);
  t.mock.timers.tick(5_000);
  await end();
  t.mock.timers.tick(3_900);
  assert.equal(counts.begun, 1);
  t.mock.timers.tick(200);
  assert.equal(counts.begun, 2);
  await end();
  t.mock.timers.tick(5_000);
  await end();
  t.mock.timers.tick(60_000);
  assert.deepEqual([counts.begun, fetcher.pending], [3, false]);
});

test("a stopped page fetches nothing more; an answer that is too old is asked for again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const answers = [3, 5];
  const { fetcher, counts, end } = page(() => answers.shift() ?? 5);
  fetcher.soon(5);
  void fetcher.now();
  await end();
  t.mock.timers.tick(10_000);
  await end();
  assert.equal(counts.begun, 2);
  fetcher.soon();
  fetcher.stop();
  fetcher.soon();
  t.mock.timers.tick(10_000);
  assert.equal(counts.begun, 2);
});
