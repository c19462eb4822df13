/** The custodian's test of a hall before the meeting: line, microphone, loudspeakers, camera. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { sites } from "../../api/sites.ts";
import type { Meeting } from "../../api/types.ts";
import type { Site } from "../../api/types_sites.ts";
import { t } from "../../i18n/index.ts";
import { capture } from "../../media/capture.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { SEND_S } from "../../state/line_loop.ts";
import { CLOCK_MAX_MS, measureLine, type Measured } from "../../state/line_test.ts";
import { useAction } from "../../ui/action.ts";
import { Button, Card, Check, Note, Problem, Progress } from "../../ui/parts.tsx";
import { failedTest, howFarOff, rate, Tested } from "./light.tsx";
import { LoopFigures, Returned, type Tried, useLoop } from "./loop_part.tsx";

const PARTS = 3;
const HEARD = 0.02;
const TONE_HZ = 440;
const TONE_S = 1;
const TONE_GAIN = 0.2;

interface Props {
  live: LiveMeeting;
  meeting: Meeting;
  site: Site;
}

export function LineTestCard({ live, meeting, site }: Props) {
  const measuring = useAction();
  const sending = useAction();
  const step = useSignal(0);
  const measured = useSignal<Measured | null>(null);
  const tried = useSignal<Tried | null>(null);
  const returned = useSignal<MediaStreamTrack | null>(null);
  const loop = useLoop();
  const heard = useSignal(false);
  const audible = useSignal(false);
  const seen = useSignal(false);
  const measure = (): void =>
    void measuring.run(async () => {
      step.value = 0;
      measured.value = tried.value = null;
      const line = (measured.value = await measureLine(meeting.id, site.site, (done) => (step.value = done)));
      tried.value = await loop({
        meeting: meeting.id,
        site: site.site,
        profile: site.profile,
        line,
        onPicture: (track) => (returned.value = track),
        onSecond: (second) => (step.value = PARTS + second),
      });
      returned.value = null;
      if (tried.value.round?.sound === true) heard.value = true;
    });
  const send = async (): Promise<void> => {
    if (measured.value === null || tried.value === null) return;
    const { round } = tried.value;
    // What did not come back is not there, whatever this computer hears and sees of it.
    const [sound, picture] = round === null ? [heard.value, true] : [round.sound, round.picture];
    const loss_permille = round?.loss_permille ?? null;
    await sites.test(meeting.id, site.site, { ...measured.value, loss_permille, sound: sound && audible.value, picture: picture && seen.value });
    await live.refresh();
  };
  return (
    <Card title={t("hall.test")} testid="line-test" data={{ "data-tested": String(site.tested !== null) }}>
      <p>{t("hall.test.text")}</p>
      <p>{t("hall.loop.text")}</p>
      <Tested site={site} zone={meeting.time_zone} />
      {failedTest(site) && <Note kind="warn" testid="line-failed">{t("hall.test.failed")}</Note>}
      <div class="actions">
        <Button testid="line-measure" busy={measuring.busy.value} onClick={measure}>
          {t("hall.test.line")}
        </Button>
      </div>
      {measuring.busy.value && <Progress label={t("hall.test.running")} value={step.value} of={PARTS + SEND_S} testid="line-progress" />}
      <Returned track={returned.value} />
      <Problem error={measuring.error.value} />
      {measured.value && <Figures measured={measured.value} />}
      {tried.value && <LoopFigures tried={tried.value} />}
      <Microphone onHeard={() => (heard.value = true)} heard={heard.value} />
      <Loudspeaker audible={audible.value} onAnswer={(yes) => (audible.value = yes)} />
      <Camera seen={seen.value} onAnswer={(yes) => (seen.value = yes)} />
      <Problem error={sending.error.value} />
      <div class="actions">
        <Button kind="main" testid="line-send" disabled={tried.value === null} busy={sending.busy.value} onClick={() => void sending.run(send)}>
          {t("hall.test.send")}
        </Button>
      </div>
      {tried.value === null && <p class="hint">{t("hall.test.first")}</p>}
    </Card>
  );
}

function Figures({ measured }: { measured: Measured }) {
  const off = Math.abs(measured.clock_ms) > CLOCK_MAX_MS;
  return (
    <>
      <p data-testid="line-figures">{t("hall.test.figures", { rtt: measured.rtt_ms, up: rate(measured.up_kbps), down: rate(measured.down_kbps) })}</p>
      {off && (
        <Note kind="warn" testid="line-clock">
          {t("hall.test.clock", { off: howFarOff(measured.clock_ms) })}
        </Note>
      )}
    </>
  );
}

/** Listens until somebody has been heard. */
function Microphone({ heard, onHeard }: { heard: boolean; onHeard: () => void }) {
  const acting = useAction();
  const level = useSignal(0);
  const stop = useRef<() => void>(() => undefined);
  useEffect(() => () => stop.current(), []);
  const listen = async (): Promise<void> => {
    const track = await capture("microphone");
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      level.value = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
      if (level.value > HEARD) {
        onHeard();
        stop.current();
      }
    }, 100);
    stop.current = () => {
      clearInterval(timer);
      track.stop();
      void context.close().catch(() => undefined);
      stop.current = () => undefined;
    };
  };
  return (
    <div class="stack-tight">
      <div class="row-between">
        <span>{t("hall.mic")}</span>
        {heard ? (
          <span class="badge badge-good" data-testid="mic-heard">
            ✓ {t("hall.mic.heard")}
          </span>
        ) : (
          <Button testid="mic-test" busy={acting.busy.value} onClick={() => void acting.run(listen)}>
            {t("hall.mic.test")}
          </Button>
        )}
      </div>
      {!heard && level.value > 0 && <progress aria-label={t("hall.mic.level")} max={HEARD} value={Math.min(level.value, HEARD)} />}
      <Problem error={acting.error.value} />
    </div>
  );
}

