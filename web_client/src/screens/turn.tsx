/** One sentence: what the meeting waits for, and whose turn it is. */
import type { Meeting } from "../api/types.ts";
import { t } from "../i18n/index.ts";
import { turn } from "../state/tasks.ts";

export function TurnLine({ meeting }: { meeting: Meeting }) {
  const now = turn(meeting);
  if (now === "over") return null;
  return (
    <p class="turn" role="status" data-testid="turn" data-turn={now}>
      <span class="strong">{t("turn.now")}</span> {t(`turn.${now}`)}
    </p>
  );
}
