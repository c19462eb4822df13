/** A transport's way to the server: opening it, and finding another when it breaks. */
import type { Device, types } from "mediasoup-client";
import { firstLook } from "./profiles.ts";
import { ask, field, type MediaLink, settle, type TransportInfo } from "./protocol.ts";

/** A way that is not there again after so long is looked for anew; the first answers come after a round trip. */
const AGAIN_MS = 4_000;
/** Something comes from the server every second: after such a silence the way is taken for broken. */
const SILENT_MS = 1_300;
const LOOK_MS = 300;
/** The browser begins anew within a second; an attempt that has not ended after so long never does. */
const STUCK_MS = 6_000;
/** Without a way for so long, it is said that the network lets nothing through. */
const BARRED_MS = 10_000;
/** So many attempts in vain, and the server is asked whether it still knows the transport. */
const ALONE = 3;
const BROKEN = new Set<types.ConnectionState>(["disconnected", "failed"]);
/** Refusals that say nothing of the transport. */
const LATER = new Set<unknown>(["network.unreachable", "media.room-resetting", "media.too-many-requests"]);

export interface PathEvents {
  /** The server does not know the transport any more, or it cannot be repaired. */
  lost(): void;
  /** The way is there again. */
  back(): void;
  /** For long there has been no way, or now there is one. */
  barred?(on: boolean): void;
}

/**
 * Looks for another way with the spare credentials, at once and without asking: when media do not come through,
 * signalling seldom does, and TCP tries again much later.
 */
export class Path {
  readonly transport: types.Transport;
  /** Rejected when the server refused our certificate: nothing will ever come through then. */
  agreed: Promise<unknown> = Promise.resolve();
  readonly #link: MediaLink;
  readonly #events: PathEvents;
  #spare: types.IceParameters;
  #inUse: types.IceParameters;
  #again: ReturnType<typeof setTimeout> | null = null;
  readonly #looking: ReturnType<typeof setInterval>;
  #received = 0;
  #heard = Infinity;
  #attempts = 0;
  /** Since when the browser is beginning anew. */
  #busySince: number | null = null;
  #asking = false;
  /** Since when there has been no way although one is wanted. */
  #without: number | null = null;
  #barred = false;

