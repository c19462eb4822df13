/** What the browser says of its transports, for a support report: figures and a few words, never an address. */
import type { types } from "mediasoup-client";

export type SupportEntry = Record<string, string | number | boolean>;

const TYPES = new Set(["inbound-rtp", "outbound-rtp", "remote-inbound-rtp", "candidate-pair", "local-candidate", "remote-candidate", "transport", "codec"]);
const WORDS = new Set([
  "type", "kind", "rid", "mimeType", "state", "dtlsState", "iceState", "iceRole", "tlsVersion", "srtpCipher", "dtlsCipher",
  "protocol", "tcpType", "relayProtocol", "candidateType", "networkType", "qualityLimitationReason", "scalabilityMode",
]);
/** Numbers that say where somebody is, or nothing. */
const LEFT_OUT = new Set(["port", "relatedPort", "priority", "ssrc", "rtxSsrc", "fecSsrc"]);

/** One entry of getStats without whatever names an address, a track or a person; null when it is not of use. */
export function harmless(entry: Readonly<Record<string, unknown>>): SupportEntry | null {
  if (!TYPES.has(String(entry["type"]))) return null;
  const kept: SupportEntry = {};
  for (const [name, value] of Object.entries(entry)) {
    if (typeof value === "boolean" || (typeof value === "number" && !LEFT_OUT.has(name))) kept[name] = value;
    else if (typeof value === "string" && WORDS.has(name)) kept[name] = value;
  }
  return kept;
}

/** The same of a whole transport; empty where there is none. */
export async function supportFigures(transport: types.Transport | null): Promise<SupportEntry[]> {
  if (transport === null || transport.closed) return [];
  const found: SupportEntry[] = [];
  (await transport.getStats()).forEach((value: unknown) => {
    const kept = harmless(value as Record<string, unknown>);
    if (kept !== null) found.push(kept);
  });
  return found;
}
