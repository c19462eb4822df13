/** Stands in for the browser's devices: the person answers each question when the test says so. */
import "../device.ts";

export class Track extends EventTarget {
  contentHint = "";
  enabled = true;
  open = true;
  stop(): void {
    this.open = false;
  }
}

interface Question {
  source: "microphone" | "camera";
  track: Track;
  allow: () => Promise<void>;
  refuse: () => Promise<void>;
}

/** Lets promises that need no time settle. */
export async function settled(): Promise<void> {
  for (let step = 0; step < 20; step += 1) await Promise.resolve();
}

export class Devices {
  /** What the page asked for, in order. */
  readonly asked: Question[] = [];
  readonly #before = Object.getOwnPropertyDescriptor(navigator, "mediaDevices");

  constructor() {
    const getUserMedia = ({ video }: MediaStreamConstraints): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const track = new Track();
        this.asked.push({
          source: video === undefined ? "microphone" : "camera",
          track,
          allow: () => (resolve({ getTracks: () => [track] }), settled()),
          refuse: () => (reject(new DOMException("No.", "NotAllowedError")), settled()),
        });
      });
    Object.defineProperty(navigator, "mediaDevices", { configurable: true, value: { getUserMedia } });
  }

  question(at: number): Question {
    return this.asked[at] as Question;
  }

  get sources(): string[] {
    return this.asked.map(({ source }) => source);
  }

  /** Which of the devices that were asked for are open. */
  get open(): boolean[] {
    return this.asked.map(({ track }) => track.open);
  }

  restore(): void {
    if (this.#before) Object.defineProperty(navigator, "mediaDevices", this.#before);
    else Reflect.deleteProperty(navigator, "mediaDevices");
  }
}