  constructor(transport: types.Transport, ice: { inUse: types.IceParameters; spare: types.IceParameters }, link: MediaLink, events: PathEvents) {
    this.transport = transport;
    this.#inUse = ice.inUse;
    this.#spare = ice.spare;
    this.#link = link;
    this.#events = events;
    transport.on("connectionstatechange", (state) => this.#follow(state));
    this.#looking = setInterval(() => void this.#look(), LOOK_MS);
  }

  /** Looks for a way now; for the moment when the device has changed its network, too. */
  tryAgain(): void {
    this.#wait();
    if (this.transport.closed || this.transport.connectionState === "new") return;
    if (this.#busySince !== null) {
      if (performance.now() - this.#busySince >= STUCK_MS) this.#giveUp();
      return;
    }
    this.#attempts += 1;
    void this.#restart();
    if (this.#attempts >= ALONE) void this.#ask();
  }

  stop(): void {
    clearInterval(this.#looking);
    this.#bar(false);
    if (this.#again !== null) clearTimeout(this.#again);
    this.#again = null;
    this.transport.close();
  }

  #follow(state: types.ConnectionState): void {
    if (BROKEN.has(state) && this.#again === null) this.tryAgain();
    else if (state === "connected") {
      this.#without = null;
      this.#bar(false);
      if (this.#again !== null) clearTimeout(this.#again);
      this.#again = null;
      this.#found();
    }
  }

  #found(): void {
    if (this.#attempts > 0) this.#events.back();
    this.#attempts = 0;
  }

  /** Closing comes first: what the transport was asked for meanwhile waits behind the attempt and would never end. */
  #giveUp(): void {
    if (this.transport.closed) return;
    this.stop();
    this.#events.lost();
  }

  #bar(on: boolean): void {
    if (this.#barred === on) return;
    this.#barred = on;
    this.#events.barred?.(on);
  }

  /** The browser takes five seconds or more to call a way broken. */
  async #look(): Promise<void> {
    this.#wonder();
    if (this.transport.closed || this.transport.connectionState !== "connected") return;
    const received = packetsOf(await this.transport.getStats());
    const now = performance.now();
    if (received > this.#received) {
      [this.#received, this.#heard] = [received, now];
      // Of a way that is found soon the browser says neither that it broke nor that it is back.
      if (this.#busySince === null) this.#found();
    } else if (now - this.#heard > SILENT_MS && this.#again === null) this.tryAgain();
  }

  #wonder(): void {
    if (this.transport.closed || this.transport.connectionState === "new" || this.transport.connectionState === "connected") return;
    this.#without ??= performance.now();
    if (performance.now() - this.#without >= BARRED_MS) this.#bar(true);
  }

  #wait(): void {
    if (this.#again !== null) clearTimeout(this.#again);
    this.#again = setTimeout(() => {
      this.#again = null;
      if (!this.transport.closed && (this.transport.connectionState !== "connected" || this.#busySince !== null)) this.tryAgain();
    }, AGAIN_MS);
  }

  /** The browser begins anew when the other side's credentials change: the two pairs take turns. */
  async #restart(): Promise<void> {
    this.#busySince = performance.now();
    [this.#inUse, this.#spare] = [this.#spare, this.#inUse];
    try {
      await this.transport.restartIce({ iceParameters: this.#inUse });
    } catch {
      this.#giveUp();
    } finally {
      this.#busySince = null;
    }
  }

  /** Fresh credentials, of relays too, for the attempts to come. */
  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const { iceParameters, spareIceParameters, iceServers } = await ask(this.#link, "restart_ice", { transport_id: this.transport.id });
      if (this.transport.closed || this.transport.connectionState === "connected") return;
      // Firefox takes no new relays on an old transport: without any it need not, and with some it builds anew.
      if (iceServers.length > 0) await this.transport.updateIceServers({ iceServers });
      const known = [this.#inUse, this.#spare].some((one) => one.usernameFragment === iceParameters.usernameFragment);
      if (!known) [this.#inUse, this.#spare] = [spareIceParameters, iceParameters];
      this.tryAgain();
    } catch (error) {
      if (!LATER.has(field(error, "code"))) this.#giveUp();
    } finally {
      this.#asking = false;
    }
  }
}

/** How many packets of media and reports have come. */
function packetsOf(stats: RTCStatsReport): number {
  let packets = 0;
  stats.forEach((entry: { readonly type: string; readonly packetsReceived?: number }) => {
    if (entry.type === "transport") packets = entry.packetsReceived ?? 0;
  });
  return packets;
}

/** Asks the server for a transport. */
export function askTransport(link: MediaLink, direction: "send" | "recv"): Promise<TransportInfo> {
  const known = direction === "recv" ? firstLook() : null;
  return ask(link, "create_transport", known === null ? { direction } : { direction, link: known });
}

/** Makes the page's end of a transport and keeps its way to the server. */
export function openTransport(
  link: MediaLink,
  device: Device,
  direction: "send" | "recv",
  { spareIceParameters, ...info }: TransportInfo,
  iceServers: RTCIceServer[],
  events: PathEvents,
): Path {
  const settings = { ...info, iceServers };
  const transport = direction === "send" ? device.createSendTransport(settings) : device.createRecvTransport(settings);
  const path = new Path(transport, { inUse: info.iceParameters, spare: spareIceParameters }, link, events);
  transport.on("connect", ({ dtlsParameters }, done) => {
    path.agreed = ask(link, "connect_transport", { transport_id: info.id, dtlsParameters });
    path.agreed.catch(() => undefined); // whoever consumes or produces hears of it
    // Not when it is answered: the first check takes as long, and until then the worker hears no handshake.
    done();
  });
  if (direction === "send") {
    transport.on("produce", ({ kind, rtpParameters, appData }, done, failed) => {
      const { source, paused } = appData;
      const request = { transport_id: info.id, kind, rtpParameters, source, paused: paused === true };
      void settle(ask(link, "produce", request), done, failed);
    });
  }
  return path;
}

/** Calls back when the device is on another network; a measured rate alone, which changes all the time, is none. */
export function onOtherNetwork(changed: () => void): () => void {
  const connection = (navigator as Navigator & { connection?: EventTarget & { type?: string } }).connection;
  let type = connection?.type;
  const look = (): void => {
    if (connection?.type === type) return;
    type = connection?.type;
    changed();
  };
  addEventListener("online", changed);
  connection?.addEventListener("change", look);
  return () => {
    removeEventListener("online", changed);
    connection?.removeEventListener("change", look);
  };
}
