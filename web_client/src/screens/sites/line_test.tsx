/** The custodian's test of a hall before the meeting: line, microphone, loudspeakers, camera. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { sites } from "../../api/sites.ts";
import type { Meeting } from "../../api/types.ts";
import type { Site } from "../../api/types_sites.ts";
import { t } from "../../i18n/index.ts";
import { HeldDevice } from "../../media/held_device.ts";
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

/** A device of this part of the page, given back when the page is left. */
function useDevice(source: "microphone" | "camera"): HeldDevice {
  const device = useRef<HeldDevice | null>(null);
  device.current ??= new HeldDevice(source);
  useEffect(() => () => device.current?.close(), []);
  return device.current;
}

/** Listens until somebody has been heard, here or by the loop. */
function Microphone({ heard, onHeard }: { heard: boolean; onHeard: () => void }) {
  const acting = useAction();
  const level = useSignal(0);
  const device = useDevice("microphone");
  const hush = useRef<() => void>(() => undefined);
  const stop = (): void => {
    hush.current();
    device.close();
  };
  useEffect(() => stop, []);
  useEffect(() => {
    if (heard) stop();
  }, [heard]);
  const listen = async (): Promise<void> => {
    stop();
    const track = await device.open();
    if (track === null) return;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      level.value = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
      if (level.value <= HEARD) return;
      onHeard();
      stop();
    }, 100);
    hush.current = () => {
      clearInterval(timer);
      level.value = 0;
      void context.close().catch(() => undefined);
      hush.current = () => undefined;
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
  const device = useDevice("camera");
  const toggle = async (): Promise<void> => {
    const open = track.peek() === null;
    device.close();
    track.value = open ? await device.open() : null;
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
