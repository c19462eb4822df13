/** What this device remembers for its user: text size. */
import { effect, signal } from "@preact/signals";

const SIZES = ["small", "normal", "large", "huge"] as const;
export type TextSize = (typeof SIZES)[number];
const STORED = "folkmoot.text-size";

function stored(): TextSize {
  try {
    return SIZES.find((size) => size === localStorage.getItem(STORED)) ?? "normal";
  } catch {
    return "normal"; // storage may be blocked
  }
}

export const textSize = signal<TextSize>("normal");

/** Makes the text one step larger (+1) or smaller (-1). */
export function stepTextSize(step: 1 | -1): void {
  const next = SIZES[SIZES.indexOf(textSize.value) + step];
  if (next) textSize.value = next;
}

export const canStep = (step: 1 | -1): boolean => SIZES[SIZES.indexOf(textSize.value) + step] !== undefined;

export function startSettings(): void {
  textSize.value = stored();
  effect(() => {
    document.documentElement.dataset["text"] = textSize.value;
    try {
      localStorage.setItem(STORED, textSize.value);
    } catch {
      // storage may be blocked; the size then lasts for this page
    }
  });
}
