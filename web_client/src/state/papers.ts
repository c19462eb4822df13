/** The papers of the meeting on the screen: fetched when they change, kept for a time without a network. */
import { signal } from "@preact/signals";
import { papersApi } from "../api/papers.ts";
import type { MeetingEvent } from "../api/types.ts";
import type { Paper, Papers, Shown } from "../api/types_papers.ts";
import { keptAt, recall, remember } from "./cache.ts";
import type { LiveMeeting } from "./live.ts";
import { keepOnly, keptVersions } from "./paper_pages.ts";

const SOON_MS = 400;
const RENDERING_MS = 1_000;
const CHANGING = new Set(["PaperAdded", "PaperChanged", "PaperRemoved", "AgendaItemRemoved"]);

export class Shelf {
  readonly papers = signal<Paper[] | null>(null);
  readonly presenting = signal<Shown | null>(null);
  readonly error = signal<unknown>(null);
  /** When the list was fetched, in seconds of this device's clock; 0 when never. */
  readonly at = signal(0);
  /** The versions, as `paper/version`, that can be read without a network. */
  readonly kept = signal<ReadonlySet<string>>(new Set());
  readonly #live: LiveMeeting;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #stop: (() => void) | null = null;

  constructor(live: LiveMeeting) {
    this.#live = live;
    this.papers.value = recall<Papers>(`papers.${live.id}`)?.papers ?? null;
    this.at.value = keptAt(`papers.${live.id}`);
    live.outside.subscribe((outside) => {
      if (outside) this.#clear();
    });
  }

  open(): void {
    if (this.#stop) return;
    this.#stop = this.#live.onEvent((event) => this.#take(event));
    void this.lookKept();
    void this.refresh();
  }

  close(): void {
    this.#stop?.();
    this.#stop = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async refresh(): Promise<void> {
    try {
      const found = await papersApi.papers(this.#live.id);
      if (this.#live.outside.peek()) return; // asked for before the session was closed to this page
      this.papers.value = found.papers;
      this.presenting.value = found.presenting;
      this.error.value = null;
      remember(`papers.${this.#live.id}`, { papers: found.papers.filter((one) => one.class !== "restricted"), presenting: null });
      this.at.value = keptAt(`papers.${this.#live.id}`);
      void keepOnly(this.#live.id, found.papers).then(() => this.lookKept()).catch(() => undefined);
      if (found.papers.some((one) => one.versions.some((version) => version.state === "rendering"))) this.#later(RENDERING_MS);
    } catch (error) {
      this.error.value = error;
    }
  }

  /** Looks which papers are on this device. */
  async lookKept(): Promise<void> {
    this.kept.value = await keptVersions(this.#live.id, this.papers.peek() ?? []).catch(() => new Set<string>());
  }

  /** The session is closed to this page. */
  #clear(): void {
    this.papers.value = this.presenting.value = null;
    this.at.value = 0;
    this.kept.value = new Set();
  }

  #take(event: MeetingEvent): void {
    if (event.type === "PagePresented") this.presenting.value = event.body.paper !== "" || event.body.open === false ? event.body : null;
    else if (CHANGING.has(event.type)) this.#later(SOON_MS);
  }

  #later(ms: number): void {
    if (this.#timer !== null || !this.#stop) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.refresh();
    }, ms);
  }
}

const shelves = new WeakMap<LiveMeeting, Shelf>();

/** The shelf of a meeting; screens share it. */
export function shelfOf(live: LiveMeeting): Shelf {
  const known = shelves.get(live);
  if (known) return known;
  const made = new Shelf(live);
  shelves.set(live, made);
  return made;
}
