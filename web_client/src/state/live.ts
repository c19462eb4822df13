/** Binds one meeting's snapshot, events and socket to signals. */
import { batch, signal } from "@preact/signals";
import { ApiError, api } from "../api/fetch.ts";
import { LiveSocket } from "../api/socket.ts";
import { forgetAnswers } from "../api/thrift.ts";
import type { Meeting, MeetingEvent } from "../api/types.ts";
import type { OutsideMeeting } from "../api/types_closed.ts";
import { drop, keptAt, recall, remember } from "./cache.ts";
import { hearOutside, isOutside, outsideAfter, perhapsOut } from "./closed.ts";
import { cutSince } from "./cut.ts";
import { hallHere, leased, NO_LEASE } from "./hall_tab.ts";
import { fresh, live, showsKept } from "./link.ts";
import { afterArrival, apply, count, type OwnArrival, replay } from "./meeting.ts";
import { dropMeeting } from "./paper_pages.ts";
import { Refetcher, refetchDelay } from "./refetch.ts";
import { loadSession, session } from "./session.ts";

/** As many events as the server gives at a time. */
const LOG_LENGTH = 500;
const OUTSIDE_MS = 5_000;
/** A snapshot is as good as new for so long. */
const JUST_MS = 20_000;
/** So long after the answer to a command its event may still be on the way. */
const EVENT_MS = 3_000;
/** Farewells after which asking again is of no use. */
const ENDED: ReadonlySet<string> = new Set(["session.ended", "role.ended", "socket.too-many", "meeting.closed"]);

/** Events after which a hall, and who comes by way of its relay, may be outside. */
const CLOSING: ReadonlySet<string> = new Set(["ClosedSessionBegan", "ClosedSessionAdmitted"]);

type EventListener = (event: MeetingEvent) => void;
type MediaListener = (event: string, data: unknown) => void;

