import assert from "node:assert/strict";
import { test } from "node:test";
import { harmless, supportFigures } from "../../src/media/support_figures.ts";

const CANDIDATE = {
  type: "local-candidate", id: "I1", timestamp: 12, address: "192.0.2.5", ip: "192.0.2.5", port: 50000, relatedAddress: "10.0.0.1",
  relatedPort: 9, protocol: "udp", candidateType: "host", networkType: "wifi", usernameFragment: "abcd", foundation: "1", priority: 5,
};

test("of a candidate only its kind is kept", () => {
  assert.deepEqual(harmless(CANDIDATE), { type: "local-candidate", timestamp: 12, protocol: "udp", candidateType: "host", networkType: "wifi" });
});

test("figures stay, names of tracks and streams go", () => {
  const inbound = { type: "inbound-rtp", kind: "audio", trackIdentifier: "t", mid: "0", ssrc: 77, packetsReceived: 9, packetsLost: 1, jitter: 0.01 };
  assert.deepEqual(harmless(inbound), { type: "inbound-rtp", kind: "audio", packetsReceived: 9, packetsLost: 1, jitter: 0.01 });
  assert.equal(harmless({ type: "certificate", fingerprint: "AA:BB" }), null);
  assert.equal(harmless({ packetsReceived: 9 }), null);
});

test("no transport, no figures", async () => {
  assert.deepEqual(await supportFigures(null), []);
});
