/** What happened in the meeting, the newest first. */
import type { Meeting, MeetingEvent } from "../../api/types.ts";
import { clock, lookup, t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { Fold } from "../../ui/parts.tsx";
import { titleOf } from "./console.ts";

const LOG_SHOWN = 40;

export function Log({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  return (
    <Fold class="card" testid="log" summary={t("log.title")}>
      {() => (
        <ol class="list">
          {live.log.value
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
  const name = said("name") || meeting.present.find((person) => person.member === member)?.name || member;
  const title = titleOf(meeting, said("election") || said("item"));
  const own = Object.fromEntries(Object.keys(body).map((key) => [key, said(key)]));
  const params = { ...own, name, title };
  return lookup(`event.${event.type}`, params) ?? event.type;
}
