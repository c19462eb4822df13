/** State of a component that its children may change: what a signal is to the other pages, in a few lines for a small one. */
import { useReducer, useRef } from "preact/hooks";

export interface Cell<T> {
  value: T;
}

/** The component that owns the cell is drawn again when the value changes. */
export function useCell<T>(initial: T): Cell<T> {
  const [, draw] = useReducer((times: number) => times + 1, 0);
  const kept = useRef<Cell<T> | null>(null);
  if (kept.current === null) {
    let now = initial;
    kept.current = {
      get value() {
        return now;
      },
      set value(next) {
        if (next === now) return;
        now = next;
        draw(undefined);
      },
    };
  }
  return kept.current;
}
