/** Looking at the server again for what no event tells. */

/** Looks every so often while the page is seen, and at once when it is seen again; what is returned ends it. */
export function lookAgain(everyMs: number, look: () => void): () => void {
  const whenSeen = (): void => {
    if (document.visibilityState === "visible") look();
  };
  const timer = setInterval(whenSeen, everyMs);
  document.addEventListener("visibilitychange", whenSeen);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", whenSeen);
  };
}

/** Runs the work at once; asked for while it runs, however often, it runs once more after that. */
export function onceMore(work: () => Promise<unknown>): () => Promise<void> {
  let running: Promise<void> | null = null;
  let again = false;
  const run = async (): Promise<void> => {
    do {
      again = false;
      await work();
    } while (again);
  };
  return () => {
    if (running === null) running = run().finally(() => (running = null));
    else again = true;
    return running;
  };
}
