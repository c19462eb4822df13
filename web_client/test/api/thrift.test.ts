import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { forgetAnswers, patienceMs, thrifty } from "../../src/api/thrift.ts";

/** A server that counts the bytes of its bodies. */
const counted = { requests: 0, octets: 0, last: "" };
const BODY = JSON.stringify({ text: "â".repeat(2_000) });
const server = createServer((request: IncomingMessage, response: ServerResponse) => {
  counted.requests += 1;
  counted.last = request.headers["if-none-match"] ?? "";
  if (request.url?.startsWith("/silent")) return;
  const tag = 'W/"one"';
  if (counted.last === tag) return void response.writeHead(304, { ETag: tag }).end();
  counted.octets += BODY.length;
  response.writeHead(request.url === "/refused" ? 409 : 200, { "Content-Type": "application/json", ...(request.url === "/plain" ? {} : { ETag: tag }) }).end(BODY);
});
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
after(() => server.closeAllConnections());
after(() => server.close());

const ask = async (path: string, method = "GET"): Promise<unknown> => (await thrifty(origin + path, { method })).json();

test("what is kept with its tag is not sent again, and is the same", async () => {
  const first = await ask("/tagged");
  assert.equal(counted.octets, BODY.length);
  assert.deepEqual(await ask("/tagged"), first);
  assert.deepEqual([counted.octets, counted.last], [BODY.length, 'W/"one"']);
  forgetAnswers();
  assert.deepEqual(await ask("/tagged"), first);
  assert.deepEqual([counted.octets, counted.last], [2 * BODY.length, ""]);
});

test("control: without a tag, of a refusal or of a change nothing is kept", async () => {
  for (const [path, method] of [["/plain", "GET"], ["/refused", "GET"], ["/tagged?", "POST"]] as const) {
    const before = counted.octets;
    await ask(path, method);
    await ask(path, method);
    assert.equal(counted.octets - before, 2 * BODY.length, path);
  }
});

test("no more than eight answers are kept, the newest", async () => {
  forgetAnswers();
  for (let n = 0; n < 9; n += 1) await ask(`/tagged?${n}`);
  await ask("/tagged?8");
  assert.equal(counted.last, 'W/"one"');
  await ask("/tagged?0");
  assert.equal(counted.last, "");
});

const settled = (): Promise<void> => new Promise((done) => setImmediate(done));

test("a server that is silent is given up, and then waited for longer", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  for (const patience of [20_000, 40_000, 80_000, 90_000]) {
    assert.equal(patienceMs(), patience);
    const before = counted.requests;
    const silent = ask("/silent");
    while (counted.requests === before) await settled();
    t.mock.timers.tick(patience + 1);
    await assert.rejects(silent);
  }
  await ask("/plain");
  assert.equal(patienceMs(), 45_000);
});

test("an answer that comes in pieces is waited for, however long it takes together", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const pieces = ['"', "a", "b", '"'];
  // Asked for a piece, the page has taken the one before.
  const pull = (stream: ReadableStreamDefaultController<Uint8Array>): void => {
    t.mock.timers.tick(patienceMs() - 1);
    const next = pieces.shift();
    if (next === undefined) stream.close();
    else stream.enqueue(new TextEncoder().encode(next));
  };
  let dropped: AbortSignal | null | undefined;
  t.mock.method(globalThis, "fetch", (_: string, init: RequestInit) => {
    dropped = init.signal;
    return Promise.resolve(new Response(new ReadableStream({ pull }, { highWaterMark: 0 })));
  });
  assert.equal(await ask("/drip"), "ab");
  assert.equal(dropped?.aborted, false);
  t.mock.timers.tick(1_000_000); // control: no timer is left that could give it up
  assert.equal(dropped?.aborted, false);
});
