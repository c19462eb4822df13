/** Whether the room's one sound element plays; browsers may refuse it without a tap. */
import { signal } from "@preact/signals";

/** True when the browser refused to play: the room then shows "Tap to hear". */
export const silenced = signal(false);

const sink = (): HTMLAudioElement | null => document.querySelector<HTMLAudioElement>("body > audio");

/** Looks whether the sound plays and tries to start it; inside a tap it always may. */
export async function startSound(): Promise<void> {
  const element = sink();
  if (!element) return;
  element.dataset["testid"] = "sink";
  try {
    await element.play();
    silenced.value = false;
  } catch (error) {
    // Without tracks some browsers abort; only a refusal needs another tap.
    silenced.value = error instanceof DOMException && error.name === "NotAllowedError";
  }
}
