/** The live connection of one meeting: events in order, leases, media control. */
import { io, type Socket } from "socket.io-client";
import { tellCut } from "./cut.ts";
import { ApiError } from "./fetch.ts";
import type { MeetingEvent } from "./types.ts";

export type LinkState = "connecting" | "connected" | "lost" | "refused";

export interface LiveHandlers {
  /** What a lease carries: the site whose page this is, or nothing. */
  lease(): object;
  /** What came of it: the answer, or why the server refused. */
  onLease(answer: unknown, refused: ApiError | null): void;
  /** Number of the last event that the page holds; asked at every connection. */
  lastSeq(): number;
  /** A one-use ticket; asked at every connection. */
  ticket(): Promise<string>;
  onEvent(event: MeetingEvent): void;
  onCounter(election: string, cast: number): void;
  onMedia(event: string, data: unknown): void;
  onState(state: LinkState): void;
  /** The server ended the connection on purpose; it may be asked for again unless the code says otherwise. */
  onGoodbye(code: string): void;
  /** The server does not know the number of our last event: its data is not what we hold. */
  onUnknownNumber(): void;
}

const LEASE_MS = 10_000;
const ANSWER_MS = 10_000;
/** The server pings every 10 s; a connection on which nothing has come for so long is dropped and asked for anew. */
export const SILENCE_MS = 25_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;

type Answer = { ok: unknown } | { error: { code: string; message: string } };

/** Reconnects with a fresh ticket for as long as it is open. */
export class LiveSocket {
  readonly #handlers: LiveHandlers;
  #socket: Socket | null = null;
  #leases: ReturnType<typeof setInterval> | null = null;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #silence: ReturnType<typeof setTimeout> | null = null;
  /** Gives the present connection up. */
  #lost: () => void = () => undefined;
  #wait = FIRST_WAIT_MS;
  #closed = false;
  #generation = 0;
  /** The ticket that has been asked for and has not come. */
  #asked: Promise<string> | null = null;

  constructor(handlers: LiveHandlers) {
    this.#handlers = handlers;
  }