/** One meeting kept up to date for as long as it is open. */
export class LiveMeeting {
  readonly id: string;
  readonly meeting = signal<Meeting | null>(null);
  /** What is known while the session is closed to this page; `meeting` is null then. */
  readonly outside = signal<OutsideMeeting | null>(null);
  readonly log = signal<MeetingEvent[]>([]);
  readonly error = signal<unknown>(null);
  /** What came of the newest lease of a hall's page. */
  readonly hallLease = signal(NO_LEASE);
  readonly socket: LiveSocket;
  readonly #events = new Set<EventListener>();
  readonly #media = new Set<MediaListener>();
  readonly #hurry = (): void => this.socket.hurry();
  readonly #refetcher = new Refetcher(
    () => this.#load(),
    () => refetchDelay((this.meeting.peek() ?? this.outside.peek())?.quorum.present ?? 0, Math.random()),
  );
  #outside: ReturnType<typeof setInterval> | null = null;
  /** What we hold comes from other data than the server's; its snapshot counts whatever its number. */
  #foreign = false;
  #closed = false;
  /** The snapshot with which the page begins. */
  #first: Promise<void> = Promise.resolve();
  /** A check-in here that no snapshot has shown yet. */
  #arrival: OwnArrival | null = null;
  /** When the newest snapshot came, while no connection has ended since; else 0. */
  #loadedAt = 0;

  constructor(id: string) {
    this.id = id;
    this.meeting.value = recall<Meeting>(`meeting.${id}`);
    showsKept(keptAt(`meeting.${id}`));
    this.socket = new LiveSocket({
      lease: () => (this.hall === "" ? {} : { site: this.hall }),
      onLease: (answer, refused) => {
        this.hallLease.value = this.hall === "" ? NO_LEASE : leased(this.hallLease.peek(), answer, refused);
      },
      lastSeq: () => this.#seq(),
      // The snapshot comes beside the ticket; without its number the events since would be asked for from the first on.
      ticket: async () => (await Promise.all([api.socketTicket(id), this.#first]))[0].ticket,
      onEvent: (event) => this.#take(event),
      onCounter: (election, cast) => {
        if (this.meeting.value) this.meeting.value = count(this.meeting.value, election, cast);
      },
      onMedia: (event, data) => {
        for (const listener of this.#media) listener(event, data);
      },
      onState: (state) => {
        live.value = state;
        if (state === "lost") this.#loadedAt = 0;
        // A grant, a mute or a layer may have changed while we were away; not since the snapshot with which we came.
        if (state === "connected" && Date.now() - this.#loadedAt > JUST_MS) this.reload();
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

  /** The hall on whose computer this page is, or empty. */
  get hall(): string {
    return hallHere(this.id, this.meeting.peek());
  }

  /** Fetches the snapshot and starts to listen. */
  async open(): Promise<void> {
    addEventListener("online", this.#hurry);
    document.addEventListener("visibilitychange", this.#hurry);
    this.#first = this.refresh();
    this.socket.open();
    await this.#first;
    if (!this.#closed) void this.#loadLog();
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

  #seq(): number {
    return (this.meeting.peek() ?? this.outside.peek())?.seq ?? 0;
  }

  /** Out of the meeting: looks now and then whether the chair has let the member back in. */
  #wait(): void {
    this.socket.close();
    this.#outside ??= setInterval(() => {
      void this.refresh().then(() => {
        if (this.#closed || (this.meeting.peek() ?? this.outside.peek())?.me.removed !== false) return;
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

  /** The server has taken a check-in from a place of the member's own as event `seq`: the room waits for no snapshot. */
  arrived(seq: number, credential: string): void {
    this.#arrival = { seq, credential };
    const meeting = this.meeting.peek();
    if (meeting) this.meeting.value = afterArrival(meeting, this.#arrival);
    void this.refresh();
  }

  /** Fetches the snapshot soon; several calls make one fetch. In a large room each page chooses its own moment. */
  reload(): void {
    this.#refetcher.soon();
  }

  /** Settles when what the server did as number `seq` is on the screen: by its event, or else by a snapshot. */
  async upTo(seq: number): Promise<void> {
    if (live.peek() === "connected" && cutSince.peek() === 0) await this.#heard(seq);
    if (this.#seq() < seq || this.#refetcher.pending || cutSince.peek() > 0) await this.refresh();
  }

  /** Settles when the event came, or does not seem to come. */
  #heard(seq: number): Promise<void> {
    if (this.#seq() >= seq) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(done, EVENT_MS);
      const stop = this.onEvent((event) => {
        if (event.seq >= seq) done();
      });
    });
  }

  /** Fetches the snapshot; returns the number that it has reached, null when it did not come. */
  async #load(): Promise<number | null> {
    try {
      const snapshot = await api.meeting(this.id);
      if (this.#closed) return Infinity;
      if (session.peek()?.guest !== undefined && !("me" in snapshot)) {
        // The room is not open to this guest any more: the session says why, and the lobby shows it.
        this.socket.close();
        await loadSession();
        return Infinity;
      }
      const known = this.#seq();
      // Asked for before the newest event came.
      const older = snapshot.seq < known && !this.#foreign && (this.error.value === null || this.outside.value !== null);
      if (isOutside(snapshot)) {
        if (!older) this.#close(snapshot);
        return this.#reached(snapshot, older ? known : 0);
      }
      if (older && this.outside.value !== null) return this.#reached(snapshot, known);
      if (older && cutSince.peek() > 0 && this.meeting.value) {
        // A hall that is cut off has no newer one; what it knows of us is newer all the same.
        this.meeting.value = { ...this.meeting.value, me: snapshot.me };
        return Infinity;
      }
      // The events that came meanwhile are newer than it.
      const now = older ? replay(snapshot, this.log.peek()) : snapshot;
      const gap = older && now.seq < known;
      const back = this.outside.value !== null;
      batch(() => {
        if (!gap) this.meeting.value = afterArrival(now, this.#arrival);
        this.outside.value = null;
      });
      if (back) void this.#loadLog();
      this.#foreign = false;
      this.#loadedAt = Date.now();
      remember(`meeting.${this.id}`, snapshot);
      if (snapshot.me.removed) void dropMeeting(this.id);
      this.error.value = null;
      fresh();
      return this.#reached(snapshot, gap ? known : 0);
    } catch (error) {
      this.error.value = error;
      return error instanceof ApiError && !error.unknown ? Infinity : null;
    }
  }

  /** What a snapshot has reached; another one is needed up to `needed`, unless that is 0 or there is none (a hall's cut). */
  #reached(snapshot: { seq: number }, needed: number): number {
    if (cutSince.peek() > 0) return Infinity;
    if (needed > 0) this.#refetcher.soon(needed);
    return snapshot.seq;
  }

  /** The session is closed to this page: of what it has held nothing is left, here or on the device. */
  #close(outside: OutsideMeeting): void {
    batch(() => {
      this.outside.value = outside;
      this.meeting.value = null;
      this.log.value = [];
    });
    this.#foreign = false;
    this.error.value = null;
    forgetAnswers();
    drop(`meeting.${this.id}`);
    // Who is kept out by a relay alone may read the papers; only what is on the screen goes.
    if (outside.closed_session.address === "") void dropMeeting(this.id);
    fresh();
  }

  async #loadLog(): Promise<void> {
    try {
      const seq = this.#seq();
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
    if (this.outside.value) return this.#hearOutside(this.outside.value, event);
    const before = this.meeting.value;
    const outside = before && outsideAfter(before, event);
    if (outside) {
      this.#close(outside);
      return this.reload();
    }
    this.#note(event);
    if (before) {
      const applied = apply(before, event);
      this.meeting.value = applied.meeting;
      const mayBeOut = CLOSING.has(event.type) && perhapsOut(applied.meeting, this.hall);
      if (mayBeOut) void this.refresh();
      else if (applied.stale) this.#refetcher.soon(event.seq);
    }
    for (const listener of this.#events) listener(event);
  }

  #hearOutside(outside: OutsideMeeting, event: MeetingEvent): void {
    const heard = hearOutside(outside, event);
    this.outside.value = heard.outside;
    if (heard.stale) this.reload();
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
