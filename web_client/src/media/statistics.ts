/** The few figures of getStats that the page and its tests look at. */
import type { types } from "mediasoup-client";

export interface InboundFigures {
  readonly kind: string;
  readonly trackId: string;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly packetsRepaired: number;
  readonly framesDecoded: number;
  readonly frameWidth: number;
  readonly keyFramesDecoded: number;
  readonly audioEnergy: number;
}

export interface OutboundFigures {
  readonly kind: string;
  readonly rid: string;
  readonly packetsSent: number;
  readonly frameWidth: number;
}

export interface RoomFigures {
  readonly inbound: readonly InboundFigures[];
  readonly outbound: readonly OutboundFigures[];
  readonly srtpCipher: string;
}

type Entry = Record<string, unknown>;

function number(entry: Entry, name: string): number {
  const value = entry[name];
  return typeof value === "number" ? value : 0;
}

function text(entry: Entry, name: string): string {
  const value = entry[name];
  return typeof value === "string" ? value : "";
}

async function entries(transport: types.Transport | null): Promise<Entry[]> {
  if (transport === null || transport.closed) return [];
  const report: Entry[] = [];
  (await transport.getStats()).forEach((value: unknown) => report.push(value as Entry));
  return report;
}

export async function figures(send: types.Transport | null, receive: types.Transport | null): Promise<RoomFigures> {
  const [sent, received] = await Promise.all([entries(send), entries(receive)]);
  const cipher = [...received, ...sent].map((entry) => text(entry, "srtpCipher")).find((value) => value !== "");
  return {
    srtpCipher: cipher ?? "",
    inbound: received
      .filter((entry) => entry["type"] === "inbound-rtp" && text(entry, "mid") !== "probator")
      .map((entry) => ({
        kind: text(entry, "kind"),
        trackId: text(entry, "trackIdentifier"),
        packetsReceived: number(entry, "packetsReceived"),
        packetsLost: number(entry, "packetsLost"),
        packetsRepaired: number(entry, "retransmittedPacketsReceived"),
        framesDecoded: number(entry, "framesDecoded"),
        frameWidth: number(entry, "frameWidth"),
        keyFramesDecoded: number(entry, "keyFramesDecoded"),
        audioEnergy: number(entry, "totalAudioEnergy"),
      })),
    outbound: sent
      .filter((entry) => entry["type"] === "outbound-rtp")
      .map((entry) => ({
        kind: text(entry, "kind"),
        rid: text(entry, "rid"),
        packetsSent: number(entry, "packetsSent"),
        frameWidth: number(entry, "frameWidth"),
      })),
  };
}
