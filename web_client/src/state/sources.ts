/** What this seat sends of its own devices. Each source can be stopped at any time, also while it is being opened. */
import { signal } from "@preact/signals";
import type { RoomMedia, Source } from "../media/room_media.ts";

export type Sending = "off" | "starting" | "on";

type OwnMedia = Pick<RoomMedia, "isPublishing" | "localTrack" | "microphoneIsOutdated" | "publishCamera" | "publishMicrophone" | "publishScreen" | "setMuted" | "stop">;

export class Sources {
  readonly microphone = signal<Sending>("off");
  readonly camera = signal<Sending>("off");
  readonly screen = signal<Sending>("off");
  readonly ownPicture = signal<MediaStreamTrack | null>(null);
  /** The last device that could not be used, and why; the room goes on without it. */
  readonly problem = signal<unknown>(null);
  #media: OwnMedia | null = null;
  /** Counts what was asked of each source: what is opened for an older wish is of no use any more. */
  readonly #turns: Record<Source, number> = { microphone: 0, camera: 0, screen: 0 };

  /** Sends by these media from now on, or by none. */
  use(media: OwnMedia | null): void {
    this.#media = media;
    for (const source of ["microphone", "camera", "screen"] as const) this.ended(source);
  }

  async send(source: Source): Promise<void> {
    const [media, sending] = [this.#media, this[source]];
    if (media === null || sending.peek() === "starting") return;
    const own = ++this.#turns[source];
    const wanted = (): boolean => own === this.#turns[source];
    sending.value = "starting";
    this.problem.value = null;
    try {
      if (source === "microphone") await this.#openMicrophone(media, wanted);
      else if (source === "camera") await media.publishCamera();
      else await media.publishScreen();
      if (!wanted()) return;
      sending.value = "on";
      if (source === "camera") this.ownPicture.value = media.localTrack("camera");
    } catch (error) {
      if (!wanted()) return;
      sending.value = "off";
      this.problem.value = error;
    }
  }

  async #openMicrophone(media: OwnMedia, wanted: () => boolean): Promise<void> {
    // Nobody hears a microphone that is off: the moment to change what the browser fixes at the start.
    if (media.microphoneIsOutdated) await media.stop("microphone");
    if (!wanted()) return; // released meanwhile: publishing would lift the mute that came with it
    if (media.isPublishing("microphone")) await media.setMuted(false);
    else await media.publishMicrophone();
  }

  /** Pauses the microphone, gives camera and screen back. */
  async stop(source: Source): Promise<void> {
    const media = this.#media;
    if (media === null) return;
    this.ended(source);
    if (source === "microphone") await media.setMuted(true);
    else await media.stop(source);
  }

  toggle(source: Source): Promise<void> {
    return this[source].peek() === "on" ? this.stop(source) : this.send(source);
  }

  /** It is not sent any more, by whatever cause. */
  ended(source: Source): void {
    this.#turns[source] += 1;
    this[source].value = "off";
    if (source === "camera") this.ownPicture.value = null;
  }
}
