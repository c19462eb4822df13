/** How each source is sent: sizes, bitrates, Opus settings, by the profile of the link. */
import type { types } from "mediasoup-client";
import type { Source } from "./capture.ts";
import type { Profile } from "./profiles.ts";

/** Browsers drop simulcast layers of small pictures, the largest first; so a small camera gets fewer layers. */
const THREE_LAYERS_FROM = 960;
const TWO_LAYERS_FROM = 480;
const LAYER_RATES = [120_000, 400_000, 1_200_000];
const SCREEN_RATE = 1_500_000;
/** Below this a second layer would take from the first what it needs. */
const ONE_LAYER_BELOW_KBIT = 250;
const LEAST_SCREEN_RATE = 60_000;
const LEAST_START_KBIT = 60;

/** What this seat sends, or wants to. */
export interface LocalSource {
  readonly track: MediaStreamTrack;
  paused: boolean;
  producer: types.Producer | null;
  /** How it was begun; packet time and DTX stay so until it is produced anew. */
  begun: Profile | null;
}

function longerSide(track: MediaStreamTrack): number {
  const { width = 0, height = 0 } = track.getSettings();
  return Math.max(width, height);
}

function shorterSide(track: MediaStreamTrack): number {
  const { width = 0, height = 0 } = track.getSettings();
  return Math.min(width, height);
}

/** The encodings of a camera: as many as its size allows; what the link cannot carry is there but not sent. */
function cameraEncodings(track: MediaStreamTrack, profile: Profile): types.RtpEncodingParameters[] {
  const longer = longerSide(track);
  const count = longer >= THREE_LAYERS_FROM ? 3 : longer >= TWO_LAYERS_FROM ? 2 : 1;
  const kbit = profile.video?.kbit ?? 0;
  // Bitrates go with the size on the wire, scales with the camera's own size.
  return LAYER_RATES.slice(0, count).map((rate, index) => {
    const before = LAYER_RATES.slice(0, index).reduce((sum, each) => sum + each, 0);
    const scale = 2 ** (count - 1 - index);
    const fits = index === 0 ? kbit > 0 : kbit > ONE_LAYER_BELOW_KBIT && before + rate <= kbit * 1000;
    const lowest = index === 0 && profile.video !== null ? Math.max(scale, shorterSide(track) / profile.video.height) : scale;
    return {
      active: fits,
      scaleResolutionDownBy: Math.max(1, lowest),
      maxBitrate: index === 0 && kbit > 0 ? Math.min(rate, kbit * 1000) : rate,
      ...(profile.video === null ? {} : { maxFramerate: profile.video.frames }),
    };
  });
}

function screenEncodings(profile: Profile): types.RtpEncodingParameters[] {
  const kbit = profile.video?.kbit ?? 0;
  return [{ active: true, maxBitrate: Math.min(SCREEN_RATE, Math.max(LEAST_SCREEN_RATE, kbit * 1000)) }];
}

/** The part of the library's produce options that depends on source and profile. */
export function sendingOptions(source: Source, track: MediaStreamTrack, profile: Profile): types.ProducerOptions {
  if (source === "microphone") {
    const { opus, ptime, dtx } = profile;
    return { codecOptions: { opusDtx: dtx, opusFec: true, opusStereo: false, opusMaxAverageBitrate: opus, opusPtime: ptime } };
  }
  const codecOptions = { videoGoogleStartBitrate: Math.max(LEAST_START_KBIT, Math.min(300, profile.video?.kbit ?? 0)) };
  return { codecOptions, encodings: source === "screen" ? screenEncodings(profile) : cameraEncodings(track, profile) };
}

/** Brings what is being sent to another profile at once; what the browser fixes at the start changes when it is sent anew. */
export async function followProfile(producer: types.Producer, source: Source, track: MediaStreamTrack, profile: Profile): Promise<void> {
  const sender = producer.rtpSender;
  if (!sender || producer.closed) return;
  const wanted: types.RtpEncodingParameters[] =
    source === "microphone" ? [{ maxBitrate: profile.opus }] : source === "screen" ? screenEncodings(profile) : cameraEncodings(track, profile);
  const parameters = sender.getParameters();
  parameters.encodings.forEach((encoding, index) => Object.assign(encoding, wanted[index] ?? {}));
  await sender.setParameters(parameters);
}
