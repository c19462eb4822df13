/** The room's media as signals: what I send, whom I see and hear, how good the link is. */
import { computed, effect, signal } from "@preact/signals";
import { EVERYTHING, PICTURES, profileOf, type Step, TEXT_ONLY } from "../media/profiles.ts";
import type { RemoteTrack, RoomMedia, RoomMediaState, Source } from "../media/room_media.ts";
import { keepMediaChoice, type MediaChoice, mediaChoice } from "./drafts.ts";
import { asSendsBadly, asStanding, asTroubled, levelOf, moreOf, type SendsBadly, type Standing, type Troubled } from "./ladder.ts";
import { ceiling, chooseCeiling, live as linkState, settled } from "./link.ts";
import type { LiveMeeting } from "./live.ts";
import { Sources } from "./sources.ts";
import { supportReport } from "./support.ts";

export type { Sending } from "./sources.ts";

/** One seat's media in one room; made when the room is entered, closed when it is left. */
export class RoomControl {
  readonly state = signal<RoomMediaState>("new");
  readonly failed = signal<unknown>(null);
  readonly #sources = new Sources();
  readonly problem = this.#sources.problem;
  readonly microphone = this.#sources.microphone;
  readonly camera = this.#sources.camera;
  readonly screen = this.#sources.screen;
  readonly ownPicture = this.#sources.ownPicture;
  readonly mutedByChair = signal(false);
  readonly tracks = signal<readonly RemoteTrack[]>([]);
  /** Who speaks, the latest last. */
  readonly speakers = signal<readonly string[]>([]);
  /** Where the server sees this seat's link; null while it knows nothing yet. */
  readonly standing = signal<Standing | null>(null);
  /** What of this seat arrives badly at the others; null while all arrives well. */
  readonly sendsBadly = signal<SendsBadly | null>(null);
  /** For those who lead: whose link is in trouble, the longest first, and how many more there are. */
  readonly troubled = signal<readonly Troubled[]>([]);
  readonly moreTroubled = signal(0);
  readonly #barred = signal<ReadonlySet<"send" | "recv">>(new Set());
  /** The server answers, and the network lets no sound and pictures through. */
  readonly barred = computed(() => this.#barred.value.size > 0 && settled.value);
  /** True without transports: nothing is heard, seen or sent. */
  readonly textOnly = computed(() => ceiling.value === TEXT_ONLY);
  readonly audioOnly = computed(() => ceiling.value < PICTURES);
  /** The step that is in force: the lesser of the member's switch and what the link carries. */
  readonly reached = computed(() => Math.min(ceiling.value, this.standing.value?.level ?? EVERYTHING) as Step);
  readonly #profile = computed(() => profileOf(this.reached.value, this.standing.value?.profile ?? 0, this.standing.value?.lossy));
  /** The pictures that the link carries. */
  readonly pictures = computed(() => (this.reached.value < PICTURES ? [] : this.tracks.value.filter((remote) => !this.#withheld.value.has(remote.track))));
  readonly level = computed(() => {
    const away = linkState.value !== "connected" || (!this.textOnly.value && this.state.value !== "connected");
    if (this.barred.value) return "poor";
    return away ? "lost" : levelOf(this.standing.value, this.sendsBadly.value);
  });
  readonly #withheld = signal<ReadonlySet<MediaStreamTrack>>(new Set());
  readonly #live: LiveMeeting;
  readonly #slots = new Map<number, string>();
  #media: RoomMedia | null = null;
  #choice: MediaChoice = { microphone: false, camera: false };
  #closed = false;
  #seat = "";
  /** Pictures were not asked for; going up again must. */
  #unasked = false;
  #changing: Promise<void> = Promise.resolve();
  #stops: (() => void)[] = [];
  #forget: (() => void)[] = [];

  constructor(live: LiveMeeting) {
    this.#live = live;
  }

  /** Joins at the member's step and sends what the member chose; a refused device leaves the room as it is. */
  join(choice: MediaChoice): Promise<void> {
    this.#choice = choice;
    this.#stops.push(this.#live.onMedia((event, data) => this.#hear(event, data)));
    this.#watchLink();
    return this.#change();
  }

  /** The member's switch: holds at once, here and on this device from now on. */
  setStep(step: Step): Promise<void> {
    chooseCeiling(step);
    // Not only in its turn: what is under way may wait for the browser's question about this very camera.
    if (step < PICTURES && step !== TEXT_ONLY) void this.stop("camera");
    return this.#change();
  }

  /** Sound without pictures, or everything again. */
  setAudioOnly(on: boolean): Promise<void> {
    return this.setStep(on ? 1 : EVERYTHING);
  }

  /** The support report of this seat, as JSON. */
  async support(): Promise<string> {
    return supportReport(this.#live.id, (await this.#media?.support()) ?? null);
  }

  /** One change of step after the other; each looks at the switch as it is then. */
  #change(): Promise<void> {
    this.#changing = this.#changing.then(() => this.#apply()).catch((error: unknown) => {
      this.failed.value = error;
    });
    return this.#changing;
  }

  async #apply(): Promise<void> {
    if (this.#closed) return;
    const step = ceiling.peek();
    const told = this.#tellServer();
    // What the room needs is asked for behind it, without waiting for its answer.
    if (step !== TEXT_ONLY && this.#media === null) return this.#enter();
    await told;
    if (step === TEXT_ONLY) this.#exit();
    else if (this.#media !== null) {
      if (step < PICTURES) await this.stop("camera");
      else if (this.#unasked) {
        this.#unasked = false;
        await this.#media.rebuild();
      }
      await this.#adapt();
    }
  }

  /** Refused or unanswered, it is said again when the connection is back. */
  async #tellServer(): Promise<void> {
    await this.#live.socket.media("set_ladder", { ceiling: ceiling.peek() }).catch(() => undefined);
  }

  async #adapt(): Promise<void> {
    await this.#media?.setProfile(this.#profile.peek());
  }

  async #enter(): Promise<void> {
    const { RoomMedia } = await import("../media/room_media.ts");
    if (this.#closed) return;
    const media = new RoomMedia({
      request: (method, data) => this.#request(method, data),
      onEvent: (listener) =>
        this.#live.onMedia((event, data) => {
          if (event === "new_producer" && this.audioOnly.peek()) this.#unasked = true;
          else listener(event, data);
        }),
      onTrack: (remote) => (this.tracks.value = [...this.tracks.peek(), remote]),
      onTrackEnded: (remote) => this.#lose(remote),
      onLayer: (remote, layer) => this.#withhold(remote.track, layer === null),
      onSpeaker: (slot, owner) => this.#speaks(slot, owner),
      onMuted: (muted) => (this.mutedByChair.value = muted),
      onLocalEnded: (source) => this.#sources.ended(source),
      onState: (state) => (this.state.value = state),
      onBack: () => this.#live.socket.hurry(),
      onBarred: (direction, on) => this.#bar(direction, on),
    });
    this.#media = media;
    this.#sources.use(media);
    await this.#adapt();
    // The devices are asked for while the room is being joined.
    await Promise.all([media.join(), this.#sendChosen()]);
    this.#follow();
  }

  async #sendChosen(): Promise<void> {
    const { microphone, camera } = this.#choice;
    if (microphone) await this.send("microphone");
    if (camera && !this.audioOnly.peek()) await this.send("camera");
  }

