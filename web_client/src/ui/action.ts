/** One thing the user asked for: runs once at a time and keeps its error until the next try. */
import { useSignal, type Signal } from "@preact/signals";
import { useRef } from "preact/hooks";

export interface Action {
  busy: Signal<boolean>;
  error: Signal<unknown>;
  /** Runs the work unless it is running already; true when it succeeded. */
  run(work: () => Promise<unknown>): Promise<boolean>;
}

/** Like `useAction`, for small acts that may be asked for faster than they are done: none is lost, they run in order. */
export function useQueue(): Action {
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const last = useRef<Promise<unknown>>(Promise.resolve());
  const waiting = useRef(0);
  return {
    busy,
    error,
    run(work) {
      waiting.current += 1;
      busy.value = true;
      const done = last.current.then(async () => {
        error.value = null;
        try {
          await work();
          return true;
        } catch (caught) {
          error.value = caught;
          return false;
        } finally {
          waiting.current -= 1;
          busy.value = waiting.current > 0;
        }
      });
      last.current = done;
      return done;
    },
  };
}

export function useAction(): Action {
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  return {
    busy,
    error,
    async run(work) {
      if (busy.peek()) return false;
      busy.value = true;
      error.value = null;
      try {
        await work();
        return true;
      } catch (caught) {
        error.value = caught;
        return false;
      } finally {
        busy.value = false;
      }
    },
  };
}
