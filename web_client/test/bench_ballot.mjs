/** Prints milliseconds per ballot: sealing (tables made before, own check included) and checking in batches. Run: node test/bench_ballot.mjs */
import { register } from "node:module";

register("../tools/ts_hooks.mjs", import.meta.url);
const { EVERY, ballotOf, makeWorld, marks, testRng, voterKey, YES_NO } = await import("./ballot/world.ts");
const { signBallot } = await import("../src/ballot/ballot.ts");
const { PracticeVote } = await import("../src/ballot/practice.ts");
const { Sealer } = await import("../src/ballot/sealing.ts");
const { checkBallots } = await import("../src/ballot/verify.ts");

const ROUNDS = 20;
const EVERY_ANSWER = [[0, 0, 1], [1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0, 1], [1, 1, 0], [4, 0, 2], [0, 1, 0, 0, 1, 0]];

async function msPer(count, work) {
  const start = process.cpuUsage();
  for (let i = 0; i < count; i++) await work(i);
  const { user, system } = process.cpuUsage(start);
  return ((user + system) / 1000 / count).toFixed(1);
}

for (const [name, questions, answer] of [["yes/no/abstain", [YES_NO], [[1, 0, 0]]], ["one question of every type", EVERY, EVERY_ANSWER]]) {
  const rng = testRng("bench");
  const { manifest } = new PracticeVote({ questions, title: "bench", sealer: null, rng });
  const sealer = new Sealer(rng);
  const tables = await msPer(1, () => sealer.warm(manifest));
  const key = voterKey(1);
  const place = { weight: 1, seq: 1, prev: "" };
  const seal = async () => signBallot(manifest, sealer.seal(manifest, { credential: key.publicKey, place, choices: answer, seed: rng(32) }), key);
  await seal();
  process.stdout.write(`${name}: sealed and signed in ${await msPer(ROUNDS, seal)} ms (tables once ${tables} ms)\n`);
}

const { manifest } = await makeWorld(5, { questions: [{ ...YES_NO }] });
const items = [];
for (let i = 0; i < 128; i++) items.push({ ballot: await ballotOf(manifest, voterKey(i), marks(manifest, [i % 3]), `b${i}`), sign: 1 });
for (const size of [1, 16, 128]) {
  const ms = await msPer(3, () => checkBallots(manifest, items.slice(0, size), testRng("w")));
  process.stdout.write(`yes/no/abstain: checked in batches of ${size}: ${(ms / size).toFixed(1)} ms per ballot\n`);
}
