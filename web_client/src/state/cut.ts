/** Whether this hall is cut off from the main room, and what of ours waits in it. */
import { signal } from "@preact/signals";
import { onCut, onQueued } from "../api/cut.ts";

/** What of ours waits: a check-in, a hand or wish to speak. Of a vote the booth tells, which sent it. */
export type Waiting = "check-in" | "hand";

/** At a kiosk it is somebody else's: the page of the hall says whose. */
const waitingAt = (path: string): Waiting | null => (path.endsWith("/check-in/finish") ? "check-in" : path.endsWith("/commands") ? "hand" : null);

/** Since when (seconds); 0 while the main room answers. */
export const cutSince = signal(0);
/** What the hall keeps for the main room; told to it as soon as the line is back. */
export const waiting = signal<ReadonlySet<Waiting>>(new Set());

export function startCut(): void {
  onCut((since) => {
    if (cutSince.peek() === since) return;
    cutSince.value = since;
    if (since === 0) waiting.value = new Set();
  });
  onQueued((path) => {
    const what = waitingAt(path);
    if (what !== null) waiting.value = new Set([...waiting.peek(), what]);
  });
}