  open(): void {
    addEventListener("pagehide", this.#hide);
    addEventListener("pageshow", this.#show);
    this.#closed = false;
    void this.#connect();
  }

  close(): void {
    removeEventListener("pagehide", this.#hide);
    removeEventListener("pageshow", this.#show);
    this.#hide();
  }

  /** A page that goes says so: else its seat would be kept for a while, as that of a device between two networks. */
  readonly #hide = (): void => {
    this.#closed = true;
    this.#drop();
  };

  /** The browser may keep a page that was left, and show it again as it was. */
  readonly #show = (event: PageTransitionEvent): void => {
    if (event.persisted) this.open();
  };

  /**
   * The device says it is back: an attempt is made at once, and a connection that was there has to answer now, because
   * a changed network leaves it open with nobody at the other end.
   */
  hurry(): void {
    if (this.#closed) return;
    if (this.#socket?.connected) {
      this.#expect(ANSWER_MS);
      void this.#lease();
      return;
    }
    this.#wait = FIRST_WAIT_MS;
    void this.#connect();
  }

  /** Sends one acknowledged message. @throws ApiError with the server's code, or `network.unreachable`. */
  async request(name: "lease" | "media", data: object): Promise<unknown> {
    const socket = this.#socket;
    if (!socket?.connected) throw new ApiError("network.unreachable", "The live connection is down.", 0);
    let answer: Answer;
    try {
      answer = await socket.timeout(ANSWER_MS).emitWithAck(name, data);
    } catch {
      throw new ApiError("network.unreachable", "The server did not answer.", 0);
    }
    if (this.#socket === socket) this.#expect(SILENCE_MS);
    if ("error" in answer) throw new ApiError(answer.error.code, answer.error.message, 400);
    return answer.ok;
  }

  media(method: string, data: object): Promise<unknown> {
    return this.request("media", { method, data });
  }

  async #lease(): Promise<void> {
    try {
      this.#handlers.onLease(await this.request("lease", this.#handlers.lease()), null);
    } catch (error) {
      if (error instanceof ApiError && !error.unknown) this.#handlers.onLease(null, error);
    }
  }

  /** Something has come, or the connection was just opened: what comes next has so long. */
  #expect(ms: number): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lost(), ms);
  }

  #drop(): void {
    this.#generation += 1;
    if (this.#leases !== null) clearInterval(this.#leases);
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#leases = this.#retry = this.#silence = null;
    this.#socket?.removeAllListeners();
    // What went silent must not say goodbye: the server would hear that when the network is back, and let go of us.
    if (this.#closed) this.#socket?.disconnect();
    else this.#socket?.io.engine?.close();
    this.#socket = null;
  }

  #again(): void {
    if (this.#closed || this.#retry !== null) return;
    this.#retry = setTimeout(() => void this.#connect(), this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
  }

  async #connect(): Promise<void> {
    this.#drop();
    const generation = this.#generation;
    this.#handlers.onState("connecting");
    if (this.#asked !== null) {
      // The server closes a connection on which nothing is said; on a line so slow the next one waits for the ticket.
      await this.#asked.catch(() => undefined);
      if (generation !== this.#generation || this.#closed) return;
    }
    const asked = this.#handlers.ticket();
    this.#asked = asked;
    const answered = (): void => {
      if (this.#asked === asked) this.#asked = null;
    };
    asked.then(answered, answered);
    // The way is opened while the ticket comes: over a satellite that takes two seconds. Nothing is said on it before.
    const admit = (give: (auth: object) => void): void => {
      const tell = (ticket: string): void => {
        if (generation === this.#generation) give({ ticket, after: this.#handlers.lastSeq() });
      };
      void asked.then(tell, () => undefined);
    };
    this.#listen(
      io("/", {
        path: "/socket.io",
        transports: ["websocket"],
        // Every attempt needs its own ticket, so the library's reconnection is of no use.
        reconnection: false,
        forceNew: true,
        timeout: ANSWER_MS,
        auth: admit,
      }),
    );
    try {
      await asked;
    } catch (error) {
      if (generation !== this.#generation || this.#closed) return;
      this.#drop();
      const refused = error instanceof ApiError && !error.unknown && error.status !== 429;
      this.#handlers.onState(refused ? "refused" : "lost");
      if (!refused) this.#again();
    }
  }

  #listen(socket: Socket): void {
    const { onEvent, onCounter, onMedia, onState, onGoodbye, onUnknownNumber } = this.#handlers;
    this.#socket = socket;
    socket.on("connect", () => {
      this.#wait = FIRST_WAIT_MS;
      this.#expect(SILENCE_MS);
      const leased = this.#lease();
      // Until its lease has said so the room of a hall's page is not the hall's.
      if (Object.keys(this.#handlers.lease()).length === 0) onState("connected");
      else void leased.then(() => this.#socket === socket && onState("connected"));
      this.#leases = setInterval(() => void this.#lease(), LEASE_MS);
    });
    const lost = (): void => {
      if (this.#socket !== socket) return;
      this.#drop();
      onState("lost");
      this.#again();
    };
    this.#lost = lost;
    const heard = (): void => {
      if (this.#socket === socket && socket.connected) this.#expect(SILENCE_MS);
    };
    // From the first attempt on: a server that pings but never lets us in is as good as none.
    this.#expect(SILENCE_MS);
    socket.io.on("ping", heard);
    socket.onAny(heard);
    socket.on("connect_error", (error: Error & { data?: { code?: string } }) => {
      const code = error.data?.code ?? "";
      if (code === "socket.unknown-number") onUnknownNumber();
      lost();
      if (code === "meeting.removed") onGoodbye(code);
    });
    socket.on("disconnect", lost);
    socket.on("event", (event: MeetingEvent) => onEvent(event));
    socket.on("counter", (body: { election: string; cast: number }) => onCounter(body.election, body.cast));
    socket.on("media", (body: { event: string; data: unknown }) => onMedia(body.event, body.data));
    socket.on("cut", (body: { since: number }) => tellCut(body.since));
    socket.on("goodbye", (body: { code: string }) => onGoodbye(body.code));
  }
}
