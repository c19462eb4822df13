/** When a page fetches the snapshot again. Pure but for the timer. */

const DELAY_MS = 120;
const SPREAD_MS = 1_500;
/** Each person in the room adds so much to the time over which the room's pages spread their requests. */
const SPREAD_PER_PERSON_MS = 5;

/** Milliseconds until a page asks, in a room with so many people; `share` is drawn from 0 to 1 by each page for itself. */
export const refetchDelay = (people: number, share: number): number => DELAY_MS + share * Math.min(SPREAD_MS, people * SPREAD_PER_PERSON_MS);

/** Many wishes to fetch become few fetches: at most one at a time, and one more for what was wished meanwhile. */
export class Refetcher {
  readonly #load: () => Promise<boolean>;
  readonly #delay: () => number;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #loading: Promise<void> | null = null;
  #again = false;
  #stopped = false;

  /** `load` fetches once and says whether that has to be done again; `delay` is how long `soon` waits. */
  constructor(load: () => Promise<boolean>, delay: () => number) {
    this.#load = load;
    this.#delay = delay;
  }

  /** Fetches at once; calls meanwhile share one more fetch. */
  now(): Promise<void> {
    if (this.#loading) {
      this.#again = true;
      return this.#loading;
    }
    this.#loading = this.#run().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  /** Fetches after the delay; wishes until then make one fetch. */
  soon(): void {
    if (this.#timer !== null || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.now();
    }, this.#delay());
  }

  /** Fetches nothing more by itself. */
  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      if (await this.#load()) this.#again = true;
    } while (this.#again && !this.#stopped);
  }
}
