/** What the cards of the chair's console share: the meeting, the way to act on it, its words. */
import { api } from "../../api/fetch.ts";
import type { Command, Meeting } from "../../api/types.ts";
import { clock, lookup, t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import type { Next } from "../../state/next.ts";
import type { Action } from "../../ui/action.ts";

export interface Console {
  live: LiveMeeting;
  meeting: Meeting;
  acting: Action;
}

export async function command(live: LiveMeeting, what: Command): Promise<void> {
  await live.upTo((await api.command(live.id, what)).seq);
}

export const titleOf = (meeting: Meeting, target: string): string =>
  meeting.agenda.find((item) => item.id === target)?.title ?? meeting.elections.find((e) => e.election === target)?.title ?? "";

/** Why the step cannot be taken now, in words, or null. */
export function whyText(meeting: Meeting, next: Pick<Next, "why" | "target">): string | null {
  if (next.why === null) return null;
  const names = meeting.cosigners.filter((cosigner) => !cosigner.ready).map((cosigner) => lookup(`cosigner.${cosigner.name.replace(/-\d+$/, "")}`) ?? cosigner.name);
  const ends = meeting.elections.find((election) => election.election === next.target)?.ends_at ?? 0;
  return t(`why.${next.why}`, {
    names: names.join(", "),
    present: meeting.quorum.present,
    needed: meeting.quorum.needed,
    chair: meeting.presiding?.name ?? "",
    time: clock(ends, meeting.time_zone),
  });
}
