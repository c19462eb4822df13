import assert from "node:assert/strict";
import { test } from "node:test";
import { VotingError } from "../../src/ballot/errors.ts";
import { pinManifest } from "../../src/ballot/pinned.ts";
import { memoryKeystore } from "../../src/identity/keystore.ts";

test("a device takes one manifest of an election and refuses a second", async () => {
  const keystore = memoryKeystore((n) => crypto.getRandomValues(new Uint8Array(n)));
  const shown = { id: "first", meeting: "m", election: "e" };
  await pinManifest(keystore, shown);
  await pinManifest(keystore, shown);
  await pinManifest(keystore, { ...shown, id: "other", election: "f" });
  const refused = (error: unknown): boolean => error instanceof VotingError && error.code === "voting.manifest";
  await assert.rejects(pinManifest(keystore, { ...shown, id: "second" }), refused);
});
