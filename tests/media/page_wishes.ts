/**
 * What a test asks of its page in the address: `codec=VP9` (send pictures so, and nothing else), `repair=no` (ask for
 * no packet again), `tone` (the microphone is a tone that the test makes louder and softer).
 */
interface Codec {
  readonly kind?: string;
  readonly mimeType: string;
  readonly rtcpFeedback?: { readonly type: string; readonly parameter?: string }[];
  readonly parameters?: { readonly apt?: number };
  readonly preferredPayloadType?: number;
}

interface Capabilities {
  readonly codecs: readonly Codec[];
}

const wishes = new URLSearchParams(location.search);
const connections: RTCPeerConnection[] = [];
let loudness: GainNode | null = null;

/** The request as this page makes it: one that wants no repair knows no retransmission format. */
export function asked(method: string, data: object): object {
  if (method !== "consume" || wishes.get("repair") !== "no") return data;
  const { rtpCapabilities } = data as { rtpCapabilities: Capabilities };
  const codecs = rtpCapabilities.codecs.filter(({ mimeType }) => mimeType !== "video/rtx");
  return { ...data, rtpCapabilities: { ...rtpCapabilities, codecs } };
}

/** The answer as this page takes it. */
export function answered(method: string, answer: unknown): unknown {
  if (method === "consume" && wishes.get("repair") === "no") {
    const { rtpParameters } = answer as { rtpParameters: Capabilities };
    return { ...(answer as object), rtpParameters: { ...rtpParameters, codecs: rtpParameters.codecs.map(withoutNack) } };
  }
  const wanted = wishes.get("codec");
  if (method !== "capabilities" || wanted === null) return answer;
  const { rtpCapabilities } = answer as { rtpCapabilities: Capabilities };
  return { ...(answer as object), rtpCapabilities: { ...rtpCapabilities, codecs: only(wanted, rtpCapabilities.codecs) } };
}

function withoutNack(codec: Codec): Codec {
  const rtcpFeedback = (codec.rtcpFeedback ?? []).filter(({ type, parameter }) => type !== "nack" || (parameter ?? "") !== "");
  return { ...codec, rtcpFeedback };
}

function only(name: string, codecs: readonly Codec[]): Codec[] {
  const chosen = codecs.find(({ mimeType }) => mimeType === `video/${name}`)?.preferredPayloadType;
  return codecs.filter(({ kind, preferredPayloadType, parameters }) => {
    return kind === "audio" || preferredPayloadType === chosen || parameters?.apt === chosen;
  });
}

/** Every entry that the browser has of every connection, numbers and words as it tells them. */
export async function figures(): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const connection of connections) {
    if (connection.connectionState !== "closed") (await connection.getStats()).forEach((entry) => found.push(entry));
  }
  return found;
}

/** The header extensions that senders have agreed on, with their ids. */
export function extensions(): Record<string, number> {
  const senders = connections.flatMap((connection) => connection.getSenders());
  return Object.fromEntries(senders.flatMap((sender) => sender.getParameters().headerExtensions.map(({ uri, id }) => [uri, id])));
}

/** Sets how loud the tone is, 0 to 1; returns when, in milliseconds of the machine's clock. */
export function speak(gain: number): number {
  if (loudness !== null) loudness.gain.value = gain;
  return Date.now();
}

/** Keep hold of every connection, and put the tone in the microphone's place where it is wished for. */
export function prepare(): void {
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(settings?: RTCConfiguration) {
      super(settings);
      connections.push(this);
    }
  };
  if (!wishes.has("tone")) return;
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    if (!constraints?.audio) return open(constraints);
    const context = new AudioContext();
    await context.resume();
    const source = new OscillatorNode(context, { type: "sawtooth", frequency: 220 });
    loudness = new GainNode(context, { gain: 0 });
    const sink = new MediaStreamAudioDestinationNode(context);
    source.connect(loudness).connect(sink);
    source.start();
    return sink.stream;
  };
}
