/** An attempt to find another way that never ends is given up. The transport and its queue are real; its browser is not. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Device, type types } from "mediasoup-client";
import * as made from "mediasoup-client/fakeParameters";
import { FakeHandler } from "mediasoup-client/handlers/FakeHandler";
import { onOtherNetwork, openTransport, Path } from "../../src/media/paths.ts";
import { Clock } from "../clock.ts";
import { device } from "../device.ts";

const clock = new Clock();
beforeEach(() => clock.start());
afterEach(() => clock.stop());

/** Lets promises that need no time settle. */
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
};

/** Time passes as slowly as promises need. */
const pass = async (ms: number): Promise<void> => {
  for (let at = 0; at < ms; at += 100) {
    clock.tick(100);
    await settled();
  }
};

class Bench {
  readonly told: string[] = [];
  /** Each restart that the browser was asked for, by the name of the credentials. */
  readonly restarts: string[] = [];
  /** All that the browser was asked for, in order. */
  readonly asked: string[] = [];
  /** What the server answers; "" where it is away. */
  fresh = "";
  packets = 0;
  stuck = false;
  handler!: FakeHandler;
  transport!: types.Transport;
  path!: Path;

  async open(connects = true): Promise<this> {
    const factory = FakeHandler.createFactory(made);
    const kept = {
      ...factory,
      factory: (options: Parameters<typeof factory.factory>[0]) => {
        this.handler = factory.factory(options) as FakeHandler;
        this.handler.restartIce = (ice) => {
          this.restarts.push(ice.usernameFragment);
          this.asked.push(ice.usernameFragment);
          return this.stuck ? new Promise(() => undefined) : Promise.resolve();
        };
        this.handler.updateIceServers = (servers) => {
          this.asked.push(String(servers[0]?.urls));
          return Promise.resolve();
        };
        this.handler.getTransportStats = () => Promise.resolve(new Map([["t", { type: "transport", packetsReceived: this.packets }]]) as unknown as RTCStatsReport);
        return this.handler;
      },
    };
    const client = new Device({ handlerFactory: kept });
    await client.load({ routerRtpCapabilities: made.generateRouterRtpCapabilities() });
    const info = made.generateTransportRemoteParameters();
    this.transport = client.createRecvTransport(info);
    const ice = { inUse: info.iceParameters, spare: { ...info.iceParameters, usernameFragment: "spare" } };
    const answer = (): unknown => ({
      iceParameters: { ...info.iceParameters, usernameFragment: this.fresh },
      spareIceParameters: { ...info.iceParameters, usernameFragment: `${this.fresh} spare` },
      iceServers: [{ urls: "turns:relay.example:443", username: "1", credential: "2" }],
    });
    const request = (): Promise<unknown> => (this.fresh ? Promise.resolve(answer()) : Promise.reject(new Error("offline")));
    const link = { request: request as never, onEvent: () => () => undefined };
    this.path = new Path(this.transport, ice, link, {
      lost: () => this.told.push("lost"),
      back: () => this.told.push("back"),
      barred: (on) => this.told.push(on ? "barred" : "open"),
    });
    this.handler.setConnectionState("connecting");
    if (connects) this.handler.setConnectionState("connected");
    return this;
  }

  /** So long packets come. */
  async hear(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 100) {
      this.packets += 1;
      await pass(100);
    }
  }
}

test("an attempt that never ends is given up, with whatever waits behind it", async () => {
  const bench = await new Bench().open();
  await bench.hear(1_000);
  bench.stuck = true;
  await pass(2_000);
  assert.deepEqual(bench.restarts, ["spare"]);
  const behind = assert.rejects(bench.transport.updateIceServers({ iceServers: [] }));
  await pass(4_000);
  assert.deepEqual([bench.told, bench.restarts.length], [[], 1]);
  await pass(6_000);
  assert.deepEqual(bench.told, ["lost"]);
  assert.ok(bench.transport.closed);
  await behind;
});

