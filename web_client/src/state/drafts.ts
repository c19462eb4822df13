/** What the user is about to do; kept apart from what the server says. */
import { signal } from "@preact/signals";

export interface MediaChoice {
  microphone: boolean;
  camera: boolean;
}

/** What the member wants to send when entering the room. */
export const mediaChoice = signal<MediaChoice>({ microphone: true, camera: true });
