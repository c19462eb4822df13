import assert from "node:assert/strict";
import { test } from "node:test";
import { blankCell, cellCount, cellsOf, chosenCount, lackOf, moveRank, pickOne, rankNext, ranking, setScore, toggle, type Marks } from "../../src/booth/choice.ts";
import type { Question } from "../../src/ballot/manifest.ts";

const base = { text: "?", options: ["A", "B", "C"], min: 1, max: 1, blank: false, score: 1, ranks: 0, seats: 1 };
const question = (fields: Partial<Question>): Question => ({ ...base, ...fields }) as Question;

test("one of n marks exactly one cell", () => {
  const one = question({ type: "one-of-n" });
  assert.equal(lackOf(one, null), "one");
  assert.deepEqual(pickOne(one, 2), [0, 0, 1]);
  assert.equal(lackOf(one, pickOne(one, 2)), null);
});

test("several options respect least and most, and blank excludes them", () => {
  const some = question({ type: "m-of-n", min: 1, max: 2, blank: true });
  assert.equal(cellCount(some), 4);
  let marks: Marks = toggle(some, null, 0);
  assert.equal(lackOf(some, null), "fewer");
  assert.equal(lackOf(some, marks), null);
  marks = toggle(some, toggle(some, marks, 1), 2);
  assert.equal(lackOf(some, marks), "more");
  marks = toggle(some, marks, blankCell(some));
  assert.deepEqual(marks, [0, 0, 0, 1]);
  assert.equal(lackOf(some, marks), null);
  marks = toggle(some, marks, 1);
  assert.deepEqual(marks, [0, 1, 0, 0]);
  assert.equal(chosenCount(some, marks), 1);
});

test("an approval ballot may be left empty", () => {
  const any = question({ type: "approval", min: 0, max: 3 });
  assert.equal(lackOf(any, null), null);
  assert.deepEqual(cellsOf(any, null), [0, 0, 0]);
});

test("a score needs one touch, the rest stay at zero", () => {
  const points = question({ type: "score", min: 0, max: 0, score: 5 });
  assert.equal(lackOf(points, null), "points");
  const marks = setScore(points, null, 1, 4);
  assert.deepEqual(marks, [0, 4, 0]);
  assert.equal(lackOf(points, marks), null);
});

test("ranks fill from the best, close up and swap", () => {
  const list = question({ type: "borda", min: 0, max: 0, ranks: 3 });
  let marks: Marks = [2, 0].reduce<Marks>((so, option) => rankNext(list, so, option), null);
  assert.deepEqual(ranking(list, marks), [2, 0]);
  assert.equal(lackOf(list, marks), "ranks");
  marks = rankNext(list, marks, 1);
  assert.equal(lackOf(list, marks), null);
  assert.deepEqual(marks, [0, 1, 0, 0, 0, 1, 1, 0, 0]);
  marks = moveRank(list, marks, 1, -1);
  assert.deepEqual(ranking(list, marks), [2, 1, 0]);
  assert.equal(moveRank(list, marks, 2, -1), marks);
  assert.deepEqual(ranking(list, rankNext(list, marks, 2)), [1, 0]);
});

test("fewer ranks than options leave the rest unranked", () => {
  const list = question({ type: "borda", min: 0, max: 0, ranks: 1 });
  const marks = rankNext(list, null, 1);
  assert.deepEqual(marks, [0, 1, 0]);
  assert.equal(rankNext(list, marks, 0), marks);
});
