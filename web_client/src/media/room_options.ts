/** What a room's media tell the page that made them. */
import type { types } from "mediasoup-client";
import type { Source } from "./capture.ts";
import type { MediaLink } from "./protocol.ts";

export interface RemoteTrack {
  readonly owner: string;
  readonly source: Source;
  readonly kind: "video";
  readonly track: MediaStreamTrack;
}

/** A picture that is received. */
export interface Watched {
  readonly remote: RemoteTrack;
  readonly consumer: types.Consumer;
}

export type RoomMediaState = "new" | "connecting" | "connected" | "rebuilding" | "left";

export interface RoomMediaOptions extends MediaLink {
  onTrack?(remote: RemoteTrack): void;
  onTrackEnded?(remote: RemoteTrack): void;
  /** The link carries another layer of a picture; null: none. */
  onLayer?(remote: RemoteTrack, layer: number | null): void;
  /** A slot carries another voice; `owner` null means nobody. */
  onSpeaker?(slot: number, owner: string | null): void;
  /** Another seat sends a source, does not send it any more, or has paused it. */
  onSource?(owner: string, source: Source, state: "on" | "paused" | "off"): void;
  /** The chair has muted this seat at the server, or lifted it. */
  onMuted?(muted: boolean): void;
  /** A source of this seat ended by itself: unplugged, or sharing stopped in the browser's own bar. */
  onLocalEnded?(source: Source): void;
  onState?(state: RoomMediaState): void;
  /** Media come through again after they had not: other connections will, too. */
  onBack?(): void;
  /** In this direction nothing has come through for long, or now it does. */
  onBarred?(direction: "send" | "recv", on: boolean): void;
}
