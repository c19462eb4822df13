/** The bar at the bottom: microphone, camera, hand, share, sound only, leave. Words under every picture. */
import { useEffect } from "preact/hooks";
import { api } from "../../api/fetch.ts";
import type { Meeting } from "../../api/types.ts";
import { t } from "../../i18n/index.ts";
import { navigate } from "../../router.ts";
import type { LiveMeeting } from "../../state/live.ts";
import type { RoomControl, Sending } from "../../state/room.ts";
import { asksAsVisitor, speaksNow, visits } from "../../state/visitors.ts";
import { useAction } from "../../ui/action.ts";
import { Problem } from "../../ui/parts.tsx";
import { BarButton } from "./bar_button.tsx";
import { MicButton } from "./mic_button.tsx";
import { inHall, isMuted } from "./muted.ts";

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
    for (const source of ["microphone", "camera", "screen"] as const) if (isOn(media[source].peek())) void media.stop(source);
  }, [silent, media]);
}

export function Bar({ live, meeting, media }: { live: LiveMeeting; meeting: Meeting; media: RoomControl | null }) {
  const acting = useAction();
  const me = meeting.present.find((person) => person.member === meeting.me.member);
  const visitor = visits(meeting);
  const silent = visitor && !speaksNow(meeting);
  const own = live.hall !== "";
  const muted = isMuted(meeting, own, media?.mutedByChair.value === true);
  const unheard = inHall(meeting, own) && !muted && isOn(media?.microphone.value) && media?.mutedByChair.value === true;
  const hand = (me?.hand ?? null) !== null || asksAsVisitor(meeting);
  useVisitorsFloor(live, media, visitor, silent);
  const mic = isOn(media?.microphone.value) && !muted;
  const withoutPictures = !media || media.audioOnly.value || silent;
  const soundOnly = media !== null && media.audioOnly.value && !media.textOnly.value;
  const raise = (): void =>
    void acting.run(async () => {
      await live.upTo((await api.command(meeting.id, { command: hand ? "lower-hand" : "raise-hand" })).seq);
    });
  return (
    <div class="bar-wrap">
      <Problem error={acting.error.value} />
      {muted && (
        <p class="bar-note" role="status">
          {t("bar.muted-by-chair")}
        </p>
      )}
      {unheard && (
        <p class="bar-note" role="status" data-testid="hall-unheard">
          {t("bar.hall-unheard")}
        </p>
      )}
      <div class="bar" role="toolbar" aria-label={t("bar.label")}>
        <MicButton meeting={meeting} media={media} on={mic} muted={muted} acting={acting} hall={own} silent={silent} />
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
