/** Camera, microphone and screen as the page gets them, with errors that say what the person can do. */

export type Source = "microphone" | "camera" | "screen";

export type RoomMediaErrorCode =
  | "media.permission-denied"
  | "media.no-device"
  | "media.device-busy"
  | "media.unsupported"
  | "media.not-joined"
  | "media.failed";

/** A refusal that leaves the room as it was: the person goes on without the device. */
export class RoomMediaError extends Error {
  readonly code: RoomMediaErrorCode;
  readonly source: Source | null;

  constructor(code: RoomMediaErrorCode, message: string, source: Source | null = null) {
    super(message);
    this.name = "RoomMediaError";
    this.code = code;
    this.source = source;
  }
}

const CAMERA: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 24, max: 30 },
};
const MICROPHONE: MediaTrackConstraints = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};

/** Opens one device. @throws RoomMediaError */
export async function capture(source: Source, constraints?: MediaTrackConstraints): Promise<MediaStreamTrack> {
  const devices: MediaDevices | undefined = navigator.mediaDevices;
  if (devices === undefined || (source === "screen" && !("getDisplayMedia" in devices))) {
    throw new RoomMediaError("media.unsupported", `This browser cannot open the ${source} here.`, source);
  }
  let stream: MediaStream;
  try {
    stream = await open(devices, source, constraints);
  } catch (error) {
    throw explain(source, error);
  }
  const [track] = stream.getTracks();
  if (track === undefined) throw new RoomMediaError("media.no-device", `No ${source} was found.`, source);
  if (source !== "microphone") track.contentHint = source === "screen" ? "detail" : "motion";
  return track;
}

function open(devices: MediaDevices, source: Source, constraints?: MediaTrackConstraints): Promise<MediaStream> {
  if (source === "screen") {
    return devices.getDisplayMedia({ video: constraints ?? { frameRate: { ideal: 10, max: 15 } }, audio: false });
  }
  if (source === "camera") return devices.getUserMedia({ video: constraints ?? CAMERA });
  return devices.getUserMedia({ audio: constraints ?? MICROPHONE });
}

function explain(source: Source, error: unknown): RoomMediaError {
  const name = error instanceof DOMException ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return new RoomMediaError("media.permission-denied", `The browser was not allowed to use the ${source}.`, source);
    case "NotFoundError":
    case "OverconstrainedError":
      return new RoomMediaError("media.no-device", `No ${source} was found.`, source);
    case "NotReadableError":
    case "AbortError":
      return new RoomMediaError("media.device-busy", `Another program is using the ${source}.`, source);
    default:
      return new RoomMediaError("media.failed", `The ${source} could not be opened.`, source);
  }
}
