/**
 * One room's media in the page: what this seat sends, what it sees and hears.
 *
 * Voices arrive through a few slots that all play from one audio element, made in the tap on Join. When the server
 * says `room_reset`, a transport cannot be repaired, or the live connection came back, everything is built anew and
 * whatever was being sent is sent again.
 */
import { Device, type types } from "mediasoup-client";
import { capture, RoomMediaError, type Source } from "./capture.ts";
import { ofPictures, ofSources } from "./catching_up.ts";
import { askTransport, onOtherNetwork, openTransport, type Path } from "./paths.ts";
import { type Answers, ask, asProducer, asSource, field, type ProducerInfo, type SlotInfo, type TransportInfo } from "./protocol.ts";
import { FREE, type Profile } from "./profiles.ts";
import type { RemoteTrack, RoomMediaOptions, RoomMediaState, Watched } from "./room_options.ts";
import { followProfile, type LocalSource, sendingOptions } from "./sending.ts";
import { figures, type RoomFigures } from "./statistics.ts";
import { type SupportEntry, supportFigures } from "./support_figures.ts";
import { VoiceSink } from "./voice_sink.ts";

export { RoomMediaError, type RoomMediaErrorCode, type Source } from "./capture.ts";
export type { MediaLink } from "./protocol.ts";
export type { RemoteTrack, RoomMediaOptions, RoomMediaState } from "./room_options.ts";
export type { RoomFigures } from "./statistics.ts";

const GO_ON_WITHOUT = new Set<unknown>(["media.no-such-producer", "media.too-many-consumers", "media.cannot-consume"]);
const FIRST_RETRY_MS = 300;
const LONGEST_RETRY_MS = 3_000;

export class RoomMedia {
  readonly #options: RoomMediaOptions;
  readonly #local = new Map<Source, LocalSource>();
  /** What the browser is being asked for; taken out again by whoever no longer wants it. */
  readonly #asking = new Map<Source, symbol>();
  readonly #watched = new Map<string, Watched>();
  readonly #asked = new Set<string>();
  readonly #preferred = new Map<string, number>();
  #sink: VoiceSink | null = null;
  #voices: MediaStreamTrack[] = [];
  #device: Device | null = null;
  #send: types.Transport | null = null;
  #receive: types.Transport | null = null;
  readonly #paths = new Set<Path>();
  #owner = "";
  #profile: Profile = FREE;
  #iceServers: RTCIceServer[] = [];
  #state: RoomMediaState = "new";
  #generation = 0;
  /** The microphone was muted last, perhaps before it was there. */
  #silent = false;
  #building: Promise<void> | null = null;
  #publishing: Promise<unknown> = Promise.resolve();
  /** What others began to send before this seat could take it. */
  readonly #early: ProducerInfo[] = [];
  #stops: (() => void)[] = [];

  constructor(options: RoomMediaOptions) {
    this.#options = options;
  }

  get state(): RoomMediaState {
    return this.#state;
  }

