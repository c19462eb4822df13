/** State of a component that its children may change: what a signal is to the other pages, in a few lines for a small one. */
import { useMemo, useReducer, useRef } from "preact/hooks";

export interface Cell<T> {
  value: T;
}

/** The component that owns the cell is drawn again when the value changes, and so are those that it is handed to. */
export function useCell<T>(initial: T): Cell<T> {
  const [, draw] = useReducer((times: number) => times + 1, 0);
  const kept = useRef({ now: initial }).current;
  // A new object for each value: signals, which come with the passkey's code, leave out components whose props are the same.
  return useMemo(
    () => ({
      get value() {
        return kept.now;
      },
      set value(next) {
        if (next === kept.now) return;
        kept.now = next;
        draw(undefined);
      },
    }),
    [kept.now],
  );
}
