/** On the chair's console: what only a human can decide, a light for every place, and asking who is still here. */
import { useSignal } from "@preact/signals";
import { sites } from "../../api/sites.ts";
import type { Meeting } from "../../api/types.ts";
import type { Dispute, Presence, SiteAlert } from "../../api/types_sites.ts";
import { clock, t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { inTrouble, places, presentAt, siteOf } from "../../state/sites.ts";
import { useAction } from "../../ui/action.ts";
import { Button, Card, ConfirmButton, Form, Note, Problem, Select } from "../../ui/parts.tsx";
import { useServerTime } from "../../ui/server_time.ts";
import { span } from "../../ui/time.ts";
import { AcceptTest, heads, Light, WrongClock } from "./light.tsx";

const WITHIN_S = [60, 120, 300, 600];

interface Props {
  live: LiveMeeting;
  meeting: Meeting;
}

/** What only a human can decide: above everything else, for it cannot wait. */
export function SiteDecisions({ live, meeting }: Props) {
  return (
    <>
      {meeting.alerts.map((one) => (
        <Alert key={`${one.kind} ${one.site}`} live={live} meeting={meeting} alert={one} />
      ))}
      {meeting.disputes.map((one) => (
        <DisputeCard key={one.dispute} live={live} meeting={meeting} dispute={one} />
      ))}
    </>
  );
}

export function SitesCard({ live, meeting }: Props) {
  const all = places(meeting);
  const bad = all.filter(inTrouble).length;
  return (
    <Card title={t("sites.title")} testid="sites-card" data={{ "data-trouble": String(bad + meeting.disputes.length + meeting.alerts.length) }}>
      <ul class="list">
        {all.map((site) => (
          <li key={site.site} class="row-between" data-testid="site-line" data-site={site.site} data-state={site.state}>
            <span class="strong">{site.kind === "main" ? t("sites.main") : site.name}</span>
            <span class="row">
              {site.kind === "hall" && <Light site={site} zone={meeting.time_zone} />}
              <span class="badge">{heads(presentAt(meeting, site.site), site)}</span>
            </span>
          </li>
        ))}
      </ul>
      {all.map((site) => (
        <WrongClock key={site.site} site={site} />
      ))}
      {all.map((site) => (
        <AcceptTest key={site.site} live={live} site={site} />
      ))}
      <PresenceTool live={live} meeting={meeting} />
      <p class="row">
        <a href={`/meetings/${meeting.id}/sites`} data-testid="go-sites">
          {t("sites.manage")}
        </a>
        <a href={`/meetings/${meeting.id}/attendance`} data-testid="go-attendance">
          {t("attendance.title")}
        </a>
      </p>
    </Card>
  );
}

function Alert({ live, meeting, alert }: Props & { alert: SiteAlert }) {
  const acting = useAction();
  const name = siteOf(meeting, alert.site)?.name ?? "";
  const dismiss = async (): Promise<void> => {
    await sites.dismissAlert(meeting.id, alert.site, alert.kind);
    await live.refresh();
  };
  return (
    <div class="note note-bad" role="alert" data-testid="site-alert" data-kind={alert.kind}>
      <span class="note-mark" aria-hidden="true">
        !
      </span>
      <div class="stack-tight">
        <span>{t(`sites.alert.${alert.kind}`, { name, time: clock(alert.at, meeting.time_zone) })}</span>
        <Problem error={acting.error.value} />
        <Button kind="quiet" testid="alert-dismiss" busy={acting.busy.value} onClick={() => void acting.run(dismiss)}>
          {t("sites.alert.dismiss")}
        </Button>
      </div>
    </div>
  );
}

/** Counted once whatever is decided; removing ends the seat. */
function DisputeCard({ live, meeting, dispute }: Props & { dispute: Dispute }) {
  const acting = useAction();
  const name = (id: string): string => (id === "main" ? t("sites.main") : id === "remote" ? t("sites.remote") : (siteOf(meeting, id)?.name ?? id));
  const where = dispute.sites.map(name).join(" · ");
  const seat = meeting.present.find((one) => one.member === dispute.member);
  const decide = (decision: "keep" | "remove"): void =>
    void acting.run(async () => {
      await sites.decideDispute(meeting.id, dispute.dispute, decision);
      await live.refresh();
    });
  return (
    <div class="card stack-tight" data-testid="dispute" data-member={dispute.member}>
      <Note kind="warn">{t("sites.dispute", { name: dispute.name, where, time: clock(dispute.at, meeting.time_zone) })}</Note>
      <p data-testid="dispute-counted" data-site={seat?.site ?? ""}>
        {seat ? t("sites.dispute.counted", { where: name(seat.site) }) : t("sites.dispute.uncounted")}
      </p>
      <Problem error={acting.error.value} />
      <div class="actions">
        <Button testid="dispute-keep" busy={acting.busy.value} onClick={() => decide("keep")}>
          {t("sites.dispute.keep")}
        </Button>
        <ConfirmButton kind="danger" danger testid="dispute-remove" title={t("sites.dispute.remove.title", { name: dispute.name })} text={t("sites.dispute.remove.text")} yes={t("sites.dispute.remove")} onClick={() => decide("remove")}>
          {t("sites.dispute.remove")}
        </ConfirmButton>
      </div>
    </div>
  );
}

/** Asks those present to confirm with their passkey; nobody loses a seat by it. */
function PresenceTool({ live, meeting }: Props) {
  const now = useServerTime();
  const acting = useAction();
  const where = useSignal("");
  const within = useSignal(WITHIN_S[1] ?? 120);
  const { presence } = meeting;
  const running = presence !== null && presence.until > now.value;
  const ask = async (): Promise<void> => {
    await sites.askPresence(meeting.id, { members: [], site: where.value, within_s: within.value });
    await live.refresh();
  };
  if (running) return <Running presence={presence} now={now.value} />;
  return (
    <details data-testid="presence-tool">
      <summary>{t("presence.ask")}</summary>
      <Form action={acting} work={ask} submit={t("presence.ask.button")} testid="presence-ask" kind="plain">
        <p class="hint">{t("presence.ask.text")}</p>
        {presence && <p data-testid="presence-last">{t("presence.last", { n: presence.confirmed, of: presence.asked, time: clock(presence.at, meeting.time_zone) })}</p>}
        <Select
          label={t("presence.where")}
          testid="presence-site"
          value={where.value}
          choices={[{ value: "", label: t("presence.everywhere") }, ...meeting.sites.map((one) => ({ value: one.site, label: one.kind === "main" ? t("sites.main") : one.kind === "remote" ? t("sites.remote") : one.name }))]}
          onChange={(value) => (where.value = value)}
        />
        <Select label={t("presence.within")} testid="presence-within" value={String(within.value)} choices={WITHIN_S.map((value) => ({ value: String(value), label: span(value) }))} onChange={(value) => (within.value = Number(value))} />
      </Form>
    </details>
  );
}

function Running({ presence, now }: { presence: Presence; now: number }) {
  return (
    <p class="strong" data-testid="presence-running" data-confirmed={presence.confirmed}>
      {t("presence.running", { n: presence.confirmed, of: presence.asked, left: span(Math.max(0, presence.until - now)) })}
    </p>
  );
}
