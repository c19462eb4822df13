/** The code of a place, for those who sit there. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { sites } from "../../api/sites.ts";
import type { Meeting } from "../../api/types.ts";
import type { Site } from "../../api/types_sites.ts";
import { clock, t } from "../../i18n/index.ts";
import { useAction } from "../../ui/action.ts";
import { Card, Problem } from "../../ui/parts.tsx";
import { Qr } from "../../ui/qr.tsx";
import "./sites.css";

const CODE_AGAIN_MS = 20_000;

/** Large enough to be read from the back row; new every ten minutes. */
export function CodeCard({ meeting, site }: { meeting: Meeting; site: Site }) {
  const loading = useAction();
  const given = useSignal<{ code: string; until: number } | null>(null);
  const load = (): void => void loading.run(async () => (given.value = await sites.code(meeting.id, site.site)));
  useEffect(() => {
    load();
    const timer = setInterval(load, CODE_AGAIN_MS);
    return () => clearInterval(timer);
  }, [site.site]);
  return (
    <Card title={t("hall.code")} testid="hall-code-card">
      <p>{t("hall.code.text")}</p>
      <Problem error={loading.error.value} />
      {given.value && (
        <div class="stack hall-qr">
          <p class="hall-code" data-testid="hall-code" translate={false}>
            {given.value.code}
          </p>
          <Qr text={`${location.origin}/meetings/${meeting.id}/check-in#hall=${site.site}.${given.value.code}`} label={t("hall.code.qr")} testid="hall-qr" />
          <p class="hint">{t("hall.code.until", { time: clock(given.value.until) })}</p>
        </div>
      )}
    </Card>
  );
}
