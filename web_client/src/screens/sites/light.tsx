/** A site's light: a mark, a word and since when; never colour alone. */
import { sites } from "../../api/sites.ts";
import type { Site, SiteState } from "../../api/types_sites.ts";
import { clock, number, t, tn } from "../../i18n/index.ts";
import { CLOCK_MAX_MS, clockOff, MOST_KBPS } from "../../state/line_test.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { useAction } from "../../ui/action.ts";
import { Button, Note, Problem } from "../../ui/parts.tsx";

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

/** How many are checked in there, of those expected. */
export const heads = (present: number, site: Site): string => (site.expected > 0 ? t("sites.heads", { n: present, expected: site.expected }) : tn("sites.here", present));

/** Tried, and not good enough to go on by itself: chair or secretary may let it take part all the same. */
export const failedTest = (site: Site): boolean => site.kind === "hall" && site.state === "invited" && site.tested !== null;

export function AcceptTest({ live, site }: { live: LiveMeeting; site: Site }) {
  const acting = useAction();
  if (!failedTest(site)) return null;
  const accept = async (): Promise<void> => {
    await sites.accept(live.id, site.site);
    await live.refresh();
  };
  return (
    <div class="stack-tight">
      <Note kind="warn">{t("sites.failed", { name: site.name })}</Note>
      <Problem error={acting.error.value} />
      <div class="actions">
        <Button testid={`site-accept-${site.site}`} busy={acting.busy.value} onClick={() => void acting.run(accept)}>
          {t("sites.accept")}
        </Button>
      </div>
    </div>
  );
}

/** A measured rate in kbit/s; the highest that can be told stands for more. */
export const rate = (kbps: number): string => (kbps >= MOST_KBPS ? t("sites.rate-more", { n: MOST_KBPS }) : number(kbps));

/** 2 h 5 min, 3 min 10 s, 4 s. */
export function howFarOff(ms: number): string {
  const { hours, minutes, seconds } = clockOff(ms);
  const parts = [hours > 0 ? t("sites.hours", { n: hours }) : "", minutes > 0 ? t("sites.minutes", { n: minutes }) : "", seconds > 0 ? t("sites.seconds", { n: seconds }) : ""];
  return parts.filter((part) => part !== "").join(" ");
}

/** For those who lead: the clock of the computer in a hall was wrong when its line was tested; it counts for nothing. */
export function WrongClock({ site }: { site: Site }) {
  const ms = site.tested?.clock_ms ?? 0;
  if (Math.abs(ms) <= CLOCK_MAX_MS) return null;
  return (
    <Note kind="warn" testid="site-clock">
      {t(ms > 0 ? "sites.clock-fast" : "sites.clock-slow", { name: site.name, off: howFarOff(ms) })}
    </Note>
  );
}

/** What the last line test said, in a line. */
export function Tested({ site, zone }: { site: Site; zone: string }) {
  const { tested } = site;
  if (tested === null) return <span class="small muted">{t("sites.untested")}</span>;
  const loss = tested.loss_permille === null ? t("sites.loss-unknown") : t("sites.loss", { n: number(tested.loss_permille / 10) });
  return (
    <span class="small muted" data-testid="site-tested">
      {t("sites.tested-at", { time: clock(tested.at, zone), rtt: tested.rtt_ms, up: rate(tested.up_kbps), down: rate(tested.down_kbps) })}
{" "}
      · {loss} · {t(tested.sound ? "sites.sound-good" : "sites.sound-bad")} · {t(tested.picture ? "sites.picture-good" : "sites.picture-bad")}
    </span>
  );
}
