/**
 * Prints, as JSON, what the last teller's page does between the click and the count, in milliseconds of wall clock and CPU:
 * the board was verified while the vote was open. Run: node test/bench_tally.mjs [ballots]
 */
import { register } from "node:module";

register("../tools/ts_hooks.mjs", import.meta.url);
const { COSIGNERS, MEETING, NOW, castAll, makeWorld, rollHash, testRng } = await import("./ballot/world.ts");
const { b64u, fromUtf8, jcs } = await import("../src/ballot/encoding.ts");
const { InlineVerifier } = await import("../src/ballot/verify.ts");
const { Keystore } = await import("../src/identity/keystore.ts");
const { MemoryRecords } = await import("../src/identity/records.ts");
const { TellerCount } = await import("../src/trustee/count.ts");
const { saveShare } = await import("../src/trustee/secrets.ts");

const ballots = Number(process.argv[2] ?? 300);
const world = await makeWorld(ballots, { roll_size: ballots, roll_weight: ballots, present: ballots, present_weight: ballots });
const { server } = world;

async function teller(trustee) {
  const keystore = new Keystore(new MemoryRecords(), testRng(`trustee ${trustee}`));
  const { signSeed, boxSecret } = world.secrets[trustee - 1];
  await saveShare(keystore, { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee }, { signSeed, boxSecret, share: world.shares[trustee - 1] });
  return new TellerCount({
    keystore, trustee, meeting: MEETING, manifest: world.manifest.bytes, electorate: world.electors, verifier: new InlineVerifier(testRng("verify")), now: () => NOW + 200,
    port: {
      entries: async (from) => server.entries.slice(from, from + 500).map((entry) => fromUtf8(jcs(entry))),
      closing: async () => server.closingNote,
      post: async (entry) => void server.add(entry),
    },
  });
}

await castAll(world, Array.from({ length: ballots }, (_, i) => [i % 3]));
const first = await teller(1);
const watching = process.cpuUsage();
await first.sync();
const { user, system } = process.cpuUsage(watching);
const others = [await teller(2), await teller(3)];
for (const one of others) await one.sync();
await server.close();
await server.cosign(COSIGNERS.slice(0, 4));
await first.sync();
const clicks = [];
// The second teller opens the box; what the third then does costs the same.
for (const last of others) {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  const { step } = await last.sync();
  if (step !== "done") throw new Error(`the teller's page stands at ${step}`);
  const used = process.cpuUsage(cpu);
  clicks.push({ wall_ms: performance.now() - start, cpu_ms: (used.user + used.system) / 1000 });
}
process.stdout.write(`${JSON.stringify({ ballots, watching_cpu_ms: (user + system) / 1000, clicks })}\n`);
