/** The link in words, and what to do about it. */
import { signal, useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { say, t } from "../../i18n/index.ts";
import { PICTURES } from "../../media/profiles.ts";
import { HEAVY_LOSS, sendingWords, wordsOf } from "../../state/ladder.ts";
import type { RoomControl } from "../../state/room.ts";
import { Button } from "../../ui/parts.tsx";
import { LinkSwitch } from "./link_switch.tsx";
import { SupportReport } from "./support_report.tsx";
import "./link_card.css";

/** What others do not get of what this seat sends, and what can be done about it. */
function SendingWords({ media }: { media: RoomControl }) {
  const sends = media.sendsBadly.value;
  if (sends === null) return null;
  const pictures = sends.source !== "microphone" || media.camera.value === "on" || media.screen.value === "on";
  return (
    <>
      <p class="strong" data-testid="sending-words">{say(sendingWords("others", sends.source))}</p>
      <p class="muted small">
        {sends.loss >= HEAVY_LOSS ? t("ladder.sending.lost", { percent: Math.round(sends.loss * 100) }) : t("ladder.sending.late", { ms: sends.lateMs })}
      </p>
      <p>{t(pictures ? "ladder.do.stop-camera" : "ladder.do.sending")}</p>
    </>
  );
}

/** What the link carries now, in a sentence, and what the member can do. */
export function LinkWords({ media }: { media: RoomControl }) {
  const standing = media.standing.value;
  if (media.barred.value) return <p data-testid="link-words">{t("room.barred")}</p>;
  const away = media.level.value === "lost";
  const reached = media.reached.value;
  const byChoice = media.textOnly.value || (standing?.byChoice ?? true);
  const estimate = standing?.estimate ?? null;
  const lossy = (standing?.loss ?? 0) >= HEAVY_LOSS;
  return (
    <div class="stack-tight" data-testid="link-words" data-step={reached} data-reason={byChoice ? "choice" : "link"}>
      {!away && <SendingWords media={media} />}
      <p class="strong">{away ? t("ladder.away") : media.sendsBadly.value !== null && reached === 4 ? t("ladder.all-comes") : say(wordsOf(reached, byChoice))}</p>
      {!away && lossy && <p>{t("ladder.lossy", { percent: Math.round((standing?.loss ?? 0) * 100) })}</p>}
      {!away && estimate !== null && <p class="muted small">{t("ladder.estimate", { kbit: estimate })}</p>}
      {(away || !byChoice || lossy) && <p>{t(away ? "ladder.do.away" : reached < PICTURES || lossy ? "ladder.do.weak" : "ladder.do.fair")}</p>}
    </div>
  );
}

const shown = signal(false);

/** The meter in the room's head: one word; a tap shows the words and the switch. */
export function LinkMeter({ media }: { media: RoomControl | null }) {
  const level = media?.level.value ?? "good";
  const step = media?.reached.value ?? 4;
  const word = level !== "lost" && step < 4 ? say(`ladder.short.${step}`) : t(`link.${level}`);
  return (
    <button type="button" class={`link-meter ${level === "good" ? "fact-plain" : "fact-warn"}`} data-testid="link-meter" data-level={level} data-step={step} aria-haspopup="dialog" onClick={() => (shown.value = true)}>
      {word}
    </button>
  );
}

/** Words and switch in a dialog, once the meter or the notice was tapped. */
export function LinkCard({ media }: { media: RoomControl }) {
  return shown.value ? <LinkDialog media={media} onClose={() => (shown.value = false)} /> : null;
}

function LinkDialog({ media, onClose }: { media: RoomControl; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog" data-testid="link-card" aria-labelledby={id} onClose={onClose}>
      <div class="stack">
        <h2 id={id}>{t("ladder.title")}</h2>
        <div aria-live="polite">
          <LinkWords media={media} />
        </div>
        <LinkSwitch onStep={(step) => void media.setStep(step)} />
        <SupportReport media={media} />
        <div class="actions">
          <Button kind="main" testid="link-close" onClick={() => dialog.current?.close()}>
            {t("ladder.close")}
          </Button>
        </div>
      </div>
    </dialog>
  );
}

/** Below the pictures, only while the link is in trouble: one sentence, and the way to what can be done. */
export function LinkNotice({ media }: { media: RoomControl }) {
  const dismissed = useSignal("");
  const standing = media.standing.value;
  const sends = media.sendsBadly.value;
  const reached = media.reached.value;
  const trouble = standing?.trouble === true;
  const about = `${trouble ? reached : ""} ${sends?.source ?? ""}`;
  if ((!trouble && sends === null) || media.level.value === "lost" || media.textOnly.value || dismissed.value === about) return null;
  const weak = reached < PICTURES && standing?.byChoice === false;
  return (
    <div class="note note-warn link-notice" role="status" data-testid="link-notice">
      <div class="grow stack-tight">
        {sends !== null && <p data-testid="link-notice-sending">{say(sendingWords("others", sends.source))}</p>}
        {trouble && <p>{weak ? say(wordsOf(reached, false)) : t("ladder.lossy", { percent: Math.round(standing.loss * 100) })}</p>}
      </div>
      <Button testid="link-notice-open" onClick={() => (shown.value = true)}>
        {t("ladder.what-to-do")}
      </Button>
      <Button kind="quiet" testid="link-notice-close" onClick={() => (dismissed.value = about)}>
        {t("ladder.close")}
      </Button>
    </div>
  );
}
