/** When a page fetches the snapshot again. Pure but for the timer. */

const DELAY_MS = 120;
const SPREAD_MS = 1_500;
/** Each person in the room adds so much to the time over which the room's pages spread their requests. */
const SPREAD_PER_PERSON_MS = 5;

/** Milliseconds until a page asks, in a room with so many people; `share` is drawn from 0 to 1 by each page for itself. */
export const refetchDelay = (people: number, share: number): number => DELAY_MS + share * Math.min(SPREAD_MS, people * SPREAD_PER_PERSON_MS);

/** The longest pause after an answer that was long on its way. */
const PAUSE_MAX_MS = 4_000;
/** After a fetch that came to nothing. */
const RETRY_MS = 5_000;

/**
 * Many wishes to fetch become few fetches: at most one at a time. A wish for what has a number is fulfilled by any
 * answer that has reached it, also by one that was asked for before; any other makes one more fetch.
 */
export class Refetcher {
  readonly #load: () => Promise<number | null>;
  readonly #delay: () => number;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #loading: Promise<void> | null = null;
  #again = false;
  #needed = 0;
  #stopped = false;
  #ended = 0;
  #took = 0;

  /** `load` fetches once and says which number the answer has reached, or null when none came; `delay` is how long `soon` waits. */
  constructor(load: () => Promise<number | null>, delay: () => number) {
    this.#load = load;
    this.#delay = delay;
  }

  /** Whether something is wished for that has not been fetched yet. */
  get pending(): boolean {
    return this.#timer !== null || this.#needed > 0 || this.#loading !== null;
  }

  /** Fetches at once; calls meanwhile share one more fetch. */
  now(): Promise<void> {
    this.#clear();
    if (this.#loading) {
      this.#again = true;
      return this.#loading;
    }
    this.#loading = this.#run().finally(() => {
      this.#loading = null;
      if (this.#needed > 0) this.#schedule(this.#wait());
    });
    return this.#loading;
  }

  /** Fetches after the delay, for everything or until `number` is reached; wishes until then make one fetch. */
  soon(number = 0): void {
    this.#needed = Math.max(this.#needed, number);
    if (number > 0 && this.#loading) return; // its answer may have that
    this.#schedule(this.#wait());
  }

  /** Fetches nothing more by itself. */
  stop(): void {
    this.#stopped = true;
    this.#clear();
  }

  #clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** A link that needs long for an answer is left to others for as long. */
  #wait(): number {
    return Math.max(this.#delay(), this.#ended + Math.min(this.#took, PAUSE_MAX_MS) - Date.now());
  }

  #schedule(ms: number): void {
    if (this.#timer !== null || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.now();
    }, ms);
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      const begun = Date.now();
      const reached = await this.#load();
      this.#ended = Date.now();
      this.#took = reached === null ? RETRY_MS : this.#ended - begun;
      if (reached !== null && reached >= this.#needed) this.#needed = 0;
    } while (this.#again && !this.#stopped);
  }
}
