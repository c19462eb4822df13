/**
 * What a test asks of its page in the address: `codec=VP9` (send pictures so, and nothing else), `repair=no` (ask for
 * no packet again), `tone` (the microphone is a tone that the test makes louder and softer), `descriptors=no` (ask for no
 * dependency descriptors), `frames` (take down what comes with each frame of a picture), `mode=L1T3` (pictures in these layers).
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
  readonly headerExtensions?: readonly { readonly uri: string }[];
}

/** What the browser knows of a frame from its dependency descriptor; nothing where there was none. */
interface Frame {
  readonly frameId?: number;
  readonly dependencies?: readonly number[];
  readonly height?: number;
  /** SHA-256 of its bytes. */
  readonly digest: string;
}

// Runs in a worker: tells what comes with each frame and passes the frame on.
const TELL_FRAMES = `
onrtctransform = ({ transformer }) => {
  const tell = new TransformStream({
    async transform(frame, controller) {
      const { frameId, dependencies, height } = frame.getMetadata();
      const digest = [...new Uint8Array(await crypto.subtle.digest("SHA-256", frame.data))].join();
      postMessage({ frameId, dependencies, height, digest });
      controller.enqueue(frame);
    },
  });
  transformer.readable.pipeThrough(tell).pipeTo(transformer.writable);
};`;

const wishes = new URLSearchParams(location.search);
const connections: RTCPeerConnection[] = [];
const seen: Frame[] = [];
let loudness: GainNode | null = null;

/** The request as this page makes it: one that wants no repair knows no retransmission format. */
export function asked(method: string, data: object): object {
  if (method !== "consume") return data;
  const { rtpCapabilities } = data as { rtpCapabilities: Capabilities };
  let { codecs, headerExtensions = [] } = rtpCapabilities;
  if (wishes.get("repair") === "no") codecs = codecs.filter(({ mimeType }) => mimeType !== "video/rtx");
  if (wishes.get("descriptors") === "no") headerExtensions = headerExtensions.filter(({ uri }) => !uri.includes("dependency-descriptor"));
  return { ...data, rtpCapabilities: { ...rtpCapabilities, codecs, headerExtensions } };
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

/** The same of those who receive pictures. */
export function heardExtensions(): Record<string, number> {
  const receivers = connections.flatMap((connection) => connection.getReceivers());
  const pictures = receivers.filter(({ track }) => track.kind === "video");
  return Object.fromEntries(pictures.flatMap((receiver) => receiver.getParameters().headerExtensions.map(({ uri, id }) => [uri, id])));
}

/** Every frame that has come, as far as this page takes them down. */
export function frames(): readonly Frame[] {
  return seen;
}

function takeDown({ receiver, track }: RTCTrackEvent): void {
  if (track.kind !== "video") return;
  const worker = new Worker(URL.createObjectURL(new Blob([TELL_FRAMES], { type: "text/javascript" })));
  worker.addEventListener("message", ({ data }: MessageEvent<Frame>) => seen.push(data));
  receiver.transform = new RTCRtpScriptTransform(worker);
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
      if (wishes.has("frames")) this.addEventListener("track", takeDown);
    }

    override addTransceiver(track: MediaStreamTrack | string, settings: RTCRtpTransceiverInit = {}): RTCRtpTransceiver {
      const scalabilityMode = wishes.get("mode");
      if (scalabilityMode === null) return super.addTransceiver(track, settings);
      const sendEncodings = (settings.sendEncodings ?? []).map((encoding) => ({ ...encoding, scalabilityMode }));
      return super.addTransceiver(track, { ...settings, sendEncodings });
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
