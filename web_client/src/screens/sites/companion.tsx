/** A phone in a hall that has sound of its own stays silent, so that nothing echoes; sound is turned on on purpose. */
import type { Meeting } from "../../api/types.ts";
import { t } from "../../i18n/index.ts";
import { EVERYTHING } from "../../media/profiles.ts";
import type { LiveMeeting } from "../../state/live.ts";
import type { RoomControl } from "../../state/room.ts";
import { soundWanted } from "../../state/link.ts";
import { siteOf } from "../../state/sites.ts";
import { useAction } from "../../ui/action.ts";
import { Check, ConfirmButton, LinkButton, Problem } from "../../ui/parts.tsx";
import { letStayOpen, staysOpen } from "../room/hold.ts";

/** The room on the hall's own computer. */
export function HallNote({ live, meeting, site }: { live: LiveMeeting; meeting: Meeting; site: string }) {
  const { refused } = live.hallLease.value;
  return (
    <section class="card card-line" data-testid="hall-note">
      {refused === null ? <p>{t("hall.room.note", { name: siteOf(meeting, site)?.name ?? "" })}</p> : <p class="strong">{t("hall.refused")}</p>}
      <Problem error={refused} />
      <Check label={t("hall.room.stays-open")} hint={t(staysOpen.value ? "hall.room.press" : "hall.room.hold")} checked={staysOpen.value} onChange={letStayOpen} testid="mic-stays-open" />
      <div class="actions">
        <LinkButton href={`/meetings/${meeting.id}/hall/${site}`} testid="go-hall-page">
          {t("hall.room.back")}
        </LinkButton>
      </div>
    </section>
  );
}

export function CompanionNote({ media }: { media: RoomControl | null }) {
  const acting = useAction();
  if (media === null || !media.textOnly.value) return <></>;
  const on = async (): Promise<void> => {
    soundWanted();
    await media.setStep(EVERYTHING);
  };
  return (
    <section class="card card-line" data-testid="companion">
      <p>{t("companion.text")}</p>
      <div class="actions">
        <ConfirmButton testid="companion-sound" busy={acting.busy.value} title={t("companion.title")} text={t("companion.warn")} yes={t("companion.on")} onClick={() => void acting.run(on)}>
          {t("companion.on")}
        </ConfirmButton>
      </div>
    </section>
  );
}
