/** What the server and the page say to each other about media (docs/spec/media_control.md). */
import type { types } from "mediasoup-client";
import type { Source } from "./capture.ts";

export interface ProducerInfo {
  readonly producer_id: string;
  readonly owner: string;
  readonly kind: "audio" | "video";
  readonly source: Source;
  readonly paused: boolean;
}

export interface SlotInfo {
  readonly slot: number;
  readonly producer_id: string;
  readonly owner: string | null;
}

export interface Capabilities {
  readonly rtpCapabilities: types.RtpCapabilities;
  readonly muted: boolean;
  readonly owner: string;
  readonly iceServers: RTCIceServer[];
}

export interface TransportInfo {
  readonly id: string;
  readonly iceParameters: types.IceParameters;
  readonly spareIceParameters: types.IceParameters;
  readonly iceCandidates: types.IceCandidate[];
  readonly dtlsParameters: types.DtlsParameters;
}

export interface ConsumeInfo {
  readonly id: string;
  readonly producerId: string;
  readonly kind: types.MediaKind;
  readonly rtpParameters: types.RtpParameters;
}

/** Answers by method; the one place where the server's answers get their types. */
export interface Answers {
  capabilities: Capabilities;
  create_transport: TransportInfo;
  connect_transport: object;
  restart_ice: Pick<TransportInfo, "iceParameters" | "spareIceParameters"> & { readonly iceServers: RTCIceServer[] };
  produce: { readonly id: string };
  pause_producer: object;
  resume_producer: object;
  close_producer: object;
  list: {
    readonly producers: readonly ProducerInfo[];
    readonly slots: readonly SlotInfo[];
    readonly transports: readonly string[];
    readonly muted: boolean;
  };
  consume: ConsumeInfo;
  resume_consumer: object;
  pause_consumer: object;
  close_consumer: object;
  set_preferred_layers: object;
  set_ladder: object;
}

/** The carrier: request with acknowledgement, and the server's events. */
export interface MediaLink {
  request(method: string, data: object): Promise<unknown>;
  onEvent(listener: (event: string, data: unknown) => void): () => void;
}

export async function ask<M extends keyof Answers>(link: MediaLink, method: M, data: object): Promise<Answers[M]> {
  return (await link.request(method, data)) as Answers[M];
}

export function field(data: unknown, name: string): unknown {
  return typeof data === "object" && data !== null ? (data as Record<string, unknown>)[name] : undefined;
}

export function asSource(value: unknown): Source | null {
  return value === "microphone" || value === "camera" || value === "screen" ? value : null;
}

export function asProducer(data: unknown): ProducerInfo | null {
  const id = field(data, "producer_id");
  const owner = field(data, "owner");
  const kind = field(data, "kind");
  const source = asSource(field(data, "source"));
  if (typeof id !== "string" || typeof owner !== "string") return null;
  if (kind !== "audio" && kind !== "video") return null;
  if (source === null) return null;
  return { producer_id: id, owner, kind, source, paused: field(data, "paused") === true };
}

/** Carries a promise over to the callbacks that the library wants. */
export async function settle<T>(work: Promise<T>, done: (value: T) => void, failed: (error: Error) => void): Promise<void> {
  try {
    done(await work);
  } catch (error) {
    failed(error instanceof Error ? error : new Error(String(error)));
  }
}
