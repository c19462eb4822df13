/** Says that the hall is cut off, what still works, and what of ours is kept. */
import { clock, t } from "../i18n/index.ts";
import { cutSince, type Waiting, waiting } from "../state/cut.ts";

const ORDER: readonly Waiting[] = ["check-in", "hand"];

export function CutBanner() {
  return (
    <div class="banner banner-warn" role="status" data-testid="cut-banner">
      <p>{t("cut.since", { time: clock(cutSince.value) })}</p>
      <p class="banner-more">{t("cut.can")}</p>
      {ORDER.filter((what) => waiting.value.has(what)).map((what) => (
        <p key={what} class="banner-more" data-testid={`cut-waiting-${what}`}>
          {t(`cut.waiting.${what}`)}
        </p>
      ))}
    </div>
  );
}
