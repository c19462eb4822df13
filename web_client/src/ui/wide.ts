/** Whether there is room for two columns. */
import { signal } from "@preact/signals";

export const wide = signal(false);

if (typeof matchMedia === "function") {
  const query = matchMedia("(min-width: 60rem)");
  wide.value = query.matches;
  query.addEventListener("change", (event) => (wide.value = event.matches));
}
