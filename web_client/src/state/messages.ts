/** Chat and questions of the meeting on the screen: events say that something is there, the texts are fetched. */
import { signal } from "@preact/signals";
import { papersApi } from "../api/papers.ts";
import type { Message, Support } from "../api/types_papers.ts";
import type { LiveMeeting } from "./live.ts";

const SOON_MS = 500;
const SUPPORT_MS = 10_000;
const PAGE = 200;

export class Talk {
  readonly messages = signal<Message[] | null>(null);
  readonly support = signal<Map<number, Support>>(new Map());
  readonly error = signal<unknown>(null);
  readonly #live: LiveMeeting;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #again: ReturnType<typeof setInterval> | null = null;
  #stop: (() => void) | null = null;
  #loading: Promise<void> | null = null;

  constructor(live: LiveMeeting) {
    this.#live = live;
  }

  open(): void {
    this.#stop = this.#live.onEvent((event) => {
      if (event.type === "MessageHidden") this.#hide(event.body.id, event.body.reason);
      else if (event.type === "MessagePosted") this.#later();
    });
    this.#again = setInterval(() => void this.refresh(), SUPPORT_MS);
    void this.refresh();
  }

  close(): void {
    this.#stop?.();
    if (this.#again !== null) clearInterval(this.#again);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Fetches what came since; calls meanwhile share the fetch. */
  refresh(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    try {
      for (;;) {
        const known = this.messages.peek() ?? [];
        const { messages, support } = await papersApi.messages(this.#live.id, known.at(-1)?.id ?? 0);
        this.messages.value = [...known, ...messages];
        this.support.value = new Map(support.map((one) => [one.id, one]));
        this.error.value = null;
        if (messages.length < PAGE) return;
      }
    } catch (error) {
      this.error.value = error;
    }
  }

  #hide(id: number, reason: string): void {
    this.messages.value = this.messages.peek()?.map((one) => (one.id === id ? { ...one, hidden: true, text: "", reason } : one)) ?? null;
  }

  #later(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.refresh();
    }, SOON_MS);
  }
}
