/** What happened in the meeting, the newest first. */
import type { Meeting, MeetingEvent } from "../../api/types.ts";
import { clock, lookup, t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { siteOf } from "../../state/sites.ts";
import { Fold } from "../../ui/parts.tsx";
import { titleOf } from "./console.ts";

const LOG_SHOWN = 40;

export function Log({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  return (
    <Fold class="card" testid="log" summary={t("log.title")}>
      {() => (
        <ol class="list">
          {live.log.value
            .filter((event) => event.type !== "EventWithheld")
            .slice(-LOG_SHOWN)
            .reverse()
            .map((event) => (
              <li key={event.seq} class="small">
                <span class="mono muted">{clock(event.at, meeting.time_zone)}</span> {logText(event, meeting)}
              </li>
            ))}
        </ol>
      )}
    </Fold>
  );
}

/** One event in words; ids become names where we know them. */
function logText(event: MeetingEvent, meeting: Meeting): string {
  const body = event.body as Record<string, unknown>;
  const said = (key: string): string => (typeof body[key] === "string" || typeof body[key] === "number" ? String(body[key]) : "");
  const member = said("member");
  const name = said("name") || meeting.present.find((person) => person.member === member)?.name || placeOrVisitor(meeting, said("site"), said("visitor")) || member;
  const title = said("title") || titleOf(meeting, said("election") || said("item"));
  const motion = meeting.motions.find((one) => one.motion === said("motion"));
  const own = Object.fromEntries(Object.keys(body).map((key) => [key, said(key)]));
  const params = { ...own, name, title, motion: motion ? `${motion.number} ${motion.title}`.trim() : "" };
  const not = event.type === "ClosedSessionAdmitted" && !event.body.admitted ? "-not" : "";
  return lookup(`event.${event.type}${not}`, params) ?? event.type;
}

/** Whom a site's or visitor's id stands for, as far as we know it. */
function placeOrVisitor(meeting: Meeting, site: string, visitor: string): string {
  if (site === "main") return t("closed.main-title");
  return siteOf(meeting, site)?.name ?? meeting.visitors?.find((one) => one.visitor === visitor)?.name ?? site;
}
