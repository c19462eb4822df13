/** Large records and encrypted annexes: lines in pieces, batches in several workers, age files. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { type JsonObject, utf8 } from "../../src/ballot/encoding.ts";
import type { Channel } from "../../src/ballot/rpc.ts";
import { openAnnex, readIdentities } from "../../src/verifier/age.ts";
import { type BallotCheck, checkBatch } from "../../src/verifier/batch.ts";
import { PoolChecker, serveBatches } from "../../src/verifier/pool.ts";
import { Unreadable } from "../../src/verifier/report.ts";
import { verify } from "../../src/verifier/verify.ts";
import { Archive } from "../../src/verifier/zip.ts";
import { ballotOf, flip, makeWorld, marks, testRng } from "../ballot/world.ts";
import { annex, blob, bundle, zip } from "./files.ts";

test("lines come out whole, however the pieces fall, and a long one is refused", async () => {
  const lines = Array.from({ length: 3000 }, (_, i) => "x".repeat((i * 37) % 900));
  const text = `${lines.join("\n")}\n`;
  const archive = await Archive.open(blob(zip([{ name: "a", content: utf8(text) }, { name: "cut", content: utf8("one\ntwo") }])));
  const found: string[] = [];
  for await (const { line, ended } of archive.lines("a", 900)) {
    assert.ok(ended);
    found.push(new TextDecoder().decode(line));
  }
  assert.deepEqual(found, lines);
  const cut: boolean[] = [];
  for await (const { ended } of archive.lines("cut", 900)) cut.push(ended);
  assert.deepEqual(cut, [true, false]);
  await assert.rejects(async () => {
    for await (const _ of archive.lines("a", 800));
  }, Unreadable);
});

test("a batch names the first ballot at fault for each check, and a pool of workers says the same", async () => {
  const { manifest, voters } = await makeWorld(5);
  const ballots: JsonObject[] = [];
  for (const [i, key] of voters.entries()) ballots.push(await ballotOf(manifest, key, marks(manifest, [i % 3]), `b${i}`));
  const third = ballots[2] as { choices: string[] };
  const spoil = (at: number): string => flip(third.choices[0] ?? "", at);
  const lines = (change: JsonObject | null) => ballots.map((ballot, i) => utf8(JSON.stringify({ type: "ballot", ballot: i === 2 && change ? { ...ballot, ...change } : ballot })));
  const ends = (): Channel => {
    const { port1, port2 } = new MessageChannel();
    const wired = (port: MessagePort): Channel => {
      port.start();
      return { postMessage: (message) => port.postMessage(message), addEventListener: (type, listener) => port.addEventListener(type, listener), terminate: () => port.close() };
    };
    serveBatches(wired(port2));
    return wired(port1);
  };
  const pool = new PoolChecker(ends, 2);
  const cases: [JsonObject | null, BallotCheck[]][] = [
    [null, []], [{ sig: ballots[1]?.["sig"] ?? "" }, ["V11"]], [{ choices: ["AA"] }, ["V11", "V12"]], [{ choices: [spoil(288 - 32)] }, ["V11", "V13"]],
    [{ choices: [spoil(3 * 288 + 64)] }, ["V11", "V14"]], [{ choices: [] }, ["V11", "V12"]], [{ choices: Array.from({ length: 9 }, () => "") }, ["V12"]],
  ];
  for (const [change, expected] of cases) {
    const batch = { lines: lines(change), leave: [] };
    for (const strict of [false, true]) {
      const { faults } = checkBatch(manifest, batch, testRng("w"), strict);
      assert.deepEqual(Object.entries(faults).toSorted(), expected.map((id) => [id, 2]), JSON.stringify(expected));
    }
    assert.deepEqual(await pool.check(manifest, batch), checkBatch(manifest, batch, testRng("w")));
  }
  pool.stop();
  await assert.rejects(pool.check(manifest, { lines: [], leave: [] }));
});

test("an age annex opens with the right key file only, in a report's terms", async () => {
  const identity = await generateX25519Identity();
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(identity));
  const sealed = blob(new Uint8Array(await encrypter.encrypt(annex)));
  const keyFile = `# created: today\n\n${identity}\n`;
  assert.deepEqual(readIdentities(keyFile), [identity]);
  assert.deepEqual(new Uint8Array(await (await openAnnex(sealed, keyFile)).arrayBuffer()), annex);
  assert.equal((await verify(blob(bundle), sealed, { identities: keyFile })).report.verdict, "ok");
  const bytes = new Uint8Array(await sealed.arrayBuffer());
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  const damaged = blob(bytes);
  for (const [file, keys] of [[sealed, ""], [sealed, await generateX25519Identity()], [sealed, "hello"], [damaged, keyFile]] as const) {
    const { report } = await verify(blob(bundle), file, { identities: keys });
    assert.equal(report.verdict, "unreadable");
  }
  const plain = blob(annex);
  assert.equal(await openAnnex(plain, ""), plain, "a zip is taken as it is");
});
