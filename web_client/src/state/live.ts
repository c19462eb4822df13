/** Binds one meeting's snapshot, events and socket to signals. */
import { signal } from "@preact/signals";
import { api } from "../api/fetch.ts";
import { LiveSocket } from "../api/socket.ts";
import type { Meeting, MeetingEvent } from "../api/types.ts";
import { recall, remember } from "./cache.ts";
import { fresh, live } from "./link.ts";
import { apply, count } from "./meeting.ts";

const REFETCH_DELAY_MS = 120;
/** As many events as the server gives at a time. */
const LOG_LENGTH = 500;
const OUTSIDE_MS = 5_000;
/** Farewells after which asking again is of no use. */
const ENDED: ReadonlySet<string> = new Set(["session.ended", "role.ended", "socket.too-many", "meeting.closed"]);

type EventListener = (event: MeetingEvent) => void;
type MediaListener = (event: string, data: unknown) => void;

/** One meeting kept up to date for as long as it is open. */
export class LiveMeeting {
  readonly id: string;
  readonly meeting = signal<Meeting | null>(null);
  readonly log = signal<MeetingEvent[]>([]);
  readonly error = signal<unknown>(null);
  readonly socket: LiveSocket;
  readonly #events = new Set<EventListener>();
  readonly #media = new Set<MediaListener>();
  readonly #hurry = (): void => this.socket.hurry();
  #refetch: ReturnType<typeof setTimeout> | null = null;
  #outside: ReturnType<typeof setInterval> | null = null;
  /** What we hold comes from other data than the server's; its snapshot counts whatever its number. */
  #foreign = false;
  #closed = false;
  #loading: Promise<void> | null = null;
  #again = false;

  constructor(id: string) {
    this.id = id;
    this.meeting.value = recall<Meeting>(`meeting.${id}`);
    this.socket = new LiveSocket({
      lastSeq: () => this.meeting.value?.seq ?? 0,
      ticket: async () => (await api.socketTicket(id)).ticket,
      onEvent: (event) => this.#take(event),
      onCounter: (election, cast) => {
        if (this.meeting.value) this.meeting.value = count(this.meeting.value, election, cast);
      },
      onMedia: (event, data) => {
        for (const listener of this.#media) listener(event, data);
      },
      onState: (state) => {
        live.value = state;
        // A grant, a mute or a layer may have changed while we were away.
        if (state === "connected") this.reload();
      },
      onGoodbye: (code) => {
        if (code === "meeting.removed") this.#wait();
        else if (ENDED.has(code)) {
          this.socket.close();
          live.value = "refused";
        }
        this.reload();
      },
      onUnknownNumber: () => {
        this.#foreign = true;
        this.reload();
      },
    });
  }

  /** Fetches the snapshot and starts to listen. */
  async open(): Promise<void> {
    addEventListener("online", this.#hurry);
    document.addEventListener("visibilitychange", this.#hurry);
    await this.refresh();
    if (this.#closed) return;
    this.socket.open();
    void this.#loadLog();
  }

  close(): void {
    this.#closed = true;
    removeEventListener("online", this.#hurry);
    document.removeEventListener("visibilitychange", this.#hurry);
    if (this.#refetch !== null) clearTimeout(this.#refetch);
    this.#stopWaiting();
    this.socket.close();
    live.value = "connected";
  }

  onEvent(listener: EventListener): () => void {
    this.#events.add(listener);
    return () => this.#events.delete(listener);
  }

  onMedia(listener: MediaListener): () => void {
    this.#media.add(listener);
    return () => this.#media.delete(listener);
  }

  /** Out of the meeting: looks now and then whether the chair has let the member back in. */
  #wait(): void {
    this.socket.close();
    this.#outside ??= setInterval(() => {
      void this.refresh().then(() => {
        if (this.#closed || this.meeting.peek()?.me.removed !== false) return;
        this.#stopWaiting();
        this.socket.open();
      });
    }, OUTSIDE_MS);
  }

  #stopWaiting(): void {
    if (this.#outside !== null) clearInterval(this.#outside);
    this.#outside = null;
  }

  /** Fetches the snapshot now; calls meanwhile share one more fetch. */
  refresh(): Promise<void> {
    if (this.#loading) {
      this.#again = true;
      return this.#loading;
    }
    this.#loading = this.#load().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  /** Fetches the snapshot soon; several calls make one fetch. */
  reload(): void {
    if (this.#refetch !== null || this.#closed) return;
    this.#refetch = setTimeout(() => {
      this.#refetch = null;
      void this.refresh();
    }, REFETCH_DELAY_MS);
  }

  async #load(): Promise<void> {
    do {
      this.#again = false;
      try {
        const snapshot = await api.meeting(this.id);
        if (this.#closed) return;
        // A snapshot asked for before the newest event came is older than what we show.
        const known = this.meeting.value?.seq ?? 0;
        if (snapshot.seq >= known || this.#foreign || this.error.value !== null) this.meeting.value = snapshot;
        else this.#again = true;
        this.#foreign = false;
        remember(`meeting.${this.id}`, snapshot);
        this.error.value = null;
        fresh();
      } catch (error) {
        this.error.value = error;
        return;
      }
    } while (this.#again);
  }

  async #loadLog(): Promise<void> {
    try {
      const seq = this.meeting.value?.seq ?? 0;
      const { events } = await api.events(this.id, Math.max(0, seq - LOG_LENGTH));
      for (const event of events) this.#note(event);
    } catch {
      // the log is a convenience; live events fill it from here
    }
  }

  #note(event: MeetingEvent): void {
    const log = this.log.value;
    if (log.some((known) => known.seq === event.seq)) return;
    this.log.value = [...log, event].sort((a, b) => a.seq - b.seq).slice(-LOG_LENGTH);
  }

  #take(event: MeetingEvent): void {
    fresh();
    this.#note(event);
    const before = this.meeting.value;
    if (before) {
      const applied = apply(before, event);
      this.meeting.value = applied.meeting;
      if (applied.stale) this.reload();
    }
    for (const listener of this.#events) listener(event);
  }
}

/** The meeting on the screen; screens of one meeting share it. */
export const current = signal<LiveMeeting | null>(null);

export function enterMeeting(id: string): LiveMeeting {
  const open = current.peek();
  if (open?.id === id) return open;
  open?.close();
  const entered = new LiveMeeting(id);
  current.value = entered;
  void entered.open();
  return entered;
}

export function leaveMeeting(): void {
  current.peek()?.close();
  current.value = null;
}
