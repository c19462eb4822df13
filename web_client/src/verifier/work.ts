/** Long work in small pieces: progress, room for messages to arrive, and stopping. */

/** The person asked to stop; nothing was found out. */
export class Stopped extends Error {}

const SLICE_MS = 40;

export interface WorkOptions {
  /** Called with how much of the running check is done. */
  progress?: (done: number, total: number) => void;
  /** True once the work is to end. */
  stopped?: () => boolean;
  /** Milliseconds from any origin; without it the work never pauses. */
  now?: () => number;
  /** Lets other work happen. */
  breathe?: () => Promise<void>;
}

export class Work {
  private readonly options: WorkOptions;
  private sliceEnds = 0;

  constructor(options: WorkOptions = {}) {
    this.options = options;
  }

  /** Call between pieces of a few milliseconds. @throws Stopped */
  async pause(): Promise<void> {
    const { now, breathe, stopped } = this.options;
    if (now === undefined || now() < this.sliceEnds) return;
    await breathe?.();
    if (stopped?.() === true) throw new Stopped("stopped");
    this.sliceEnds = now() + SLICE_MS;
  }

  progress(done: number, total: number): void {
    this.options.progress?.(done, Math.max(done, total));
  }

  /** Runs `step` over the list in order, with progress and pauses. */
  async each<T>(list: readonly T[], step: (item: T, index: number) => void | Promise<void>): Promise<void> {
    for (const [i, item] of list.entries()) {
      await this.pause();
      await step(item, i);
      this.options.progress?.(i + 1, list.length);
    }
  }
}
