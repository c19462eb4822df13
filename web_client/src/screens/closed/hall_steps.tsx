/** What a custodian does while the hall is outside a closed session. */
import { t } from "../../i18n/index.ts";

/** `address`: where members take part on their own devices; empty where this page's address is the one. */
export function HallSteps({ address }: { address: string }) {
  return (
    <>
      <p>{t("closed.hall.text")}</p>
      <ul class="stack-tight closed-steps">
        <li>{t("closed.hall.keep-open")}</li>
        <li>{address === "" ? t("closed.hall.phones") : t("closed.hall.phones-at", { address })}</li>
        <li>{t("closed.hall.admit")}</li>
      </ul>
    </>
  );
}
