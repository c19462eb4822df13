/**
 * The media loop of a line test: microphone and camera go to the media worker and come back, each in its own seat of a
 * room where nobody else is (docs/spec/sites.md section 1).
 */
import { Device, type types } from "mediasoup-client";
import { type Carrier, type Round, roundOf, type Seen, SEND_S, type Side } from "../state/line_loop.ts";
import { capture } from "./capture.ts";
import { askTransport, openTransport, type Path } from "./paths.ts";
import { ask, type MediaLink } from "./protocol.ts";
import type { Profile } from "./profiles.ts";
import { sendingOptions } from "./sending.ts";

/** So long may the first packet take, the way there being slow. */
const ARRIVES_S = 12;
const LOOK_MS = 250;
/** A third of a second: nothing is missed between two looks. */
const EAR_SAMPLES = 16_384;
const OUT_OF_FRAME = new Set(["probator", ""]);

export interface LoopOptions {
  readonly profile: Profile;
  /** Opens the server's side; called once the devices are open, for that may take as long as a person. */
  open(): Promise<Carrier>;
  /** The picture as it came back, for the page to show. */
  onPicture(track: MediaStreamTrack): void;
  /** After each second of sending. */
  onSecond(second: number): void;
}

type Entry = Record<string, unknown>;
const figure = (entry: Entry, name: string): number => (typeof entry[name] === "number" ? (entry[name] as number) : 0);

/** One run of the loop; `stop` ends it at any time, devices, transports and the server's side too. */
export class LineLoop {
  readonly #options: LoopOptions;
  readonly #tracks: MediaStreamTrack[] = [];
  readonly #paths: Path[] = [];
  #carrier: Carrier | null = null;
  #ear: Ear | null = null;
  #stopped = false;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const path of this.#paths) path.stop();
    for (const track of this.#tracks) track.stop();
    this.#ear?.close();
    this.#carrier?.end();
  }

