/** The smallest page around RoomMedia: a WebSocket carries the requests, `window.folkmoot` is what the test drives. */
import { RoomMedia, type RemoteTrack } from "../../web_client/src/media/room_media.ts";
import { answered, asked, extensions, figures, frames, heardExtensions, prepare, speak } from "./page_wishes.ts";

interface Answer {
  readonly id?: number;
  readonly ok?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
  readonly event?: string;
  readonly data?: unknown;
}

class LinkError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
const listeners = new Set<(event: string, data: unknown) => void>();
const socket = new WebSocket(`ws://${location.host}/link${location.search}`);
const opened = new Promise<void>((resolve) => socket.addEventListener("open", () => resolve()));
const log: string[] = [];
const speakers: { at: number; slot: number; owner: string | null }[] = [];
const videos = new Map<string, HTMLVideoElement>();
let counter = 0;
prepare();

socket.addEventListener("message", (message: MessageEvent<string>) => {
  const answer = JSON.parse(message.data) as Answer;
  if (answer.event !== undefined) {
    for (const listener of listeners) listener(answer.event, answer.data);
    return;
  }
  const held = waiting.get(answer.id ?? -1);
  waiting.delete(answer.id ?? -1);
  if (answer.error === undefined) held?.resolve(answer.ok);
  else held?.reject(new LinkError(answer.error.code, answer.error.message));
});

async function request(method: string, data: object): Promise<unknown> {
  await opened;
  counter += 1;
  const id = counter;
  const answer = await new Promise<unknown>((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    socket.send(JSON.stringify({ id, method, data: asked(method, data) }));
  });
  return answered(method, answer);
}

const room = new RoomMedia({
  request,
  onEvent: (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  onTrack: ({ owner, source, track }: RemoteTrack) => {
    const video = document.createElement("video");
    video.autoplay = video.muted = true;
    video.srcObject = new MediaStream([track]);
    document.body.append(video);
    videos.set(`${owner}/${source}`, video);
  },
  onTrackEnded: ({ owner, source }: RemoteTrack) => {
    log.push(`ended ${owner} ${source}`);
    videos.get(`${owner}/${source}`)?.remove();
    videos.delete(`${owner}/${source}`);
  },
  onSpeaker: (slot, owner) => {
    log.push(`speaker ${slot} ${owner ?? "-"}`);
    speakers.push({ at: Date.now(), slot, owner });
  },
  onSource: (owner, source, state) => log.push(`source ${owner} ${source} ${state}`),
  onMuted: (muted) => log.push(`muted ${muted}`),
  onState: (state) => log.push(`state ${state}`),
});

const tap = document.createElement("button");
tap.textContent = "Join";
tap.addEventListener("click", () => void room.join());
document.body.append(tap);
const own = { room, request, log, speakers, figures, extensions, heardExtensions, frames, speak };
Object.assign(window, { folkmoot: { ...own, videos: () => [...videos.keys()].sort() } });
