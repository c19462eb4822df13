/** What this device remembers for its user: text size. */
import { effect, signal } from "@preact/signals";
import { SIZES, type TextSize, rememberTextSize, storedTextSize } from "./text_size.ts";

export const textSize = signal<TextSize>("normal");

/** Makes the text one step larger (+1) or smaller (-1). */
export function stepTextSize(step: 1 | -1): void {
  const next = SIZES[SIZES.indexOf(textSize.value) + step];
  if (next) textSize.value = next;
}

export const canStep = (step: 1 | -1): boolean => SIZES[SIZES.indexOf(textSize.value) + step] !== undefined;

export function startSettings(): void {
  textSize.value = storedTextSize();
  effect(() => rememberTextSize(textSize.value));
}
