/** A live connection on which nothing comes is given up. The server is real, its silence too; only time is ours. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { type LinkState, LiveSocket, SILENCE_MS } from "../../src/api/socket.ts";

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
  welcomes = true;
  answers = false;
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

  #take(peer: Peer, text: string): void {
    if (text.startsWith("40") && this.welcomes) peer.send('40{"sid":"x"}');
    const lease = LEASE.exec(text)?.[1];
    if (lease !== undefined && this.answers) peer.send(`43${lease}[{"ok":{}}]`);
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

/** Time that passes when told to: every timer made while it stands in for the real ones. */
class Clock {
  #now = 0;
  #next = 1;
  readonly #timers = new Map<number, { at: number; every: number | null; run: () => void }>();
  readonly #real = { setTimeout, clearTimeout, setInterval, clearInterval };

  start(): void {
    const make = (every: boolean) => (run: () => void, ms = 0) => {
      this.#timers.set(this.#next, { at: this.#now + ms, every: every ? ms : null, run });
      return this.#next++;
    };
    const clear = (id: unknown): unknown => (typeof id === "number" ? this.#timers.delete(id) : this.#real.clearTimeout(id as NodeJS.Timeout));
    Object.assign(globalThis, { setTimeout: make(false), setInterval: make(true), clearTimeout: clear, clearInterval: clear });
  }

  stop(): void {
    Object.assign(globalThis, this.#real);
  }

  tick(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [due] = [...this.#timers].filter(([, timer]) => timer.at <= end).toSorted(([, a], [, b]) => a.at - b.at);
      if (!due) break;
      const [id, timer] = due;
      this.#now = timer.at;
      if (timer.every === null) this.#timers.delete(id);
      else timer.at += timer.every;
      timer.run();
    }
    this.#now = end;
  }
}

class Watched {
  readonly states: LinkState[] = [];
  readonly #handlers = {
    lease: () => ({}),
    lastSeq: () => 0,
    ticket: () => Promise.resolve("ticket"),
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
