/** A phone in a hall that has sound of its own stays silent, so that nothing echoes; sound is turned on on purpose. */
import { t } from "../../i18n/index.ts";
import { EVERYTHING } from "../../media/profiles.ts";
import type { RoomControl } from "../../state/room.ts";
import { soundWanted } from "../../state/link.ts";
import { useAction } from "../../ui/action.ts";
import { ConfirmButton } from "../../ui/parts.tsx";

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
