/** What an interrupted meeting means for me, in plain words. */
import type { Meeting } from "../../api/types.ts";
import { clock, dayAndTime, t } from "../../i18n/index.ts";
import { Note } from "../../ui/parts.tsx";

type Interrupted = Pick<Meeting, "state" | "until" | "quorum" | "time_zone" | "reason">;

export function StateBanner({ meeting }: { meeting: Interrupted }) {
  const { state, until, quorum } = meeting;
  if (state === "recess") return <Note kind="warn" testid="banner-recess">{until > 0 ? t("banner.recess-until", { time: clock(until, meeting.time_zone) }) : t("banner.recess")}</Note>;
  if (state === "quorum-lost") return <Note kind="warn" testid="banner-quorum-lost">{t("banner.quorum-lost", { present: quorum.present, needed: quorum.needed })}</Note>;
  if (state === "adjourned") return <Note kind="warn" testid="banner-adjourned">{until > 0 ? t("banner.adjourned-to", { time: dayAndTime(until, meeting.time_zone) }) : t("banner.adjourned")}</Note>;
  if (state === "cancelled") return <Note kind="warn" testid="banner-cancelled">{t("banner.cancelled", { reason: meeting.reason })}</Note>;
  return null;
}
