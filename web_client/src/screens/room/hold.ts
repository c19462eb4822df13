/** A hall's microphone: it sounds while its button is held, unless the hall's device was told to let it stay open. */
import { effect, signal } from "@preact/signals";
import type { RoomControl } from "../../state/room.ts";

const STORED = "folkmoot.hall-microphone";
const STAYS_OPEN = "stays-open";

function stored(): boolean {
  try {
    return localStorage.getItem(STORED) === STAYS_OPEN;
  } catch {
    return false; // storage may be blocked; holding is the safe side
  }
}

/** On this device a hall's microphone is opened and closed by pressing its button once. */
export const staysOpen = signal(stored());

/** Takes the custodian's choice, here and for the next time. */
export function letStayOpen(on: boolean): void {
  staysOpen.value = on;
  try {
    if (on) localStorage.setItem(STORED, STAYS_OPEN);
    else localStorage.removeItem(STORED);
  } catch {
    // storage may be blocked; the choice then lasts for this page
  }
}

type Microphone = Pick<RoomControl, "microphone" | "send" | "stop">;

/** Opens a microphone with a press and silences it with the release, however long the opening takes. */
export class HoldToTalk {
  readonly held = signal(false);
  readonly #room: Microphone;
  #opening = false;
  #again = false;

  constructor(room: Microphone) {
    this.#room = room;
  }

  press(): void {
    if (this.held.peek()) return;
    this.held.value = true;
    void this.#open();
  }

  release(): void {
    if (!this.held.peek()) return;
    this.held.value = false;
    void this.#room.stop("microphone");
  }

  async #open(): Promise<void> {
    if (this.#opening) {
      this.#again = true; // what is under way may have been silenced since
      return;
    }
    this.#opening = true;
    do {
      this.#again = false;
      await this.#room.send("microphone");
    } while (this.#again && this.held.peek());
    this.#opening = false;
    if (!this.held.peek()) await this.#room.stop("microphone");
  }

  /** Silences what was opened in any other way, and lets go when nobody can be at the button; returns the end of it. */
  guard(): () => void {
    const letGo = (): void => this.release();
    const hidden = (): void => {
      if (document.hidden) letGo();
    };
    const stop = effect(() => {
      if (!this.held.value && this.#room.microphone.value === "on") void this.#room.stop("microphone");
    });
    addEventListener("blur", letGo);
    addEventListener("pagehide", letGo);
    document.addEventListener("visibilitychange", hidden);
    return () => {
      stop();
      removeEventListener("blur", letGo);
      removeEventListener("pagehide", letGo);
      document.removeEventListener("visibilitychange", hidden);
      letGo();
    };
  }
}

const ofRooms = new WeakMap<RoomControl, HoldToTalk>();

/** What every microphone button of one room holds. */
export function holdOf(room: RoomControl): HoldToTalk {
  const hold = ofRooms.get(room) ?? new HoldToTalk(room);
  ofRooms.set(room, hold);
  return hold;
}
