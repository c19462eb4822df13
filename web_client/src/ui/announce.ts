/** Sentences spoken by screen readers; `Announcer` in parts.tsx renders them. */
import { signal } from "@preact/signals";

export const polite = signal("");
export const urgent = signal("");

/** The same sentence twice is spoken twice, hence the changing white space. */
const distinct = (old: string, text: string): string => (old === text ? `${text}\u00a0` : text);

export function announce(text: string): void {
  polite.value = distinct(polite.peek(), text);
}

export function alarm(text: string): void {
  urgent.value = distinct(urgent.peek(), text);
}