  /** Call this in the tap on Join: it makes the audio element, which only a tap may start. */
  async join(): Promise<void> {
    if (this.#state === "left") throw new RoomMediaError("media.not-joined", "This room has been left.");
    this.#sink ??= new VoiceSink();
    if (this.#stops.length === 0) {
      const again = (): void => this.#paths.forEach((path) => path.tryAgain());
      this.#stops = [this.#options.onEvent((event, data) => this.#take(event, data)), onOtherNetwork(again)];
    }
    await this.rebuild();
  }

  /** The live connection has come back: what the server still has goes on, and what was missed is caught up with. */
  async resume(): Promise<void> {
    if (this.#state !== "connected") return;
    const generation = this.#generation;
    try {
      const listed = await ask(this.#options, "list", {});
      if (generation !== this.#generation) return;
      const open = [this.#send, this.#receive].every((one) => one === null || listed.transports.includes(one.id));
      if (open) await this.#catchUp(listed, generation);
      else await this.rebuild();
    } catch {
      await this.rebuild();
    }
  }

  /** Builds all transports anew. */
  rebuild(): Promise<void> {
    if (this.#state === "left") return Promise.resolve();
    this.#generation += 1;
    this.#building ??= this.#keepBuilding().finally(() => {
      this.#building = null;
    });
    return this.#building;
  }

  /** Stops everything, the devices too. */
  leave(): void {
    this.#setState("left");
    this.#generation += 1;
    for (const stop of this.#stops) stop();
    this.#tearDown();
    for (const held of this.#local.values()) held.track.stop();
    this.#local.clear();
    this.#sink?.remove();
    this.#sink = null;
  }

  /** @throws RoomMediaError when the microphone is refused; the room goes on without it. */
  publishMicrophone(constraints?: MediaTrackConstraints): Promise<void> {
    this.#silent = false;
    return this.#publish("microphone", constraints);
  }

  /** Sends the camera in three sizes. @throws RoomMediaError when it is refused. */
  publishCamera(constraints?: MediaTrackConstraints): Promise<void> {
    return this.#publish("camera", constraints);
  }

  /** @throws RoomMediaError when the person chose nothing to share. */
  publishScreen(constraints?: MediaTrackConstraints): Promise<void> {
    return this.#publish("screen", constraints);
  }

  isPublishing(source: Source): boolean {
    return this.#local.has(source);
  }

  /** What this seat sends from a source, for its own picture of itself. */
  localTrack(source: Source): MediaStreamTrack | null {
    return this.#local.get(source)?.track ?? null;
  }

  /** Stops sending a source and gives its device back. */
  async stop(source: Source): Promise<void> {
    this.#asking.delete(source);
    const held = this.#local.get(source);
    if (held === undefined) return;
    this.#local.delete(source);
    held.track.stop();
    const { producer } = held;
    if (producer !== null && !producer.closed) {
      producer.close();
      await this.#tell("close_producer", { producer_id: producer.id });
    }
  }

  /** Mutes or unmutes this seat's own microphone; nothing is sent while it is muted. */
  async setMuted(muted: boolean): Promise<void> {
    this.#silent = muted;
    const held = this.#local.get("microphone");
    if (held === undefined || held.paused === muted) return;
    held.paused = muted;
    held.track.enabled = !muted; // at once, also while it is only being produced
    const { producer } = held;
    if (producer === null || producer.closed) return;
    if (muted) producer.pause();
    else producer.resume();
    await this.#tell(muted ? "pause_producer" : "resume_producer", { producer_id: producer.id });
  }

  /** Asks for one of the three camera sizes of a seat, 0 the smallest; remembered across rebuilds. */
  async setPreferredLayer(owner: string, layer: number): Promise<void> {
    this.#preferred.set(owner, layer);
    for (const { remote, consumer } of this.#watched.values()) {
      if (remote.owner === owner && remote.source === "camera") {
        await this.#tell("set_preferred_layers", { consumer_id: consumer.id, layer });
      }
    }
  }

  /** Stops or goes on receiving one picture, for instance while it is not on the screen. */
  async setWatched(owner: string, source: Source, watched: boolean): Promise<void> {
    for (const { remote, consumer } of this.#watched.values()) {
      if (remote.owner !== owner || remote.source !== source || consumer.paused !== watched) continue;
      if (watched) consumer.resume();
      else consumer.pause();
      await this.#tell(watched ? "resume_consumer" : "pause_consumer", { consumer_id: consumer.id });
    }
  }

  /** How to send from now on; what the browser fixes at the start changes when a source is sent anew. */
  async setProfile(profile: Profile): Promise<void> {
    this.#profile = profile;
    for (const [source, { producer, track }] of this.#local) {
      // Refused while the connection is being set up: what is sent anew follows the profile anyway.
      if (producer !== null) await followProfile(producer, source, track, profile).catch(() => undefined);
    }
  }

  /** True when the microphone was begun for another kind of link: it is better produced anew. */
  get microphoneIsOutdated(): boolean {
    const begun = this.#local.get("microphone")?.begun ?? this.#profile;
    return begun.ptime !== this.#profile.ptime || begun.dtx !== this.#profile.dtx;
  }

  /** For tests and the quality display. */
  stats(): Promise<RoomFigures> {
    return figures(this.#send, this.#receive);
  }

  /** What the browser knows of both transports, without addresses. */
  async support(): Promise<{ send: SupportEntry[]; receive: SupportEntry[] }> {
    return { send: await supportFigures(this.#send), receive: await supportFigures(this.#receive) };
  }

  // -- building -------------------------------------------------------------------------------------------------

  async #keepBuilding(): Promise<void> {
    let wait = FIRST_RETRY_MS;
    for (;;) {
      const generation = this.#generation;
      this.#setState(this.#state === "new" || this.#state === "connecting" ? "connecting" : "rebuilding");
      try {
        await this.#build(generation);
        if (generation === this.#generation) {
          this.#setState("connected");
          return;
        }
        wait = FIRST_RETRY_MS;
      } catch {
        // The room is being rebuilt at the server, or the connection is down: try again, ever more slowly.
        await new Promise((resolve) => setTimeout(resolve, wait));
        wait = Math.min(wait * 2, LONGEST_RETRY_MS);
      }
      if (this.#isLeft()) return;
    }
  }

  #isLeft(): boolean {
    return this.#state === "left";
  }

  #tearDown(): void {
    for (const { remote } of this.#watched.values()) this.#options.onTrackEnded?.(remote);
    this.#watched.clear();
    this.#asked.clear();
    this.#early.length = 0;
    this.#voices = [];
    for (const held of this.#local.values()) held.producer = null;
    for (const path of this.#paths) path.stop();
    this.#paths.clear();
    this.#send = this.#receive = null;
  }

  async #build(generation: number): Promise<void> {
    this.#tearDown();
    // Side by side, as each answer may take most of a second; the server closes what was open before it makes anew.
    const [{ rtpCapabilities, muted, owner, iceServers }, info, { producers, slots }, device] = await Promise.all([
      ask(this.#options, "capabilities", {}),
      askTransport(this.#options, "recv"),
      ask(this.#options, "list", {}),
      Device.factory(),
    ]);
    [this.#owner, this.#iceServers] = [owner, iceServers];
    await device.load({ routerRtpCapabilities: rtpCapabilities });
    if (generation !== this.#generation) return;
    this.#device = device;
    this.#options.onMuted?.(muted);
    this.#receive = this.#openTransport(device, "recv", info, generation);
    const known = [...producers, ...this.#early.splice(0)];
    for (const producer of known) this.#tellSource(producer);
    await Promise.all([
      Promise.all(slots.map((slot) => this.#hear(slot, generation))).then(() => {
        if (generation === this.#generation) this.#sink?.play(this.#voices);
      }),
      ...known.map((producer) => this.#watch(producer, generation)),
      ...[...this.#local.keys()].map((source) => this.#produce(source)),
    ]);
  }

  #openTransport(device: Device, direction: "send" | "recv", info: TransportInfo, generation: number): types.Transport {
    const lost = (): void => void (generation === this.#generation && this.rebuild());
    const path = openTransport(this.#options, device, direction, info, this.#iceServers, { lost, back: () => this.#options.onBack?.(), barred: (on) => this.#options.onBarred?.(direction, on) });
    this.#paths.add(path);
    return path.transport;
  }

  /** @throws when the server has refused a certificate. */
  #agreed(): Promise<unknown> {
    return Promise.all([...this.#paths].map((path) => path.agreed));
  }

  /** Neither side heard the other for a while: both learn what has changed. */
  async #catchUp({ producers, slots, muted }: Answers["list"], generation: number): Promise<void> {
    this.#options.onMuted?.(muted);
    const listed = new Set(producers.map((producer) => producer.producer_id));
    for (const id of this.#watched.keys()) if (!listed.has(id)) this.#unwatch(id);
    const held = new Map([...this.#local.values()].flatMap((one) => (one.producer === null ? [] : [[one.producer.id, one] as const])));
    const pictures = [...this.#watched.values()].map(({ consumer }) => consumer);
    for (const [method, data] of [...ofSources(producers, this.#owner, held), ...ofPictures(pictures)]) await this.#tell(method, data);
    for (const [owner, layer] of this.#preferred) await this.setPreferredLayer(owner, layer);
    for (const producer of producers) this.#tellSource(producer);
    for (const { slot, owner } of slots) this.#options.onSpeaker?.(slot, owner);
    await Promise.all(producers.map((producer) => this.#watch(producer, generation)));
  }

  // -- receiving ------------------------------------------------------------------------------------------------

  async #consume(producerId: string, streamId: string): Promise<types.Consumer | null> {
    const receive = this.#receive;
    const device = this.#device;
    if (receive === null || device === null) return null;
    const info = await ask(this.#options, "consume", {
      transport_id: receive.id,
      producer_id: producerId,
      rtpCapabilities: device.recvRtpCapabilities,
    });
    if (receive.closed) return null;
    // A stream id of its own: the browser must not hold one seat's picture back for another's voice.
    const consumer = await receive.consume({ ...info, streamId });
    await Promise.all([ask(this.#options, "resume_consumer", { consumer_id: consumer.id }), this.#agreed()]);
    return consumer;
  }

  async #hear(slot: SlotInfo, generation: number): Promise<void> {
    const consumer = await this.#consume(slot.producer_id, `slot-${slot.slot}`);
    if (consumer === null || generation !== this.#generation) return;
    this.#voices.push(consumer.track);
    this.#options.onSpeaker?.(slot.slot, slot.owner);
  }

  async #watch(producer: ProducerInfo, generation: number): Promise<void> {
    const { producer_id: id, owner, source, kind } = producer;
    if (kind !== "video" || owner === this.#owner || this.#asked.has(id) || this.#receive === null) return;
    this.#asked.add(id);
    let consumer: types.Consumer | null;
    try {
      consumer = await this.#consume(id, id);
    } catch (error) {
      // Closed meanwhile, too many at once, or a codec this browser lacks: the room goes on without this picture.
      if (GO_ON_WITHOUT.has(field(error, "code"))) {
        this.#asked.delete(id);
        return;
      }
      throw error;
    }
    if (consumer === null || generation !== this.#generation) return;
    if (!this.#asked.has(id)) {
      consumer.close();
      return;
    }
    const remote: RemoteTrack = { owner, source, kind, track: consumer.track };
    this.#watched.set(id, { remote, consumer });
    this.#options.onTrack?.(remote);
    const layer = this.#preferred.get(owner);
    if (layer !== undefined && source === "camera") {
      await this.#tell("set_preferred_layers", { consumer_id: consumer.id, layer });
    }
  }

  #take(event: string, data: unknown): void {
    switch (event) {
      case "new_producer":
      case "producer_paused": {
        const producer = asProducer(data);
        if (producer === null) return;
        this.#tellSource(producer);
        if (event !== "new_producer") return;
        if (this.#receive === null) this.#early.push(producer);
        else this.#watch(producer, this.#generation).catch(() => this.rebuild());
        return;
      }
      case "producer_closed": {
        this.#unwatch(field(data, "producer_id"));
        const owner = field(data, "owner");
        const source = asSource(field(data, "source"));
        if (typeof owner === "string" && source !== null) this.#options.onSource?.(owner, source, "off");
        return;
      }
      case "slot_speaker": {
        const slot = field(data, "slot");
        const owner = field(data, "owner");
        if (typeof slot === "number") this.#options.onSpeaker?.(slot, typeof owner === "string" ? owner : null);
        return;
      }
      case "muted":
        this.#options.onMuted?.(field(data, "muted") === true);
        return;
      case "layers_changed": {
        const layer = field(data, "layer");
        const watched = [...this.#watched.values()].find(({ consumer }) => consumer.id === field(data, "consumer_id"));
        if (watched !== undefined) this.#options.onLayer?.(watched.remote, typeof layer === "number" ? layer : null);
        return;
      }
      case "transport_closed": {
        const id = field(data, "transport_id");
        if (id === this.#send?.id || id === this.#receive?.id) void this.rebuild();
        return;
      }
      case "room_reset":
        void this.rebuild();
        return;
      default:
    }
  }

  #tellSource(producer: ProducerInfo): void {
    this.#options.onSource?.(producer.owner, producer.source, producer.paused ? "paused" : "on");
  }

  #unwatch(id: unknown): void {
    if (typeof id !== "string") return;
    this.#asked.delete(id);
    const watched = this.#watched.get(id);
    if (watched === undefined) return;
    this.#watched.delete(id);
    watched.consumer.close();
    this.#options.onTrackEnded?.(watched.remote);
  }

  // -- sending --------------------------------------------------------------------------------------------------

  async #publish(source: Source, constraints?: MediaTrackConstraints): Promise<void> {
    if (this.#state === "new" || this.#state === "left") {
      throw new RoomMediaError("media.not-joined", "Join the room first.", source);
    }
    if (this.#local.has(source)) return;
    const own = Symbol(source);
    this.#asking.set(source, own);
    const track = await capture(source, constraints);
    if (this.#asking.get(source) !== own || this.#isLeft()) return track.stop();
    this.#local.set(source, { track, paused: source === "microphone" && this.#silent, producer: null, begun: null });
    track.addEventListener("ended", () => {
      if (this.#local.get(source)?.track !== track) return;
      void this.stop(source);
      this.#options.onLocalEnded?.(source);
    });
    if (this.#receive === null) return; // sent by what is being built
    try {
      await this.#produce(source);
    } catch {
      // The room is changing under us; the rebuild sends the source again.
      await this.rebuild();
    }
  }

  /** One at a time: two at once would open two send transports. */
  #produce(source: Source): Promise<void> {
    const next = this.#publishing.then(() => this.#produceNow(source));
    this.#publishing = next.catch(() => undefined);
    return next;
  }

  async #produceNow(source: Source): Promise<void> {
    const held = this.#local.get(source);
    const device = this.#device;
    if (held === undefined || held.producer !== null || device === null) return;
    const generation = this.#generation;
    let send = this.#send;
    if (send === null) {
      const info = await askTransport(this.#options, "send");
      if (generation !== this.#generation) return;
      this.#send = send = this.#openTransport(device, "send", info, generation);
    }
    const profile = this.#profile;
    held.track.enabled = !held.paused;
    const producer = await send.produce({
      track: held.track,
      stopTracks: false,
      zeroRtpOnPause: true,
      disableTrackOnPause: true,
      appData: { source, paused: held.paused },
      ...sendingOptions(source, held.track, profile),
    });
    await this.#agreed();
    if (generation !== this.#generation) return producer.close();
    if (this.#local.get(source) !== held) {
      producer.close();
      await this.#tell("close_producer", { producer_id: producer.id });
      return;
    }
    held.producer = producer;
    held.begun = profile;
    if (held.paused) producer.pause();
  }

  /** For requests whose failure changes nothing here: the next rebuild puts it right. */
  async #tell(method: keyof Answers, data: object): Promise<void> {
    try {
      await ask(this.#options, method, data);
    } catch (error) {
      if (field(error, "code") === "media.not-yours") void this.rebuild();
    }
  }

  #setState(state: RoomMediaState): void {
    if (this.#state === state || this.#isLeft()) return;
    this.#state = state;
    this.#options.onState?.(state);
  }
}
