/** Check-in: says what is signed, one button, microphone and camera as the member likes. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { Meeting, RollEntry } from "../api/types.ts";
import { codeOf, t } from "../i18n/index.ts";
import { TEXT_ONLY } from "../media/profiles.ts";
import { expected, navigate } from "../router.ts";
import { checkIn, checkedInHere } from "../state/check_in.ts";
import { REMOTE } from "../api/types_sites.ts";
import { forgetMediaChoice, keepMediaChoice, mediaChoice } from "../state/drafts.ts";
import { ceiling } from "../state/link.ts";
import type { LiveMeeting } from "../state/live.ts";
import { isEnded, roomOpen } from "../state/meeting.ts";
import { useAction } from "../ui/action.ts";
import { Arrow, Button, Card, Check, ConfirmButton, LinkButton, Loading, Note, Problem, Title } from "../ui/parts.tsx";
import { LinkChoice } from "./room/link_switch.tsx";
import { MyPasskeys } from "./prepare.tsx";
import { HallCode, hallChoice, inHall, whereOf } from "./sites/hall_code.tsx";
import { WithMeeting } from "./with_meeting.tsx";

export function CheckIn({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(live, meeting) => (
        <div class="stack">
          <p>
            <a href={`/meetings/${id}`}><Arrow>←</Arrow> {meeting.title}</a>
          </p>
          <Title>{t("check-in.title")}</Title>
          <Body live={live} meeting={meeting} />
        </div>
      )}
    </WithMeeting>
  );
}

/** Who presses at once is not kept waiting for the room's scripts, which would take all connections of HTTP/1.1. */
const READING_MS = 1_000;

const bringRoom = (): void => void (expected.value = "room");

/** The room's media come while the server checks: over a thin link they would keep the member waiting afterwards. */
function bringMedia(): void {
  if (ceiling.peek() !== TEXT_ONLY) void import("../media/room_media.ts").catch(() => undefined);
}

function Body({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const checking = useAction();
  const mine = useSignal<RollEntry | null>(null);
  const has = useSignal({ microphone: true, camera: true });
  // Another device's check-in lets nobody vote here; null until it is known.
  const here = useSignal<boolean | null>(null);
  useEffect(() => {
    void checkedInHere(meeting.id).then((found) => (here.value = found));
    if (meeting.roll.frozen) api.roll(meeting.id).then((roll) => (mine.value = roll.mine), () => undefined);
    void devices().then((found) => (has.value = found));
    const reading = setTimeout(bringRoom, READING_MS);
    return () => clearTimeout(reading);
  }, []);
  const enter = async (acceptNewKey = false): Promise<void> => {
    const checked = checkIn(meeting.id, acceptNewKey, meeting.sites.some((one) => one.kind === "hall") ? whereOf(hallChoice.peek()) : null, bringRoom);
    if (!inHall(hallChoice.peek().site)) bringMedia(); // a phone in a hall begins without
    const arrival = await checked;
    if (inHall(hallChoice.peek().site)) forgetMediaChoice();
    // In a hall the snapshot says more than we know.
    if (arrival.site === REMOTE) live.arrived(arrival.seq, arrival.credential);
    else await live.refresh();
    navigate(`/meetings/${meeting.id}/room`, true);
  };
  const newKey = checking.error.value !== null && codeOf(checking.error.value) === "voting.server-key-changed";
  if (meeting.me.checked_in && here.value === null) return <Loading />;
  if (meeting.me.checked_in && (here.value || meeting.state === "closed")) {
    return (
      <div class="stack" data-testid="check-in-done">
        <Note kind="good">{t("check-in.done")}</Note>
        <MediaChoice has={has.value} />
        <LinkChoice />
        <div class="actions">
          <LinkButton kind="main" testid="go-room" href={`/meetings/${meeting.id}/room`}>
            {t("room.enter")}
          </LinkButton>
        </div>
      </div>
    );
  }
  if (!roomOpen(meeting)) {
    return (
      <div class="stack">
        <Note kind="warn">{isEnded(meeting) ? t("check-in.over") : t("check-in.not-yet")}</Note>
        <LinkButton href={`/meetings/${meeting.id}`}>{t("go.back")}</LinkButton>
      </div>
    );
  }
  return (
    <div class="stack">
      {meeting.me.checked_in && <Note testid="check-in-elsewhere">{t("check-in.elsewhere")}</Note>}
      <Card title={t("check-in.what.title")}>
        <p>{t("check-in.what.text", { meeting: meeting.title })}</p>
        <details>
          <summary>{t("check-in.what.more")}</summary>
          <div class="stack-tight">
            <p>{t("check-in.what.credential")}</p>
            {mine.value && <MyPasskeys entry={mine.value} />}
            <p>{t("roll.hash")}:</p>
            <code class="code-block">{meeting.roll.hash}</code>
          </div>
        </details>
      </Card>
      <HallCode meeting={meeting} />
      {inHall(hallChoice.value.site) ? <Note testid="check-in-companion">{t("check-in.companion")}</Note> : <MediaChoice has={has.value} />}
      <LinkChoice />
      {newKey ? (
        <div class="stack-tight" data-testid="server-key-changed">
          <Note kind="warn">{t("check-in.new-key")}</Note>
          <ConfirmButton kind="danger" danger testid="accept-new-key" busy={checking.busy.value} title={t("check-in.new-key.title")} text={t("check-in.new-key.text")} yes={t("check-in.new-key.yes")} onClick={() => void checking.run(() => enter(true))}>
            {t("check-in.new-key.yes")}
          </ConfirmButton>
        </div>
      ) : (
        <Problem error={checking.error.value} />
      )}
      <div class="actions actions-bottom">
        <Button kind="main" testid="check-in-button" busy={checking.busy.value} onClick={() => void checking.run(() => enter())}>
          {t("check-in.button")}
        </Button>
        {meeting.me.checked_in && (
          <LinkButton testid="go-room" href={`/meetings/${meeting.id}/room`}>
            {t("check-in.elsewhere.room")}
          </LinkButton>
        )}
      </div>
    </div>
  );
}

async function devices(): Promise<{ microphone: boolean; camera: boolean }> {
  try {
    const found = await navigator.mediaDevices.enumerateDevices();
    return {
      microphone: found.some((device) => device.kind === "audioinput"),
      camera: found.some((device) => device.kind === "videoinput"),
    };
  } catch {
    return { microphone: false, camera: false }; // an insecure address or a blocked browser: join to listen
  }
}

function MediaChoice({ has }: { has: { microphone: boolean; camera: boolean } }) {
  useEffect(keepMediaChoice, []);
  const choice = mediaChoice.value;
  return (
    <fieldset class="card">
      <legend class="visually-hidden">{t("check-in.media")}</legend>
      <h2>{t("check-in.media")}</h2>
      {has.microphone ? (
        <Check testid="check-in-mic" label={t("check-in.mic")} hint={t("check-in.mic-hint")} checked={choice.microphone} onChange={(microphone) => (mediaChoice.value = { ...choice, microphone })} />
      ) : (
        <p>{t("check-in.no-mic")}</p>
      )}
      {has.camera ? (
        <Check testid="check-in-camera" label={t("check-in.camera")} hint={t("check-in.camera-hint")} checked={choice.camera} onChange={(camera) => (mediaChoice.value = { ...choice, camera })} />
      ) : (
        <p>{t("check-in.no-camera")}</p>
      )}
    </fieldset>
  );
}
