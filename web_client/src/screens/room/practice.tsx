/** An invitation to try the booth before the first real vote. */
import { t } from "../../i18n/index.ts";
import { Button } from "../../ui/parts.tsx";

export function Practice({ onPractice }: { onPractice: () => void }) {
  return (
    <section class="card">
      <h2>{t("practice.title")}</h2>
      <p>{t("practice.text")}</p>
      <div class="actions">
        <Button testid="practice-vote" onClick={onPractice}>
          {t("practice.button")}
        </Button>
      </div>
    </section>
  );
}
