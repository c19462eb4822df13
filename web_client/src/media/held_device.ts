/** One device that a part of a page opens: given back when that part goes, also while the browser still asks for it. */
import { capture, type Source } from "./capture.ts";

export class HeldDevice {
  readonly #source: Source;
  /** Counts the openings; closing ends those that are under way. */
  #turn = 0;
  #track: MediaStreamTrack | null = null;

  constructor(source: Source) {
    this.#source = source;
  }

  /** Opens it in the place of what was open; null when it was closed meanwhile. @throws RoomMediaError */
  async open(): Promise<MediaStreamTrack | null> {
    this.close();
    const own = this.#turn;
    const track = await capture(this.#source);
    if (own !== this.#turn) {
      track.stop();
      return null;
    }
    return (this.#track = track);
  }

  close(): void {
    this.#turn += 1;
    this.#track?.stop();
    this.#track = null;
  }
}
