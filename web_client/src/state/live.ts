/** Binds one meeting's snapshot, events and socket to signals. */
import { signal } from "@preact/signals";
import { api } from "../api/fetch.ts";
import { LiveSocket } from "../api/socket.ts";
import type { Meeting, MeetingEvent } from "../api/types.ts";
import { keptAt, recall, remember } from "./cache.ts";
import { cutSince } from "./cut.ts";
import { fresh, live, showsKept } from "./link.ts";
import { apply, count } from "./meeting.ts";
import { dropMeeting } from "./paper_pages.ts";
import { Refetcher, refetchDelay } from "./refetch.ts";
import { loadSession, session } from "./session.ts";

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
  /** The site whose hall page is open here, or empty. */
  hall = "";
  readonly #events = new Set<EventListener>();
  readonly #media = new Set<MediaListener>();
  readonly #hurry = (): void => this.socket.hurry();
  readonly #refetcher = new Refetcher(
    () => this.#load(),
    () => refetchDelay(this.meeting.peek()?.present.length ?? 0, Math.random()),
  );
  #outside: ReturnType<typeof setInterval> | null = null;
  /** What we hold comes from other data than the server's; its snapshot counts whatever its number. */
  #foreign = false;
  #closed = false;

  constructor(id: string) {
    this.id = id;
    this.meeting.value = recall<Meeting>(`meeting.${id}`);
    showsKept(keptAt(`meeting.${id}`));
    this.socket = new LiveSocket({
      lease: () => (this.hall === "" ? {} : { site: this.hall }),
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
    this.#refetcher.stop();
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
    return this.#refetcher.now();
  }

  /** Fetches the snapshot soon; several calls make one fetch. In a large room each page chooses its own moment. */
  reload(): void {
    this.#refetcher.soon();
  }

  /** Fetches the snapshot; true when it has to be fetched again. */
  async #load(): Promise<boolean> {
    try {
      const snapshot = await api.meeting(this.id);
      if (this.#closed) return false;
      if (session.peek()?.guest !== undefined && !("me" in snapshot)) {
        // The room is not open to this guest any more: the session says why, and the lobby shows it.
        this.socket.close();
        await loadSession();
        return false;
      }
      // A snapshot asked for before the newest event came is older than what we show.
      const known = this.meeting.value?.seq ?? 0;
      const older = snapshot.seq < known && !this.#foreign && this.error.value === null;
      if (older && cutSince.peek() > 0 && this.meeting.value) {
        // A hall that is cut off has no newer one; what it knows of us is newer all the same.
        this.meeting.value = { ...this.meeting.value, me: snapshot.me };
        return false;
      }
      if (!older) this.meeting.value = snapshot;
      this.#foreign = false;
      remember(`meeting.${this.id}`, snapshot);
      if (snapshot.me.removed) void dropMeeting(this.id);
      this.error.value = null;
      fresh();
      return older;
    } catch (error) {
      this.error.value = error;
      return false;
    }
  }

  async #loadLog(): Promise<void> {
    try {
      const seq = this.meeting.value?.seq ?? 0;
      const { events } = await api.events(this.id, Math.max(0, seq - LOG_LENGTH));
      const held = new Set(this.log.value.map((event) => event.seq));
      const missing = events.filter((event) => !held.has(event.seq));
      this.log.value = [...missing, ...this.log.value].sort((a, b) => a.seq - b.seq).slice(-LOG_LENGTH);
    } catch {
      // the log is a convenience; live events fill it from here
    }
  }

  #note(event: MeetingEvent): void {
    const log = this.log.value;
    if (event.seq > (log.at(-1)?.seq ?? 0)) this.log.value = [...log.slice(1 - LOG_LENGTH), event];
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
