/** For the chair: whose link is in trouble, what they still get, and since when. */
import type { Meeting } from "../../api/types.ts";
import { clock, say, t, tn } from "../../i18n/index.ts";
import { sendingWords, wordsOf } from "../../state/ladder.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { type RoomControl, room } from "../../state/room.ts";
import { seatName } from "../../state/sites.ts";
import { Card } from "../../ui/parts.tsx";

/** Without `media` it is the room that this page is in. */
export function Trouble({ meeting, media = room.value }: { live: LiveMeeting; meeting: Meeting; media?: RoomControl | null }) {
  const troubled = media?.troubled.value ?? [];
  const more = media?.moreTroubled.value ?? 0;
  return (
    <Card title={t("ladder.trouble.title")} testid="trouble" data={{ "data-count": String(troubled.length + more) }}>
      {troubled.length === 0 && <p class="muted">{t("ladder.trouble.none")}</p>}
      <ul class="list">
        {troubled.map(({ owner, level, byChoice, receives, sendsBadly, since }) => (
          <li key={owner} class="stack-tight" data-testid="in-trouble" data-member={owner} data-step={level}>
            <span class="strong">{seatName(meeting, owner) || t("ladder.trouble.unknown")}</span>
            {sendsBadly !== null && <span data-testid="sends-badly">{say(sendingWords("their", sendsBadly))}</span>}
            {!receives && <span>{say(wordsOf(level, byChoice).replace("ladder.", "ladder.their."))}</span>}
            <span class="muted small">{t("ladder.trouble.since", { time: clock(since, meeting.time_zone) })}</span>
          </li>
        ))}
      </ul>
      {more > 0 && <p>{tn("ladder.trouble.more", more)}</p>}
    </Card>
  );
}
