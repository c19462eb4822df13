/** Whether this hall is cut off from the main room, and what of ours waits in it. */
import { signal } from "@preact/signals";
import { onCut, onQueued, type Waiting } from "../api/cut.ts";

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
  onQueued((what) => {
    waiting.value = new Set([...waiting.peek(), what]);
  });
}
