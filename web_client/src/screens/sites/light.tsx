/** A site's light: a mark, a word and since when; never colour alone. */
import type { Site, SiteState } from "../../api/types_sites.ts";
import { clock, t } from "../../i18n/index.ts";

const MARKS: Record<SiteState, string> = { invited: "○", tested: "◐", connected: "●", degraded: "▲", lost: "✕", rejoined: "●", closed: "■" };
const TONES: Record<SiteState, string> = { invited: "", tested: "", connected: "badge-good", degraded: "badge-warn", lost: "badge-bad", rejoined: "badge-good", closed: "" };

export function Light({ site, zone }: { site: Site; zone: string }) {
  const timed = site.state === "lost" || site.state === "degraded" || site.state === "rejoined";
  return (
    <span class={`badge ${TONES[site.state]}`} data-testid="site-light" data-state={site.state}>
      <span aria-hidden="true">{MARKS[site.state]}</span>
      {timed ? t("sites.since", { state: t(`sites.state.${site.state}`), time: clock(site.since, zone) }) : t(`sites.state.${site.state}`)}
    </span>
  );
}

/** What the last line test said, in a line. */
export function Tested({ site, zone }: { site: Site; zone: string }) {
  const { tested } = site;
  if (tested === null) return <span class="small muted">{t("sites.untested")}</span>;
  const loss = tested.loss_permille === null ? "" : ` · ${t("sites.loss", { n: (tested.loss_permille / 10).toFixed(1) })}`;
  return (
    <span class="small muted" data-testid="site-tested">
      {t("sites.tested-at", { time: clock(tested.at, zone), rtt: tested.rtt_ms, up: tested.up_kbps, down: tested.down_kbps })}
      {loss} · {t(tested.sound ? "sites.sound-good" : "sites.sound-bad")} · {t(tested.picture ? "sites.picture-good" : "sites.picture-bad")}
    </span>
  );
}
