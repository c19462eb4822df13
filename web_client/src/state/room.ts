/** The room's media as signals: what I send, whom I see and hear, how good the link is. */
import { effect, signal } from "@preact/signals";
import type { RemoteTrack, RoomFigures, RoomMedia, RoomMediaState, Source } from "../media/room_media.ts";
import { keepMediaChoice, type MediaChoice, mediaChoice } from "./drafts.ts";
import type { LiveMeeting } from "./live.ts";
import { live as linkState } from "./link.ts";

export type LinkLevel = "good" | "fair" | "poor" | "lost";
export type Sending = "off" | "starting" | "on";

const SAMPLE_MS = 3_000;
const POOR_LOSS = 0.05;
const FAIR_LOSS = 0.02;
/** Loss must last this many samples (about ten seconds) before the room offers to go without pictures. */
const POOR_SAMPLES = 3;

/** Lost share of the packets between two samples. */
export function lossBetween(before: RoomFigures | null, now: RoomFigures): number {
  const sum = (figures: RoomFigures | null, of: "packetsReceived" | "packetsLost"): number =>
    figures?.inbound.reduce((total, entry) => total + entry[of], 0) ?? 0;
  const received = sum(now, "packetsReceived") - sum(before, "packetsReceived");
  const lost = Math.max(0, sum(now, "packetsLost") - sum(before, "packetsLost"));
  return received + lost <= 0 ? 0 : lost / (received + lost);
}

export const levelOf = (loss: number): LinkLevel => (loss > POOR_LOSS ? "poor" : loss > FAIR_LOSS ? "fair" : "good");

/** One seat's media in one room; made when the room is entered, closed when it is left. */
export class RoomControl {
  readonly state = signal<RoomMediaState>("new");
  readonly failed = signal<unknown>(null);
  /** The last device that could not be used, and why; the room goes on without it. */
  readonly problem = signal<unknown>(null);
  readonly microphone = signal<Sending>("off");
  readonly camera = signal<Sending>("off");
  readonly screen = signal<Sending>("off");
  readonly ownPicture = signal<MediaStreamTrack | null>(null);
  readonly mutedByChair = signal(false);
  readonly audioOnly = signal(false);
  readonly tracks = signal<readonly RemoteTrack[]>([]);
  /** Who speaks, the latest last. */
  readonly speakers = signal<readonly string[]>([]);
  readonly level = signal<LinkLevel>("good");
  /** True when the link has been poor for a while and the room should offer sound only. */
  readonly offerAudioOnly = signal(false);
  readonly #live: LiveMeeting;
  readonly #slots = new Map<number, string>();
  #media: RoomMedia | null = null;
  #closed = false;
  #timer: ReturnType<typeof setInterval> | null = null;
  #figures: RoomFigures | null = null;
  #poor = 0;
  #unsubscribe: (() => void) | null = null;
  #forget: () => void = () => undefined;

  constructor(live: LiveMeeting) {
    this.#live = live;
  }

