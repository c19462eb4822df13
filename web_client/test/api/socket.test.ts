/** A live connection on which nothing comes is given up. The server is real, its silence too; only time is ours. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { ApiError } from "../../src/api/call.ts";
import { type LinkState, LiveSocket, SILENCE_MS } from "../../src/api/socket.ts";
import { Clock } from "../clock.ts";
import { device } from "../device.ts";

interface Peer {
  send(text: string): void;
  on(event: "message", listener: (data: Buffer) => void): void;
  terminate(): void;
}
interface Upgrades {
  on(event: "connection", listener: (peer: Peer) => void): void;
}
// The client library's own; it comes without types.
const { WebSocketServer } = createRequire(import.meta.url)("ws") as { WebSocketServer: new (options: { server: Server }) => Upgrades };

// Its own timers of silence are far away: what drops the connection is ours.
const OPEN = `0${JSON.stringify({ sid: "s", upgrades: [], pingInterval: 50_000_000, pingTimeout: 50_000_000, maxPayload: 65_536 })}`;
const LEASE = /^42(\d+)\["lease"/;

/** Speaks as much of the protocol as it is told to, and then is silent. */
class Silent {
  readonly http = createServer();
  readonly peers: Peer[] = [];
  readonly heard: string[] = [];
  welcomes = true;
  answers = false;
  answer = '{"ok":{}}';
  #waiting: { wanted: (text: string) => boolean; done: () => void }[] = [];

