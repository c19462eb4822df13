/** Gives a screen its meeting: enters it, shows progress, problems and the way on. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { Meeting } from "../api/types.ts";
import type { ClosedSession, OutsideMeeting } from "../api/types_closed.ts";
import { t } from "../i18n/index.ts";
import { hallOutside, siteIsOut } from "../state/closed.ts";
import { current, enterMeeting, leaveMeeting, type LiveMeeting } from "../state/live.ts";
import { route } from "../router.ts";
import { loadSession, session } from "../state/session.ts";
import { lazy } from "../ui/lazy.tsx";
import { Button, Loading, Problem, Title } from "../ui/parts.tsx";

const OF_ONE_MEETING = new Set(["meeting", "prepare", "checkIn", "room", "teller", "audit", "minutes", "motions", "agenda", "notice", "projector", "sites", "hall", "attendance"]);

/** Has words of its own for a closed session. */
const ON_A_WALL = new Set(["projector"]);

const OutsidePage = lazy<{ live: LiveMeeting; outside: OutsideMeeting }>(async () => (await import("./closed/outside.tsx")).OutsidePage, ["closed"]);
const ClosedBanner = lazy<{ live: LiveMeeting; meeting: Meeting; session: ClosedSession }>(async () => (await import("./closed/banner.tsx")).ClosedBanner, ["closed"]);

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
  const held = live?.id === props.id ? (live.meeting.value ?? live.outside.value) : null;
  const foreign = held !== null && held.me.member !== session.value?.member.id;
  useEffect(() => {
    if (foreign) void loadSession();
  }, [foreign]);
  if (!live || live.id !== props.id) return <Loading />;
  const meeting = live.meeting.value;
  if (foreign) return <Loading what={t("meeting.loading")} />;
  // The page of a hall shows nothing of the meeting, and what to do.
  const outside = live.outside.value ?? (meeting && route.value.name !== "hall" ? hallOutside(meeting, live.hall) : null);
  if (outside) return <OutsidePage live={live} outside={outside} />;
  if (meeting) {
    const closed = meeting.closed_session ?? null;
    const { name, panel } = route.value;
    // Whoever stands before the page of a hall that is outside must not read who is inside.
    const silent = ON_A_WALL.has(name) || (name === "hall" && siteIsOut(meeting, panel));
    return (
      <>
        {closed && !silent && <ClosedBanner live={live} meeting={meeting} session={closed} />}
        {props.children(live, meeting)}
      </>
    );
  }
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
