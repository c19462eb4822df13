/** Whether enough are here, in one line; a binding quorum says what its loss means. */
import type { Meeting } from "../../api/types.ts";
import { t } from "../../i18n/index.ts";

export function QuorumCard({ meeting }: { meeting: Meeting }) {
  const { quorum, binding } = meeting;
  return (
    <section class={`card card-line ${quorum.met ? "card-good" : "card-warn"}`} data-testid="quorum-card" data-met={String(quorum.met)}>
      <h2>{t("quorum")}</h2>
      <p class="strong">
        <span aria-hidden="true">{quorum.met ? "✓" : "!"}</span> {t(quorum.met ? "quorum.met" : "quorum.missing", { present: quorum.present, needed: quorum.needed })}
      </p>
      <p>
        <a href={`/meetings/${meeting.id}/screen`} target="_blank" rel="noreferrer" data-testid="go-wall">
          {t("presiding.wall")}
        </a>
      </p>
      {binding && <p class="hint">{t(quorum.met ? "presiding.binding" : "presiding.binding-lost")}</p>}
    </section>
  );
}
