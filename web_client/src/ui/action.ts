/** One thing the user asked for: runs once at a time and keeps its error until the next try. */
import { useSignal, type Signal } from "@preact/signals";

export interface Action {
  busy: Signal<boolean>;
  error: Signal<unknown>;
  /** Runs the work unless it is running already; true when it succeeded. */
  run(work: () => Promise<unknown>): Promise<boolean>;
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