  get #left(): boolean {
    return this.#stopped;
  }

  /**
   * Opens the microphone, and the camera where there is one and the line can carry it, and lets them go round.
   * @throws RoomMediaError without a microphone, ApiError when the server refuses
   */
  async run(): Promise<Round> {
    try {
      if (this.#left) throw gone();
      const microphone = this.#keep(await capture("microphone"));
      if (this.#left) throw gone();
      const camera = this.#options.profile.video === null ? null : await this.#camera();
      if (this.#left) throw gone();
      const carrier = (this.#carrier = await this.#options.open());
      if (this.#left) {
        carrier.end();
        throw gone();
      }
      const [send, receive] = await this.#go(carrier, microphone, camera);
      return await this.#watch(send, receive, camera !== null);
    } finally {
      this.stop();
    }
  }

  #keep(track: MediaStreamTrack): MediaStreamTrack {
    this.#tracks.push(track);
    if (this.#stopped) track.stop();
    return track;
  }

  async #camera(): Promise<MediaStreamTrack | null> {
    try {
      return this.#keep(await capture("camera"));
    } catch {
      return null; // a hall without a camera is heard all the same
    }
  }

  async #go(carrier: Carrier, microphone: MediaStreamTrack, camera: MediaStreamTrack | null): Promise<[types.Transport, types.Transport]> {
    const side = (which: Side): MediaLink => ({ request: (method, data) => carrier.media(which, method, data), onEvent: () => () => undefined });
    const [out, back] = [side("out"), side("back")];
    const { rtpCapabilities, iceServers } = await ask(back, "capabilities", {});
    const device = await Device.factory();
    await device.load({ routerRtpCapabilities: rtpCapabilities });
    const open = async (link: MediaLink, direction: "send" | "recv"): Promise<types.Transport> => {
      const info = await askTransport(link, direction);
      const path = openTransport(link, device, direction, info, iceServers, { lost: () => undefined, back: () => undefined });
      this.#paths.push(path);
      if (this.#left) path.stop();
      return path.transport;
    };
    const [receive, send] = await Promise.all([open(back, "recv"), open(out, "send")]);
    const { slots } = await ask(back, "list", {});
    const voices = await Promise.all(slots.map((slot) => consume(back, device, receive, slot.producer_id)));
    this.#ear = new Ear(voices);
    // Without pauses: what is not sent cannot be seen to be lost.
    const profile = { ...this.#options.profile, dtx: false };
    for (const [source, track] of [["microphone", microphone], ["camera", camera]] as const) {
      if (track === null) continue;
      const { id } = await send.produce({ track, stopTracks: false, appData: { source }, ...sendingOptions(source, track, profile) });
      if (source === "camera") this.#options.onPicture(await consume(back, device, receive, id));
    }
    await Promise.all(this.#paths.map((path) => path.agreed));
    return [send, receive];
  }

  async #watch(send: types.Transport, receive: types.Transport, camera: boolean): Promise<Round> {
    const began = performance.now();
    let [arrived, loudest, second] = [Infinity, 0, 0];
    for (;;) {
      const seen = await look(send, receive);
      const now = performance.now();
      loudest = Math.max(loudest, this.#ear?.peak() ?? 0);
      if (seen.received > 0) arrived = Math.min(arrived, now);
      const passed = (now - arrived) / 1000;
      if (passed >= SEND_S || (arrived === Infinity && now - began >= ARRIVES_S * 1000)) {
        return roundOf({ ...seen, level: loudest }, Math.max(passed, 1), camera);
      }
      if (Math.floor(passed) > second) this.#options.onSecond((second = Math.floor(passed)));
      if (this.#left) throw gone();
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
  }
}

/**
 * How loud the voices are that came back. They are never played: the hall's loudspeakers would feed its microphone.
 * Chromium decodes for an element that plays only, and what getStats says of a muted one is silence.
 */
class Ear {
  readonly #element = new Audio();
  readonly #context = new AudioContext();
  readonly #analyser = this.#context.createAnalyser();
  readonly #samples: Float32Array<ArrayBuffer>;

  constructor(voices: readonly MediaStreamTrack[]) {
    this.#element.muted = true;
    this.#element.srcObject = new MediaStream([...voices]);
    void this.#element.play().catch(() => undefined);
    this.#analyser.fftSize = EAR_SAMPLES;
    this.#samples = new Float32Array(EAR_SAMPLES);
    for (const voice of voices) this.#context.createMediaStreamSource(new MediaStream([voice])).connect(this.#analyser);
    void this.#context.resume().catch(() => undefined);
  }

  /** The loudest sample since the last look, 0 to 1. */
  peak(): number {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return this.#samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
  }

  close(): void {
    this.#element.srcObject = null;
    void this.#context.close().catch(() => undefined);
  }
}

const gone = (): Error => new DOMException("The page was left.", "AbortError");

async function consume(link: MediaLink, device: Device, receive: types.Transport, producerId: string): Promise<MediaStreamTrack> {
  const info = await ask(link, "consume", { transport_id: receive.id, producer_id: producerId, rtpCapabilities: device.recvRtpCapabilities });
  const consumer = await receive.consume({ ...info, streamId: producerId });
  await ask(link, "resume_consumer", { consumer_id: consumer.id });
  return consumer.track;
}

/** What the browser has counted so far, of voices; of pictures only whether they came. */
async function look(send: types.Transport, receive: types.Transport): Promise<Seen> {
  const seen = { sent: 0, lostUp: 0, received: 0, lost: 0, level: 0, frames: 0, bytesUp: 0, bytesDown: 0 };
  (await send.getStats()).forEach((entry: Entry) => {
    const voice = entry["kind"] === "audio";
    if (entry["type"] === "outbound-rtp") seen.bytesUp += figure(entry, "bytesSent");
    if (entry["type"] === "outbound-rtp" && voice) seen.sent += figure(entry, "packetsSent");
    if (entry["type"] === "remote-inbound-rtp" && voice) seen.lostUp += figure(entry, "packetsLost");
  });
  (await receive.getStats()).forEach((entry: Entry) => {
    if (entry["type"] !== "inbound-rtp" || OUT_OF_FRAME.has(String(entry["mid"] ?? ""))) return;
    seen.bytesDown += figure(entry, "bytesReceived");
    if (entry["kind"] !== "audio") {
      seen.frames += figure(entry, "framesDecoded");
      return;
    }
    seen.received += figure(entry, "packetsReceived");
    seen.lost += Math.max(0, figure(entry, "packetsLost"));
  });
  return seen;
}
