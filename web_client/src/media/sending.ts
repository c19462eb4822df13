/** How each source is sent: sizes, bitrates, Opus settings. */
import type { types } from "mediasoup-client";
import type { Source } from "./capture.ts";

/** Browsers drop simulcast layers of small pictures, the largest first; so a small camera gets fewer layers. */
const THREE_LAYERS_FROM = 960;
const TWO_LAYERS_FROM = 480;
const SIMULCAST: types.RtpEncodingParameters[] = [
  { scaleResolutionDownBy: 4, maxBitrate: 120_000 },
  { scaleResolutionDownBy: 2, maxBitrate: 400_000 },
  { scaleResolutionDownBy: 1, maxBitrate: 1_200_000 },
];
const SCREEN: types.RtpEncodingParameters[] = [{ maxBitrate: 1_500_000 }];
const VOICE: types.ProducerCodecOptions = { opusDtx: true, opusFec: true, opusStereo: false };

/** The part of the library's produce options that depends on the source. */
export function sendingOptions(source: Source, track: MediaStreamTrack): types.ProducerOptions {
  if (source === "microphone") return { codecOptions: VOICE };
  if (source === "screen") return { encodings: SCREEN.map((encoding) => ({ ...encoding })) };
  const { width = 0, height = 0 } = track.getSettings();
  const longer = Math.max(width, height);
  const count = longer >= THREE_LAYERS_FROM ? 3 : longer >= TWO_LAYERS_FROM ? 2 : 1;
  const kept = SIMULCAST.slice(0, count);
  // Bitrates go with the size on the wire, scales with the camera's own size.
  const last = kept.length - 1;
  return { encodings: kept.map((encoding, index) => ({ ...encoding, scaleResolutionDownBy: 2 ** (last - index) })) };
}
