/** The lobby as chair and secretary see it. */
import { signal } from "@preact/signals";
import { papersApi } from "../api/papers.ts";
import type { Meeting } from "../api/types.ts";
import type { LobbyLine } from "../api/types_papers.ts";
import type { LiveMeeting } from "./live.ts";

/** In the room without being on the roll. */
export const visits = (meeting: Meeting): boolean => !meeting.me.checked_in && meeting.me.visitor === "admitted";

/** A guest has no place outside the room. */
export const isGuest = (meeting: Meeting): boolean => visits(meeting) && meeting.unit === "";

/** Whether I have the floor, as a member or a visitor. */
export const speaksNow = (meeting: Meeting): boolean => meeting.speaking.now?.person === meeting.me.member;

/** Whether I asked to speak as a visitor, whom the list of members does not hold. */
export const asksAsVisitor = (meeting: Meeting): boolean => visits(meeting) && meeting.speaking.queue.some((one) => one.person === meeting.me.member);

const SOON_MS = 300;
const CHANGING = new Set(["LobbyEntered", "VisitorAdmitted", "VisitorRefused", "VisitorLeft", "VisitorRemoved"]);

export class LobbyList {
  readonly visitors = signal<LobbyLine[] | null>(null);
  readonly error = signal<unknown>(null);
  readonly #live: LiveMeeting;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #stop: (() => void) | null = null;

  constructor(live: LiveMeeting) {
    this.#live = live;
  }

  open(): void {
    this.#stop = this.#live.onEvent((event) => {
      if (CHANGING.has(event.type)) this.#later();
    });
    void this.refresh();
  }

  close(): void {
    this.#stop?.();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async refresh(): Promise<void> {
    try {
      this.visitors.value = (await papersApi.lobby(this.#live.id)).visitors;
      this.error.value = null;
    } catch (error) {
      this.error.value = error;
    }
  }

  #later(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.refresh();
    }, SOON_MS);
  }
}
