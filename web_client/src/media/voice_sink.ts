/** The one audio element that plays every voice. */
export class VoiceSink {
  readonly #element: HTMLAudioElement;

  /** Make it in the tap on Join: browsers let only a tap start sound. */
  constructor() {
    this.#element = document.createElement("audio");
    this.#element.autoplay = true;
    this.#element.hidden = true;
    document.body.append(this.#element);
    document.addEventListener("pointerdown", this.#start);
    // Safari lets an element play later only if play() was called on it in the tap.
    this.play([]);
  }

  /** Plays these tracks instead of the ones before; Chromium wants a stream that has its tracks from the start. */
  play(tracks: readonly MediaStreamTrack[]): void {
    this.#element.srcObject = new MediaStream([...tracks]);
    this.#start();
  }

  remove(): void {
    document.removeEventListener("pointerdown", this.#start);
    this.#element.srcObject = null;
    this.#element.remove();
  }

  /** Refused only where there was no tap yet; then the first tap anywhere starts the voices. */
  readonly #start = (): void => {
    this.#element.play().then(
      () => document.removeEventListener("pointerdown", this.#start),
      () => undefined,
    );
  };
}
