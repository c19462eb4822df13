/** The bar at the bottom: microphone, camera, hand, share, sound only, leave. Words under every picture. */
import { useEffect } from "preact/hooks";
import { api } from "../../api/fetch.ts";
import type { Meeting } from "../../api/types.ts";
import { t } from "../../i18n/index.ts";
import { navigate } from "../../router.ts";
import type { LiveMeeting } from "../../state/live.ts";
import type { RoomControl, Sending } from "../../state/room.ts";
import { asksAsVisitor, speaksNow, visits } from "../../state/visitors.ts";
import { type Action, useAction } from "../../ui/action.ts";
import { Problem } from "../../ui/parts.tsx";

const ICONS = {
  mic: "M12 3a3 3 0 0 1 3 3v6a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3M6 11h2v1a4 4 0 0 0 8 0v-1h2v1a6 6 0 0 1-5 5.9V21h-2v-3.1A6 6 0 0 1 6 12z",
  cam: "M4 6h11v4l5-3v10l-5-3v4H4z",
  hand: "M8 11V5a1.5 1.5 0 0 1 3 0v5V4a1.5 1.5 0 0 1 3 0v6V6a1.5 1.5 0 0 1 3 0v9a6 6 0 0 1-6 6c-3 0-4-1-6-4l-2-4a1.4 1.4 0 0 1 2.4-1.3z",
  share: "M3 5h18v12h-7v2h3v2H7v-2h3v-2H3zm9 2-4 4h3v4h2v-4h3z",
  sound: "M4 9h4l5-4v14l-5-4H4zm11 0a4 4 0 0 1 0 6zm0-3a7 7 0 0 1 0 12z",
  leave: "M5 4h9v4h-2V6H7v12h5v-2h2v4H5zm11 4 5 4-5 4v-3h-5v-2h5z",
} as const;

interface BarButtonProps {
  icon: keyof typeof ICONS;
  word: string;
  testid: string;
  pressed?: boolean;
  tone?: "on" | "off" | "alert";
  busy?: boolean;
  disabled?: boolean;
  onClick: () => void;
}

function BarButton(props: BarButtonProps) {
  return (
    <button
      type="button"
      class={`bar-button bar-${props.tone ?? "plain"}`}
      data-testid={props.testid}
      aria-pressed={props.pressed}
      aria-busy={props.busy ?? false}
      disabled={props.disabled}
      onClick={() => {
        if (!props.busy) props.onClick();
      }}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <path d={ICONS[props.icon]} fill="currentColor" />
        {props.tone === "off" && <path d="M4 4l16 16" stroke="currentColor" stroke-width="2.5" />}
      </svg>
      <span>{props.word}</span>
    </button>
  );
}

const isOn = (sending: Sending | undefined): boolean => sending === "on" || sending === "starting";

/** Without the floor a visitor sends nothing; whether they have it is in the snapshot. */
function useVisitorsFloor(live: LiveMeeting, media: RoomControl | null, visitor: boolean, silent: boolean): void {
  useEffect(() => {
    if (!visitor) return;
    return live.onEvent((event) => {
      if (event.type === "FloorGranted" || event.type === "FloorWithdrawn" || event.type === "HandLowered") live.reload();
    });
  }, [live, visitor]);
  useEffect(() => {
    if (!silent || !media) return;
    for (const source of ["microphone", "camera", "screen"] as const) if (isOn(media[source].peek())) void media.toggle(source);
  }, [silent, media]);
}

export function Bar({ live, meeting, media }: { live: LiveMeeting; meeting: Meeting; media: RoomControl | null }) {
  const acting = useAction();
  const me = meeting.present.find((person) => person.member === meeting.me.member);
  // The server hears a visitor with the floor only; that is no mute which they could lift.
  const visitor = visits(meeting);
  const silent = visitor && !speaksNow(meeting);
  const muted = !visitor && (media?.mutedByChair.value || me?.muted || false);
  const hand = (me?.hand ?? null) !== null || asksAsVisitor(meeting);
  useVisitorsFloor(live, media, visitor, silent);
  const mic = isOn(media?.microphone.value) && !muted;
  const withoutPictures = !media || media.audioOnly.value || silent;
  const soundOnly = media !== null && media.audioOnly.value && !media.textOnly.value;
  const raise = (): void =>
    void acting.run(async () => {
      await api.command(meeting.id, { command: hand ? "lower-hand" : "raise-hand" });
      live.reload();
    });
  return (
    <div class="bar-wrap">
      <Problem error={acting.error.value} />
      {muted && (
        <p class="bar-note" role="status">
          {t("bar.muted-by-chair")}
        </p>
      )}
      <div class="bar" role="toolbar" aria-label={t("bar.label")}>
        <MicButton meeting={meeting} media={media} on={mic} muted={muted} acting={acting} silent={silent} />
        <BarButton
          icon="cam"
          testid="cam-toggle"
          word={t(isOn(media?.camera.value) ? "bar.cam-on" : "bar.cam-off")}
          tone={isOn(media?.camera.value) ? "on" : "off"}
          pressed={isOn(media?.camera.value)}
          busy={media?.camera.value === "starting"}
          disabled={withoutPictures}
          onClick={() => void media?.toggle("camera")}
        />
        <BarButton icon="hand" testid="hand-toggle" word={t(hand ? "bar.hand-up" : "bar.hand")} tone={hand ? "alert" : "on"} pressed={hand} busy={acting.busy.value} onClick={raise} />
        <BarButton
          icon="share"
          testid="share-toggle"
          word={t(isOn(media?.screen.value) ? "bar.share-on" : "bar.share")}
          tone={isOn(media?.screen.value) ? "alert" : "on"}
          pressed={isOn(media?.screen.value)}
          busy={media?.screen.value === "starting"}
          disabled={withoutPictures}
          onClick={() => void media?.toggle("screen")}
        />
        <BarButton
          icon="sound"
          testid="audio-only-toggle"
          word={t("bar.audio-only")}
          tone={soundOnly ? "alert" : "on"}
          pressed={soundOnly}
          disabled={!media}
          onClick={() => void media?.setAudioOnly(!soundOnly)}
        />
        <BarButton icon="leave" testid="leave-button" word={t("bar.leave")} onClick={() => navigate(`/meetings/${meeting.id}`)} />
      </div>
    </div>
  );
}

/** Also shown beside the booth, where the bar itself is covered. */
export function MicButton({ meeting, media, on, muted, acting, silent = false }: { meeting: Meeting; media: RoomControl | null; on: boolean; muted: boolean; acting: Action; silent?: boolean }) {
  // The chair's mute is a wish of the moment: whoever is muted may speak again by pressing the button.
  const unmute = (): void =>
    void acting.run(async () => {
      await api.command(meeting.id, { command: "unmute", member: meeting.me.member });
      if (media?.microphone.peek() !== "on") await media?.send("microphone");
    });
  return (
    <BarButton
      icon="mic"
      testid="mic-toggle"
      word={t(on ? "bar.mic-on" : muted ? "bar.unmute" : "bar.mic-off")}
      tone={on ? "on" : "off"}
      pressed={on}
      busy={media?.microphone.value === "starting" || (muted && acting.busy.value)}
      disabled={!media || media.textOnly.value || silent}
      onClick={() => (muted ? unmute() : void media?.toggle("microphone"))}
    />
  );
}