  async listen(): Promise<number> {
    new WebSocketServer({ server: this.http }).on("connection", (peer) => {
      this.peers.push(peer);
      peer.on("message", (data) => this.#take(peer, data.toString()));
      peer.send(OPEN);
    });
    this.http.listen(0, "127.0.0.1");
    await once(this.http, "listening");
    return (this.http.address() as AddressInfo).port;
  }

  /** Resolves when so many connections have been opened. */
  async opened(count: number): Promise<void> {
    while (this.peers.length < count) await new Promise((done) => setImmediate(done));
  }

  #take(peer: Peer, text: string): void {
    this.heard.push(text);
    if (text.startsWith("40") && this.welcomes) peer.send('40{"sid":"x"}');
    const lease = LEASE.exec(text)?.[1];
    if (lease !== undefined && this.answers) peer.send(`43${lease}[${this.answer}]`);
    for (const { done } of this.#waiting.filter(({ wanted }) => wanted(text))) done();
    this.#waiting = this.#waiting.filter(({ wanted }) => !wanted(text));
  }

  /** Resolves with the next message that fits. */
  hears(wanted: (text: string) => boolean): Promise<void> {
    return new Promise((done) => this.#waiting.push({ wanted, done }));
  }

  async ping(): Promise<void> {
    const pong = this.hears((text) => text === "3");
    this.peers.at(-1)?.send("2");
    await pong;
  }

  close(): void {
    for (const peer of this.peers) peer.terminate();
    this.http.close();
  }
}

class Watched {
  readonly states: LinkState[] = [];
  ticket = (): Promise<string> => Promise.resolve("ticket");
  readonly leases: unknown[] = [];
  readonly #handlers = {
    lease: () => ({}),
    onLease: (answer: unknown, refused: ApiError | null) => void this.leases.push(refused?.code ?? answer),
    lastSeq: () => 0,
    ticket: () => this.ticket(),
    onEvent: () => undefined,
    onCounter: () => undefined,
    onMedia: () => undefined,
    onState: (state: LinkState) => {
      this.states.push(state);
      for (const wake of this.#wakes.splice(0)) wake();
    },
    onGoodbye: () => undefined,
    onUnknownNumber: () => undefined,
  };
  readonly socket = new LiveSocket(this.#handlers);
  readonly #wakes: (() => void)[] = [];

  async becomes(state: LinkState): Promise<void> {
    while (this.states.at(-1) !== state) await new Promise<void>((wake) => this.#wakes.push(wake));
  }
}

let server: Silent;
let watched: Watched;
let clock: Clock;
const page = globalThis as { location?: unknown };

beforeEach(async () => {
  server = new Silent();
  const port = await server.listen();
  page.location = { protocol: "http:", host: `127.0.0.1:${port}`, hostname: "127.0.0.1", port: String(port) };
  clock = new Clock();
  clock.start();
  watched = new Watched();
});

afterEach(() => {
  watched.socket.close();
  server.close();
  clock.stop();
  delete page.location;
});

const soon = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((done) => setImmediate(done));
};

test("a connection that is closed while the ticket is on its way is made anew only when the ticket is there", async () => {
  let give: (ticket: string) => void = () => undefined;
  let asked = 0;
  watched.ticket = () => {
    asked += 1;
    return asked === 1 ? new Promise((done) => (give = done)) : Promise.resolve(`ticket ${asked}`);
  };
  watched.socket.open();
  await server.opened(1);
  server.peers[0]?.terminate();
  await watched.becomes("lost");
  for (let second = 0; second < 60; second += 1) {
    clock.tick(1_000);
    await soon();
  }
  assert.equal(server.peers.length, 1, "a slow line is not filled with connections that say nothing");
  assert.equal(watched.states.at(-1), "connecting");
  give("ticket 1");
  await server.opened(2);
  await watched.becomes("connected");
  assert.equal(asked, 2, "a ticket that has waited is not used");
});

async function connected(): Promise<void> {
  watched.socket.open();
  await watched.becomes("connected");
}

test("a connection on which nothing comes is dropped after the documented time and made anew", async () => {
  await connected();
  clock.tick(SILENCE_MS - 1);
  assert.equal(watched.states.at(-1), "connected");
  clock.tick(1);
  assert.equal(watched.states.at(-1), "lost");
  clock.tick(1_000);
  await watched.becomes("connected");
  assert.equal(server.peers.length, 2);
});

test("control: with a ping in time the same connection stays", async () => {
  await connected();
  for (let round = 0; round < 4; round += 1) {
    await server.ping();
    clock.tick(SILENCE_MS - 1);
  }
  assert.equal(watched.states.at(-1), "connected");
  assert.equal(server.peers.length, 1);
});

test("a server that pings but never lets us in is given up too", async () => {
  server.welcomes = false;
  const asked = server.hears((text) => text.startsWith("40"));
  watched.socket.open();
  await asked;
  await server.ping();
  clock.tick(SILENCE_MS - 1);
  assert.equal(watched.states.at(-1), "connecting");
  clock.tick(1);
  assert.equal(watched.states.at(-1), "lost");
});

test("back from another network, a connection has ten seconds to answer", async () => {
  await connected();
  watched.socket.hurry();
  clock.tick(9_999);
  assert.equal(watched.states.at(-1), "connected");
  clock.tick(1);
  assert.equal(watched.states.at(-1), "lost");
});

test("control: one that answers stays", async () => {
  server.answers = true;
  await connected();
  watched.socket.hurry();
  await watched.socket.request("lease", {});
  clock.tick(SILENCE_MS - 1);
  assert.equal(watched.states.at(-1), "connected");
  assert.equal(server.peers.length, 1);
});

test("a page that goes says goodbye and asks no more, and one that is shown again connects", async () => {
  await connected();
  const goodbye = server.hears((text) => text === "41");
  device.dispatchEvent(new Event("pagehide"));
  await goodbye;
  device.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
  clock.tick(60_000);
  assert.equal(server.peers.length, 1);
  watched.states.length = 0;
  device.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  await watched.becomes("connected");
  assert.equal(server.peers.length, 2);
});

test("control: a connection that went silent is left without a goodbye", async () => {
  await connected();
  let heard = false;
  void server.hears((text) => text === "41").then(() => (heard = true));
  clock.tick(SILENCE_MS + 1_000);
  await watched.becomes("connected");
  assert.equal(server.peers.length, 2);
  assert.equal(heard, false);
});

test("a connection that was closed does not come back with the page", async () => {
  await connected();
  watched.socket.close();
  device.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  clock.tick(60_000);
  assert.equal(server.peers.length, 1);
});

test("the page hears what came of each lease, and nothing of one that was never answered", async () => {
  const first = server.hears((text) => LEASE.test(text));
  await connected();
  await first;
  assert.deepEqual(watched.leases, []);
  server.answers = true;
  server.answer = '{"error":{"code":"site.not-custodian","message":"No."}}';
  watched.socket.hurry();
  await assert.rejects(watched.socket.request("lease", {}), ApiError);
  assert.deepEqual(watched.leases, ["site.not-custodian"]);
  server.answer = '{"ok":{"seq":3}}';
  watched.socket.hurry();
  await watched.socket.request("lease", {});
  assert.deepEqual(watched.leases, ["site.not-custodian", { seq: 3 }]);
});

test("the way is opened while the ticket comes, and nothing is said on it before", async () => {
  let give: (ticket: string) => void = () => undefined;
  watched.ticket = () => new Promise((done) => (give = done));
  watched.socket.open();
  await server.opened(1);
  await new Promise((done) => setImmediate(done));
  assert.deepEqual([server.heard, watched.states], [[], ["connecting"]]);
  give("late");
  await watched.becomes("connected");
  assert.deepEqual([server.heard[0], server.peers.length], ['40{"ticket":"late","after":0}', 1]);
});

test("control: where the ticket is refused the way is closed again, and nobody asks for another", async () => {
  watched.ticket = () => Promise.reject(new ApiError("session.none", "No.", 401));
  watched.socket.open();
  await watched.becomes("refused");
  clock.tick(60_000);
  await new Promise((done) => setImmediate(done));
  assert.deepEqual([server.heard, watched.states], [[], ["connecting", "refused"]]);
  assert.ok(server.peers.length <= 1);
});