function Loudspeaker({ audible, onAnswer }: { audible: boolean; onAnswer: (yes: boolean) => void }) {
  const acting = useAction();
  const play = async (): Promise<void> => {
    const context = new AudioContext();
    const tone = context.createOscillator();
    const gain = context.createGain();
    tone.frequency.value = TONE_HZ;
    gain.gain.value = TONE_GAIN;
    tone.connect(gain).connect(context.destination);
    await context.resume();
    tone.start();
    tone.stop(context.currentTime + TONE_S);
    await new Promise<void>((done) => tone.addEventListener("ended", () => done(), { once: true }));
    await context.close();
  };
  return (
    <div class="stack-tight">
      <div class="row-between">
        <span>{t("hall.tone")}</span>
        <Button testid="tone-play" busy={acting.busy.value} onClick={() => void acting.run(play)}>
          {t("hall.tone.play")}
        </Button>
      </div>
      <Check label={t("hall.tone.heard")} checked={audible} onChange={onAnswer} testid="tone-heard" />
      <Problem error={acting.error.value} />
    </div>
  );
}

function Camera({ seen, onAnswer }: { seen: boolean; onAnswer: (yes: boolean) => void }) {
  const acting = useAction();
  const video = useRef<HTMLVideoElement>(null);
  const track = useSignal<MediaStreamTrack | null>(null);
  useEffect(() => {
    if (video.current && track.value) video.current.srcObject = new MediaStream([track.value]);
  }, [track.value]);
  useEffect(() => () => track.peek()?.stop(), []);
  const toggle = async (): Promise<void> => {
    track.peek()?.stop();
    track.value = track.peek() === null ? await capture("camera") : null;
  };
  return (
    <div class="stack-tight">
      <div class="row-between">
        <span>{t("hall.camera")}</span>
        <Button testid="camera-test" pressed={track.value !== null} busy={acting.busy.value} onClick={() => void acting.run(toggle)}>
          {t("hall.camera.test")}
        </Button>
      </div>
      {track.value && <video ref={video} class="hall-camera" autoplay muted playsInline aria-label={t("hall.camera.own")} data-testid="camera-own" />}
      <Check label={t("hall.camera.seen")} checked={seen} onChange={onAnswer} testid="camera-seen" />
      <Problem error={acting.error.value} />
    </div>
  );
}
