/** The size of text that this device remembers; every page applies it when it starts. */
export const SIZES = ["small", "normal", "large", "huge"] as const;
export type TextSize = (typeof SIZES)[number];
const STORED = "folkmoot.text-size";

export function storedTextSize(): TextSize {
  try {
    return SIZES.find((size) => size === localStorage.getItem(STORED)) ?? "normal";
  } catch {
    return "normal"; // storage may be blocked
  }
}

export function applyTextSize(size: TextSize): void {
  document.documentElement.dataset["text"] = size;
}

export function rememberTextSize(size: TextSize): void {
  applyTextSize(size);
  try {
    localStorage.setItem(STORED, size);
  } catch {
    // storage may be blocked; the size then lasts for this page
  }
}