  /** Joins and sends what the member chose; a refused device leaves the room as it is. */
  async join(choice: MediaChoice): Promise<void> {
    try {
      const { RoomMedia } = await import("../media/room_media.ts");
      if (this.#closed) return;
      const media = new RoomMedia({
        request: (method, data) => this.#request(method, data),
        onEvent: (listener) =>
          this.#live.onMedia((event, data) => {
            if (!(this.audioOnly.peek() && event === "new_producer")) listener(event, data);
          }),
        onTrack: (remote) => (this.tracks.value = [...this.tracks.peek(), remote]),
        onTrackEnded: (remote) => (this.tracks.value = this.tracks.peek().filter((known) => known.track !== remote.track)),
        onSpeaker: (slot, owner) => this.#speaks(slot, owner),
        onMuted: (muted) => (this.mutedByChair.value = muted),
        onLocalEnded: (source) => this.#ended(source),
        onState: (state) => (this.state.value = state),
      });
      this.#media = media;
      this.#watchLink(media);
      await media.join();
      if (choice.microphone) await this.send("microphone");
      if (choice.camera) await this.send("camera");
      this.#follow();
    } catch (error) {
      this.failed.value = error;
    }
  }

  /** From here on a reload finds the switches as they were. */
  #follow(): void {
    if (this.#closed) return;
    const stop = [
      effect(() => {
        mediaChoice.value = { microphone: this.microphone.value !== "off", camera: this.camera.value !== "off" };
      }),
      keepMediaChoice(),
    ];
    this.#forget = () => {
      for (const each of stop) each();
    };
  }

  leave(): void {
    this.#closed = true;
    this.#forget();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#unsubscribe?.();
    this.#media?.leave();
    this.#media = null;
  }

  #signalOf(source: Source) {
    return { microphone: this.microphone, camera: this.camera, screen: this.screen }[source];
  }

  async send(source: Source): Promise<void> {
    const media = this.#media;
    const sending = this.#signalOf(source);
    if (!media || sending.peek() === "starting") return;
    sending.value = "starting";
    this.problem.value = null;
    try {
      if (source === "microphone") {
        if (media.isPublishing("microphone")) await media.setMuted(false);
        else await media.publishMicrophone();
      } else if (source === "camera") await media.publishCamera();
      else await media.publishScreen();
      sending.value = "on";
      if (source === "camera") this.ownPicture.value = media.localTrack("camera");
    } catch (error) {
      sending.value = "off";
      this.problem.value = error;
    }
  }

  /** Pauses the microphone, gives camera and screen back. */
  async stop(source: Source): Promise<void> {
    const media = this.#media;
    if (!media) return;
    this.#signalOf(source).value = "off";
    if (source === "camera") this.ownPicture.value = null;
    if (source === "microphone") await media.setMuted(true);
    else await media.stop(source);
  }

  toggle(source: Source): Promise<void> {
    return this.#signalOf(source).peek() === "on" ? this.stop(source) : this.send(source);
  }

  /** Sound only: no picture is asked for any more, and the own camera goes off. */
  async setAudioOnly(on: boolean): Promise<void> {
    this.audioOnly.value = on;
    this.offerAudioOnly.value = false;
    if (on) await this.stop("camera");
    await this.#media?.rebuild();
  }

  /** Large pictures ask for the largest of a seat's three sizes, thumbnails for the smallest. */
  prefer(owner: string, layer: 0 | 1 | 2): void {
    void this.#media?.setPreferredLayer(owner, layer);
  }

  async #request(method: string, data: object): Promise<unknown> {
    const answer = await this.#live.socket.media(method, data);
    // Sound only is made here: the room then lists no pictures, so none is consumed.
    if (method !== "list" || !this.audioOnly.peek()) return answer;
    return { ...(answer as object), producers: [] };
  }

  #speaks(slot: number, owner: string | null): void {
    if (owner === null) this.#slots.delete(slot);
    else this.#slots.set(slot, owner);
    const now = new Set(this.#slots.values());
    const kept = this.speakers.peek().filter((speaker) => now.has(speaker) && speaker !== owner);
    this.speakers.value = owner === null ? kept : [...kept, owner];
  }

  #ended(source: Source): void {
    this.#signalOf(source).value = "off";
    if (source === "camera") this.ownPicture.value = null;
  }

  #watchLink(media: RoomMedia): void {
    this.#timer = setInterval(() => void this.#sample(media), SAMPLE_MS);
    let was = linkState.peek();
    this.#unsubscribe = linkState.subscribe((state) => {
      // The server may have forgotten our transports while the live connection was away.
      if (state === "connected" && was !== "connected" && this.state.peek() === "connected") void media.rebuild();
      was = state;
    });
  }

  async #sample(media: RoomMedia): Promise<void> {
    if (linkState.peek() !== "connected" || this.state.peek() !== "connected") {
      this.level.value = "lost";
      this.#figures = null;
      return;
    }
    const now = await media.stats().catch(() => null);
    if (!now) return;
    this.level.value = this.#figures ? levelOf(lossBetween(this.#figures, now)) : "good";
    this.#figures = now;
    this.#poor = this.level.value === "poor" ? this.#poor + 1 : 0;
    if (this.#poor >= POOR_SAMPLES && !this.audioOnly.peek()) this.offerAudioOnly.value = true;
  }
}
