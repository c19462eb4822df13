/** Prints milliseconds per ballot: building with and without tables, checking alone and in batches. Run: node test/bench_ballot.mjs */
import { register } from "node:module";

register("../tools/ts_hooks.mjs", import.meta.url);
const { makeWorld, testRng, voterKey, YES_NO } = await import("./ballot/world.ts");
const { buildBallot } = await import("../src/ballot/ballot.ts");
const { checkBallots, requireValidBallot } = await import("../src/ballot/verify.ts");
const { decodePoint, withTables } = await import("../src/ballot/group.ts");

const ROUNDS = 20;
const FIVE = { type: "one-of-n", text: "Which?", options: ["a", "b", "c", "d", "e"] };

async function msPer(count, work) {
  const start = process.cpuUsage();
  for (let i = 0; i < count; i++) await work(i);
  const { user, system } = process.cpuUsage(start);
  return ((user + system) / 1000 / count).toFixed(1);
}

for (const [name, question] of [["yes/no/abstain", YES_NO], ["one of five", FIVE]]) {
  const { manifest } = await makeWorld(5, { questions: [question] });
  const key = voterKey(1);
  const rng = testRng("bench");
  const plainKey = () => decodePoint(manifest.trusteeKey.toBytes());
  await buildBallot(manifest, [0], key, rng, plainKey());
  const plain = await msPer(ROUNDS, () => buildBallot(manifest, [0], key, rng, plainKey()));
  const table = await msPer(1, () => withTables(manifest.trusteeKey));
  const fast = await msPer(ROUNDS, () => buildBallot(manifest, [0], key, rng));
  const ballots = [];
  for (let i = 0; i < 64; i++) ballots.push(await buildBallot(manifest, [i % 3], voterKey(i), rng));
  const alone = await msPer(ROUNDS, (i) => requireValidBallot(manifest, ballots[i]));
  const batch = [];
  for (const size of [1, 16, 64]) {
    const perBatch = await msPer(3, () => checkBallots(manifest, ballots.slice(0, size), rng));
    batch.push(`${size}: ${(perBatch / size).toFixed(1)}`);
  }
  process.stdout.write(
    `${name}: build ${plain} ms, with tables ${fast} ms (tables once ${table} ms); check alone ${alone} ms, in batches of ${batch.join(", ")} ms per ballot\n`,
  );
}
