/** What the user is about to do; kept apart from what the server says. */
import { effect, signal } from "@preact/signals";

export interface MediaChoice {
  microphone: boolean;
  camera: boolean;
}

const STORED = "folkmoot.media-choice";

function stored(): MediaChoice | null {
  try {
    const text = sessionStorage.getItem(STORED);
    if (text === null) return null;
    const { microphone, camera } = JSON.parse(text) as Partial<MediaChoice>;
    return { microphone: microphone === true, camera: camera === true };
  } catch {
    return null; // storage may be blocked
  }
}

/** What the member wants to send: offered at check-in, followed by the room's switches, there again after a reload. */
export const mediaChoice = signal<MediaChoice>(stored() ?? { microphone: true, camera: true });

/** What to send on entering the room: nothing that was not chosen in this tab. */
export const enteringChoice = (): MediaChoice => (stored() ? mediaChoice.peek() : { microphone: false, camera: false });

/** Who enters in a hall has chosen nothing, whatever was offered before. */
export function forgetMediaChoice(): void {
  try {
    sessionStorage.removeItem(STORED);
  } catch {
    // storage may be blocked; then nothing is kept
  }
}

/** Keeps the choice as it is now and as it changes; called when the member is shown it. */
export function keepMediaChoice(): () => void {
  return effect(() => {
    const text = JSON.stringify(mediaChoice.value);
    try {
      sessionStorage.setItem(STORED, text);
    } catch {
      // storage may be blocked; the choice then lasts for this page
    }
  });
}
