/** Says what changed to a screen reader; the region stands in booth.html. */
export function announce(text: string): void {
  const region = document.getElementById("announcer");
  // The same sentence twice is spoken twice, hence the changing white space.
  if (region) region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}
