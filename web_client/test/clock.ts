/** Time that passes when told to, for every timer made while it stands in for the real ones. */
export class Clock {
  #now = 0;
  #next = 1;
  readonly #timers = new Map<number, { at: number; every: number | null; run: () => void }>();
  readonly #real = { setTimeout, clearTimeout, setInterval, clearInterval };

  start(): void {
    const make = (every: boolean) => (run: () => void, ms = 0) => {
      this.#timers.set(this.#next, { at: this.#now + ms, every: every ? ms : null, run });
      return this.#next++;
    };
    const clear = (id: unknown): unknown => (typeof id === "number" ? this.#timers.delete(id) : this.#real.clearTimeout(id as NodeJS.Timeout));
    Object.assign(globalThis, { setTimeout: make(false), setInterval: make(true), clearTimeout: clear, clearInterval: clear });
    Object.defineProperty(performance, "now", { configurable: true, value: () => this.#now });
  }

  stop(): void {
    Object.assign(globalThis, this.#real);
    Reflect.deleteProperty(performance, "now");
  }

  tick(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [due] = [...this.#timers].filter(([, timer]) => timer.at <= end).toSorted(([, a], [, b]) => a.at - b.at);
      if (!due) break;
      const [id, timer] = due;
      this.#now = timer.at;
      if (timer.every === null) this.#timers.delete(id);
      else timer.at += timer.every;
      timer.run();
    }
    this.#now = end;
  }
}