test("the device's other network ends a stuck attempt that is old enough, and not one that has just begun", async () => {
  const bench = await new Bench().open();
  const stop = onOtherNetwork(() => bench.path.tryAgain());
  bench.stuck = true;
  await bench.hear(500);
  device.dispatchEvent(new Event("online"));
  await bench.hear(3_000);
  device.dispatchEvent(new Event("online"));
  assert.deepEqual([bench.told, bench.restarts], [[], ["spare"]]);
  await bench.hear(3_500);
  device.dispatchEvent(new Event("online"));
  assert.deepEqual(bench.told, ["lost"]);
  stop();
});

test("attempts that end go on by turns, and packets that come again are told once, whatever the browser says", async () => {
  const bench = await new Bench().open();
  await bench.hear(1_000);
  const own = made.generateTransportRemoteParameters().iceParameters.usernameFragment.length;
  await pass(8_000);
  assert.equal(bench.restarts[0], "spare");
  assert.equal(bench.restarts[1]?.length, own);
  assert.deepEqual(bench.told, []);
  await bench.hear(5_000);
  assert.deepEqual(bench.told, ["back"]);
  assert.equal(bench.transport.closed, false);
  bench.path.stop();
});

test("after ten seconds without a way it is said once that there is none, and at once that there is one", async () => {
  const bench = await new Bench().open(false);
  await pass(9_500);
  assert.deepEqual(bench.told, []);
  await pass(5_000);
  assert.deepEqual(bench.told, ["barred"]);
  bench.handler.setConnectionState("connected");
  await bench.hear(500);
  assert.deepEqual(bench.told, ["barred", "open"]);
  bench.path.stop();
});

test("who leaves while there is no way has nothing more to say of it", async () => {
  const bench = await new Bench().open(false);
  await pass(12_000);
  bench.path.stop();
  await pass(12_000);
  assert.deepEqual(bench.told, ["barred", "open"]);
});

test("fresh relays are given to the browser before it begins anew with fresh credentials", async () => {
  const bench = await new Bench().open();
  await bench.hear(1_000);
  bench.fresh = "fresh";
  bench.handler.setConnectionState("disconnected");
  await pass(12_000);
  const relays = bench.asked.indexOf("turns:relay.example:443");
  const anew = bench.asked.findIndex((one) => one.startsWith("fresh"));
  assert.ok(relays >= 0 && anew > relays, bench.asked.join(", "));
  bench.path.stop();
});

/** A sending transport over a link on which the server has not answered yet; the track is nobody's. */
async function sending(): Promise<{ asked: string[]; answer(refused?: Error): void; path: Path; done: Promise<unknown> }> {
  const asked: string[] = [];
  let answer: (refused?: Error) => void = () => undefined;
  const request = (method: string): Promise<unknown> => {
    asked.push(method);
    if (method !== "connect_transport") return Promise.resolve({ id: "1" });
    return new Promise((done, failed) => (answer = (refused) => (refused ? failed(refused) : done({}))));
  };
  const client = new Device({ handlerFactory: FakeHandler.createFactory(made) });
  await client.load({ routerRtpCapabilities: made.generateRouterRtpCapabilities() });
  const info = made.generateTransportRemoteParameters();
  const events = { lost: () => undefined, back: () => undefined };
  const path = openTransport({ request, onEvent: () => () => undefined }, client, "send", { ...info, spareIceParameters: info.iceParameters }, [], events);
  const track = Object.assign(new EventTarget(), { id: "t", kind: "audio", readyState: "live", enabled: true, stop: () => undefined });
  const done = path.transport.produce({ track: track as unknown as MediaStreamTrack, stopTracks: false, appData: { source: "microphone" } });
  return { asked, answer: (refused) => answer(refused), path, done };
}

test("the browser looks for a way while the server takes the certificate", async () => {
  const { asked, answer, path, done } = await sending();
  await done;
  assert.deepEqual(asked, ["connect_transport", "produce"]);
  answer();
  await path.agreed;
  path.stop();
});

test("control: where the server refuses it whoever waits for the agreement hears so", async () => {
  const { answer, path, done } = await sending();
  await done;
  answer(new Error("media.bad-dtls-role"));
  await assert.rejects(path.agreed, /bad-dtls-role/);
  path.stop();
});