  /** Gives all transports and devices back; what was being sent is sent again on the way up. */
  #exit(): void {
    const media = this.#media;
    if (media === null) return;
    this.#choice = { microphone: this.microphone.peek() !== "off", camera: this.camera.peek() !== "off" };
    this.#unfollow();
    media.leave();
    this.#media = null;
    this.#sources.use(null);
    this.state.value = "new";
    this.tracks.value = this.speakers.value = [];
    this.#slots.clear();
    this.standing.value = this.sendsBadly.value = null;
  }

  /** From here on a reload finds the switches as they were. */
  #follow(): void {
    if (this.#closed) return;
    const stop = [
      effect(() => {
        mediaChoice.value = { microphone: this.microphone.value !== "off", camera: this.camera.value !== "off" };
      }),
      keepMediaChoice(),
    ];
    this.#forget = stop;
  }

  #unfollow(): void {
    for (const each of this.#forget) each();
    this.#forget = [];
  }

  leave(): void {
    this.#closed = true;
    this.#unfollow();
    for (const each of this.#stops) each();
    this.#media?.leave();
    this.#media = null;
    this.#sources.use(null);
  }

  send(source: Source): Promise<void> {
    return this.#sources.send(source);
  }

  /** Pauses the microphone, gives camera and screen back. */
  stop(source: Source): Promise<void> {
    return this.#sources.stop(source);
  }

  toggle(source: Source): Promise<void> {
    return this.#sources.toggle(source);
  }

  /** Large pictures ask for the largest of a seat's three sizes, thumbnails for the smallest. */
  prefer(owner: string, layer: 0 | 1 | 2): void {
    void this.#media?.setPreferredLayer(owner, layer);
  }

  /** Pictures that the screen does not show are not sent; of those that the link keeps back one has to go on asking. */
  watchOnly(shown: readonly RemoteTrack[]): void {
    for (const remote of this.pictures.peek()) void this.#media?.setWatched(remote.owner, remote.source, shown.includes(remote));
  }

  async #request(method: string, data: object): Promise<unknown> {
    const answer = (await this.#live.socket.media(method, data)) as { owner?: string; producers?: { owner: string }[] };
    this.#seat = answer.owner ?? this.#seat;
    // Without pictures none is consumed: the room then lists what this seat sends.
    if (method !== "list" || !this.audioOnly.peek()) return answer;
    this.#unasked = true;
    return { ...answer, producers: answer.producers?.filter(({ owner }) => owner === this.#seat) };
  }

  #speaks(slot: number, owner: string | null): void {
    if (owner === null) this.#slots.delete(slot);
    else this.#slots.set(slot, owner);
    const now = new Set(this.#slots.values());
    const kept = this.speakers.peek().filter((speaker) => now.has(speaker) && speaker !== owner);
    this.speakers.value = owner === null ? kept : [...kept, owner];
  }

  #lose(remote: RemoteTrack): void {
    this.tracks.value = this.tracks.peek().filter((known) => known.track !== remote.track);
    this.#withhold(remote.track, false);
  }

  #withhold(track: MediaStreamTrack, on: boolean): void {
    const next = new Set(this.#withheld.peek());
    if (on) next.add(track);
    else next.delete(track);
    this.#withheld.value = next;
  }

  #bar(direction: "send" | "recv", on: boolean): void {
    const next = new Set(this.#barred.value);
    if (on) next.add(direction);
    else next.delete(direction);
    this.#barred.value = next;
  }

  #hear(event: string, data: unknown): void {
    if (event === "link_level" && !this.textOnly.peek()) this.standing.value = asStanding(data) ?? this.standing.peek();
    if (event === "uplink" && !this.textOnly.peek()) this.sendsBadly.value = asSendsBadly(data);
    if (event !== "links") return;
    this.troubled.value = asTroubled(data, Math.floor(Date.now() / 1000));
    this.moreTroubled.value = moreOf(data);
  }

  #watchLink(): void {
    let was = linkState.peek();
    this.#stops.push(
      linkState.subscribe((state) => {
        const back = state === "connected" && was !== "connected";
        was = state;
        if (!back) return;
        // The server may have forgotten our switch while the live connection was away.
        void this.#tellServer();
        void this.#media?.resume();
      }),
      effect(() => {
        const profile = this.#profile.value;
        void this.#media?.setProfile(profile);
      }),
    );
  }
}

/** The room that this page is in. */
export const room = signal<RoomControl | null>(null);
