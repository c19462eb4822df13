/** Gives a screen its meeting: enters it, shows progress, problems and the way on. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { Meeting } from "../api/types.ts";
import { t } from "../i18n/index.ts";
import { current, enterMeeting, leaveMeeting, type LiveMeeting } from "../state/live.ts";
import { route } from "../router.ts";
import { loadSession, session } from "../state/session.ts";
import { Button, Loading, Problem, Title } from "../ui/parts.tsx";

const OF_ONE_MEETING = new Set(["meeting", "prepare", "checkIn", "room", "teller", "audit", "minutes", "motions", "agenda", "notice", "projector", "sites", "hall", "attendance"]);

export function WithMeeting(props: { id: string; children: (live: LiveMeeting, meeting: Meeting) => ComponentChildren }) {
  useEffect(() => {
    enterMeeting(props.id);
    return () => {
      // Between two screens of one meeting the connection stays, but never for another member.
      queueMicrotask(() => {
        const { name, id } = route.peek();
        if (!OF_ONE_MEETING.has(name) || id !== props.id || !session.peek()) leaveMeeting();
      });
    };
  }, [props.id]);
  const live = current.value;
  // Somebody else has signed in on another tab of this browser: the page becomes theirs, with their keys.
  const foreign = live?.id === props.id && live.meeting.value !== null && live.meeting.value.me.member !== session.value?.member.id;
  useEffect(() => {
    if (foreign) void loadSession();
  }, [foreign]);
  if (!live || live.id !== props.id) return <Loading />;
  const meeting = live.meeting.value;
  if (foreign) return <Loading what={t("meeting.loading")} />;
  if (meeting) return <>{props.children(live, meeting)}</>;
  if (live.error.value === null) return <Loading what={t("meeting.loading")} />;
  return (
    <div class="stack">
      <Title>{t("meeting.unavailable")}</Title>
      <Problem error={live.error.value} />
      <div class="actions">
        <Button kind="main" onClick={() => void live.open()}>
          {t("try-again")}
        </Button>
        <a href="/">{t("nav.home")}</a>
      </div>
    </div>
  );
}
