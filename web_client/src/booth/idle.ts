/** When nobody has touched a page for a while. */

/** A voter who walked away: the kiosk forgets them. */
export const IDLE_MS = 120_000;
const TOUCHES = ["pointerdown", "keydown", "input"] as const;

/** Runs the work once, after `IDLE_MS` without a touch on `page`; what is returned stops the wait. */
export function whenIdle(page: EventTarget, work: () => void): () => void {
  let timer = setTimeout(work, IDLE_MS);
  const touched = (): void => {
    clearTimeout(timer);
    timer = setTimeout(work, IDLE_MS);
  };
  for (const kind of TOUCHES) page.addEventListener(kind, touched);
  return () => {
    clearTimeout(timer);
    for (const kind of TOUCHES) page.removeEventListener(kind, touched);
  };
}
