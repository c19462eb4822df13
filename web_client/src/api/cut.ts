/** What a hall's relay says of itself: that it is cut off, and that it keeps something for the main room. */

/** What stands in a relay's outbox, signed by the relay's key: all b64u but the number. */
export interface QueueReceipt {
  relay: string;
  seq: number;
  head: string;
  sig: string;
}

/** The answer 202 of a relay in the place of the main room's. */
export interface Queued {
  queued: QueueReceipt;
}

export const isQueued = (answer: object): answer is Queued => "queued" in answer;

const cutListeners = new Set<(since: number) => void>();
const queuedListeners = new Set<(path: string) => void>();

/** Tells since when (seconds) the hall is cut off, 0 while it is not. */
export function onCut(listener: (since: number) => void): void {
  cutListeners.add(listener);
}

export function tellCut(since: number): void {
  for (const listener of cutListeners) listener(since);
}

/** Tells the path of each request that the relay keeps for the main room. */
export function onQueued(listener: (path: string) => void): void {
  queuedListeners.add(listener);
}

export function tellQueued(path: string): void {
  for (const listener of queuedListeners) listener(path);
}
