/** Sound and picture of a hall that went over the line and came back, in words. */
import { useEffect, useRef } from "preact/hooks";
import { loopEnd, sites } from "../../api/sites.ts";
import { errorText, number, t } from "../../i18n/index.ts";
import { type Carrier, loopProfile, LOSS_MAX_PERMILLE, LOSSY_PERMILLE, type Round, SEND_S } from "../../state/line_loop.ts";
import type { Measured } from "../../state/line_test.ts";
import { Note } from "../../ui/parts.tsx";

/** What became of the loop: what it has shown, or why it could not be tried. */
export type Tried = { round: Round; why: null } | { round: null; why: unknown };

interface Run {
  meeting: string;
  site: string;
  profile: number;
  line: Measured;
  onPicture: (track: MediaStreamTrack) => void;
  onSecond: (second: number) => void;
}

/** Runs one loop at a time, and none once the page is left. */
export function useLoop(): (run: Run) => Promise<Tried> {
  const stop = useRef<() => void>(() => undefined);
  // The line is measured before, and the loop's code fetched: the page may be left before there is a loop to stop.
  const left = useRef(false);
  useEffect(() => {
    const end = (): void => stop.current();
    addEventListener("pagehide", end);
    return () => {
      removeEventListener("pagehide", end);
      left.current = true;
      end();
    };
  }, []);
  return async ({ meeting, site, profile, line, onPicture, onSecond }) => {
    const open = async (): Promise<Carrier> => {
      const { loop } = await sites.loopBegin(meeting, site);
      return { media: (side, method, data) => sites.loopMedia(meeting, site, loop, { side, method, data }), end: () => loopEnd(meeting, site, loop) };
    };
    try {
      const { LineLoop } = await import("../../media/line_loop.ts");
      const loop = new LineLoop({ profile: loopProfile(line, profile), open, onPicture, onSecond });
      stop.current = () => loop.stop();
      if (left.current) loop.stop();
      return { round: await loop.run(), why: null };
    } catch (why) {
      return { round: null, why };
    }
  };
}

/** The picture as others would get it, while it is tried. */
export function Returned({ track }: { track: MediaStreamTrack | null }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (video.current) video.current.srcObject = track === null ? null : new MediaStream([track]);
  }, [track]);
  if (track === null) return null;
  return <video ref={video} class="hall-camera" autoplay muted playsInline aria-label={t("hall.loop.returned")} data-testid="loop-picture" />;
}

export function LoopFigures({ tried }: { tried: Tried }) {
  const { round, why } = tried;
  if (round === null) {
    return (
      <Note kind="warn" testid="loop-untried">
        {t("hall.loop.untried")} {errorText(why).text}
      </Note>
    );
  }
  const loss = round.loss_permille === null ? null : number(round.loss_permille / 10);
  return (
    <>
      {loss !== null && (
        <p data-testid="loop-figures" data-loss={String(round.loss_permille)} data-packets={String(round.packets)} data-frames={String(round.frames)} data-up={String(round.up_kbps)} data-down={String(round.down_kbps)}>
          {t("hall.loop.figures", { s: SEND_S, loss, up: number(round.up_kbps), down: number(round.down_kbps) })}
        </p>
      )}
      <ul class="list">
        <Mark good={round.sound} testid="loop-sound">
          {t(round.sound ? "hall.loop.sound" : loss === null ? "hall.loop.no-sound" : "hall.loop.quiet")}
        </Mark>
        <Mark good={round.picture} testid="loop-seen">
          {t(round.picture ? "hall.loop.picture" : round.camera ? "hall.loop.no-picture" : "hall.loop.no-camera")}
        </Mark>
      </ul>
      <Lossy permille={round.loss_permille} />
    </>
  );
}

function Mark({ good, children, testid }: { good: boolean; children: string; testid: string }) {
  return (
    <li data-testid={testid} data-good={String(good)}>
      <span aria-hidden="true">{good ? "✓" : "✕"}</span> {children}
    </li>
  );
}

function Lossy({ permille }: { permille: number | null }) {
  if (permille === null || permille < LOSSY_PERMILLE) return null;
  return (
    <Note kind="warn" testid="loop-lossy">
      {t(permille > LOSS_MAX_PERMILLE ? "hall.loop.too-lossy" : "hall.loop.lossy", { n: number(permille / 10) })}
    </Note>
  );
}
