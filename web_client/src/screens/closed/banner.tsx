/** On every page of who is inside: that the session is closed, since when, and who else is inside. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Meeting } from "../../api/types.ts";
import type { ClosedSession } from "../../api/types_closed.ts";
import { clock, t, tn } from "../../i18n/index.ts";
import { myHallOutside } from "../../state/closed.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { leadsNow } from "../../state/meeting.ts";
import { places } from "../../state/sites.ts";
import { alarm, announce } from "../../ui/announce.ts";
import { Button, Dialog, LinkButton } from "../../ui/parts.tsx";
import { wide } from "../../ui/wide.ts";
import { Lock } from "./lock.tsx";

/** The session of which this page has spoken; its screens follow one another without saying it again. */
let told = "";

export function ClosedBanner({ live, meeting, session }: { live: LiveMeeting; meeting: Meeting; session: ClosedSession }) {
  const open = useSignal(false);
  const hall = myHallOutside(meeting);
  useEffect(() => {
    const now = `${live.id} ${session.since}`;
    if (told !== now) alarm(t("closed.began"));
    told = now;
    return () => {
      if (live.meeting.peek()?.closed_session === null) announce(t("closed.ended"));
    };
  }, [session.since]);
  return (
    <section class="closed-banner" data-testid="closed-banner" aria-label={t("closed.since", { time: clock(session.since, meeting.time_zone) })}>
      <Lock />
      <div>
        <p class="strong">{t("closed.since", { time: clock(session.since, meeting.time_zone) })}</p>
        {hall !== "" && <p class="small strong">{t(wide.value ? "closed.hall-out" : "closed.hall-out-short", { name: hall })}</p>}
        {(wide.value || hall === "") && <p class="small">{wide.value ? t("closed.inside", { who: insideWords(meeting, session) }) : insideCount(meeting, session)}</p>}
      </div>
      <Button kind="quiet" testid="closed-details" onClick={() => (open.value = true)}>
        {t("closed.details")}
      </Button>
      <Details open={open.value} onClose={() => (open.value = false)} meeting={meeting} session={session} />
    </section>
  );
}

/** What the chair has admitted, by name. */
function admitted(meeting: Meeting, session: ClosedSession): string[] {
  const halls = places(meeting).filter((one) => session.sites.includes(one.site));
  const visitors = (meeting.visitors ?? []).filter((one) => session.visitors.includes(one.visitor));
  return [...halls.map((one) => (one.kind === "main" ? t("closed.main") : one.name)), ...visitors.map((one) => one.name)];
}

const insideWords = (meeting: Meeting, session: ClosedSession): string => [t("closed.members"), ...admitted(meeting, session)].join(", ");

/** For a phone, where the names would take the room of what they are about; they stand under the button. */
function insideCount(meeting: Meeting, session: ClosedSession): string {
  const count = admitted(meeting, session).length;
  return count === 0 ? t("closed.inside", { who: t("closed.members") }) : tn("closed.inside-more", count);
}

function Details(props: { open: boolean; onClose: () => void; meeting: Meeting; session: ClosedSession }) {
  const { meeting, session } = props;
  const hall = myHallOutside(meeting);
  return (
    <Dialog open={props.open} testid="closed-what" onCancel={props.onClose}>
      {(titleId) => (
        <div class="stack">
          <h2 id={titleId}>{t("closed.since", { time: clock(session.since, meeting.time_zone) })}</h2>
          <p>{t("closed.text")}</p>
          <p>{t("closed.inside", { who: insideWords(meeting, session) })}</p>
          {hall !== "" && <p class="strong">{t("closed.hall-out", { name: hall })}</p>}
          <p class="pre" data-testid="closed-why">
            {t("closed.reason-is", { reason: session.reason })}
          </p>
          <div class="actions">
            {leadsNow(meeting) && (
              <LinkButton href={`/meetings/${meeting.id}/room/chair`} testid="closed-manage">
                {t("closed.manage")}
              </LinkButton>
            )}
            <Button testid="closed-what-close" onClick={props.onClose}>
              {t("go.back")}
            </Button>
          </div>
        </div>
      )}
    </Dialog>
  );
}
