/** For chair and secretary: who has got and read the notice, waiving its period, moving and calling off. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { Meeting } from "../api/types.ts";
import type { NoticeLine, Notices } from "../api/types_conduct.ts";
import { dayAndTime, t } from "../i18n/index.ts";
import type { LiveMeeting } from "../state/live.ts";
import { isEnded } from "../state/meeting.ts";
import { signAction } from "../state/sign.ts";
import { useAction } from "../ui/action.ts";
import { Arrow, Button, Card, Confirm, Field, Form, Loading, Note, Problem, Select, Title } from "../ui/parts.tsx";
import { fromSeconds, toSeconds, zones } from "./times.ts";
import { WithMeeting } from "./with_meeting.tsx";

const REASON_MAX = 160;

interface Office {
  live: LiveMeeting;
  meeting: Meeting;
}

export function NoticeScreen({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(live, meeting) => {
        const office = meeting.me.roles.includes("chair") || meeting.me.roles.includes("secretary");
        const before = meeting.state === "draft" || meeting.state === "convened";
        return (
          <div class="stack" data-testid="notice-office" data-state={meeting.state}>
            <p>
              <a href={`/meetings/${id}/prepare`}><Arrow>←</Arrow> {t("calling.back")}</a>
            </p>
            <Title>{t("calling.office")}</Title>
            <p class="muted">
              {meeting.title} · {dayAndTime(meeting.starts_at, meeting.time_zone)}
            </p>
            {!office && <Note kind="warn">{t("calling.office-only")}</Note>}
            {office && before && meeting.notice_days > 0 && <Period live={live} meeting={meeting} />}
            {office && <Receipts meeting={meeting} live={live} />}
            {office && before && <Reschedule live={live} meeting={meeting} />}
            {office && before && <Cancel live={live} meeting={meeting} />}
          </div>
        );
      }}
    </WithMeeting>
  );
}

/** The notice period, and the signed waiver. */
function Period({ live, meeting }: Office) {
  const acting = useAction();
  const reason = useSignal("");
  const waive = async (): Promise<void> => {
    const action = { type: "waive-notice", meeting: meeting.id, reason: reason.value.trim() };
    await api.waiveNotice(meeting.id, action.reason, action, await signAction(action));
    await live.refresh();
  };
  return (
    <Card title={t("calling.notice")}>
      <p>{t("calling.period", { n: meeting.notice_days, time: dayAndTime(meeting.notice_latest, meeting.time_zone) })}</p>
      {meeting.waived ? (
        <Note kind="good" testid="waived">
          {t("calling.waived")}
        </Note>
      ) : (
        <details data-testid="waiver">
          <summary>{t("calling.waive")}</summary>
          <Form action={acting} work={waive} submit={t("calling.waive.button")} testid="waive" kind="plain">
            <p class="hint">{t("calling.waive.text")}</p>
            <Field label={t("calling.reason")} value={reason.value} onInput={(value) => (reason.value = value)} testid="waive-reason" required maxLength={REASON_MAX} />
          </Form>
        </details>
      )}
    </Card>
  );
}

type Shown = "all" | "unread" | "excused";
const SHOWN: readonly Shown[] = ["all", "unread", "excused"];
const fits = (line: NoticeLine, shown: Shown): boolean => (shown === "all" ? true : shown === "unread" ? line.read_at === 0 && !line.excused : line.excused);

function Receipts({ live, meeting }: Office) {
  const found = useSignal<Notices | null>(null);
  const shown = useSignal<Shown>("all");
  const loading = useAction();
  const load = (): void => void loading.run(async () => (found.value = await api.notices(meeting.id)));
  useEffect(load, [meeting.seq]);
  if (meeting.state === "draft") return <Card title={t("calling.receipts")}><p class="muted">{t("calling.receipts.draft")}</p></Card>;
  const all = found.value;
  const lines = all?.notices.filter((line) => fits(line, shown.value)) ?? [];
  return (
    <Card title={t("calling.receipts")} testid="receipts">
      {all === null && loading.busy.value && <Loading />}
      <Problem error={loading.error.value} />
      {all !== null && (
        <>
          <p data-testid="receipt-figures" class="strong">
            {t("calling.figures", { sent: all.sent, delivered: all.delivered, read: all.read, excused: all.excused })}
          </p>
          <div class="row" role="group" aria-label={t("calling.show")}>
            {SHOWN.map((one) => (
              <Button key={one} testid={`receipts-${one}`} pressed={shown.value === one} onClick={() => (shown.value = one)}>
                {t(`calling.show.${one}`)}
              </Button>
            ))}
            <Button kind="quiet" testid="receipts-again" busy={loading.busy.value} onClick={load}>
              {t("calling.again")}
            </Button>
          </div>
          {lines.length === 0 && <p class="muted">{t("calling.nobody")}</p>}
          <ul class="list">
            {lines.map((line) => (
              <Line key={line.member} live={live} meeting={meeting} line={line} onChange={load} />
            ))}
          </ul>
        </>
      )}
    </Card>
  );
}

function stateOf(line: NoticeLine, zone: string): string {
  if (line.read_at > 0) return t("calling.read", { time: dayAndTime(line.read_at, zone) });
  if (line.delivered_at > 0) return t("calling.delivered", { time: dayAndTime(line.delivered_at, zone) });
  return t("calling.sent", { time: dayAndTime(line.sent_at, zone) });
}

function Line({ live, meeting, line, onChange }: Office & { line: NoticeLine; onChange: () => void }) {
  const acting = useAction();
  const set = async (): Promise<void> => {
    await api.excuse(meeting.id, { excused: !line.excused, reason: "", member: line.member });
    await live.refresh();
    onChange();
  };
  return (
    <li class="stack-tight" data-testid="notice-line" data-member={line.member} data-excused={String(line.excused)}>
      <div class="row-between">
        <span class="strong">
          {line.name} {line.excused && <span class="badge">{t("calling.excused")}</span>}
        </span>
        {!isEnded(meeting) && (
          <Button kind="quiet" testid={`excuse-${line.member}`} busy={acting.busy.value} onClick={() => void acting.run(set)}>
            {t(line.excused ? "calling.unexcuse" : "calling.excuse")}
          </Button>
        )}
      </div>
      <span class="small muted">{stateOf(line, meeting.time_zone)}</span>
      {line.reason !== "" && <span class="small">{t("calling.because", { reason: line.reason })}</span>}
      <Problem error={acting.error.value} />
    </li>
  );
}

function Reschedule({ live, meeting }: Office) {
  const acting = useAction();
  const start = useSignal(fromSeconds(meeting.starts_at, meeting.time_zone));
  const zone = useSignal(meeting.time_zone);
  const asking = useSignal(false);
  const move = async (): Promise<void> => {
    await api.command(meeting.id, { command: "reschedule", starts_at: toSeconds(start.value, zone.value), time_zone: zone.value });
    await live.refresh();
  };
  const ask = (): Promise<void> => {
    asking.value = true;
    return Promise.resolve();
  };
  const when = start.value === "" ? "" : dayAndTime(toSeconds(start.value, zone.value), zone.value);
  return (
    <Card title={t("calling.move")}>
      <Form action={acting} work={ask} submit={t("calling.move.button")} testid="reschedule" kind="plain">
        <Field label={t("meeting.start")} type="datetime-local" value={start.value} onInput={(value) => (start.value = value)} testid="reschedule-start" required />
        <Select label={t("meeting.time-zone")} value={zone.value} onChange={(value) => (zone.value = value)} choices={zones().map((value) => ({ value, label: value.replaceAll("_", " ") }))} testid="reschedule-zone" />
      </Form>
      <Confirm
        open={asking.value}
        title={t("calling.move.title", { time: when })}
        text={t(meeting.state === "draft" ? "calling.move.draft" : "calling.move.called")}
        yes={t("calling.move.button")}
        onNo={() => (asking.value = false)}
        onYes={() => {
          asking.value = false;
          void acting.run(move);
        }}
      />
    </Card>
  );
}

function Cancel({ live, meeting }: Office) {
  const acting = useAction();
  const reason = useSignal("");
  const asking = useSignal(false);
  const cancel = async (): Promise<void> => {
    await api.command(meeting.id, { command: "cancel", reason: reason.value.trim() });
    await live.refresh();
  };
  const ask = (): Promise<void> => {
    asking.value = true;
    return Promise.resolve();
  };
  return (
    <details class="card" data-testid="cancelling">
      <summary>{t("calling.cancel")}</summary>
      <Form action={acting} work={ask} submit={t("calling.cancel")} testid="cancel" kind="plain">
        <p class="hint">{t("calling.cancel.text")}</p>
        <Field label={t("calling.reason")} value={reason.value} onInput={(value) => (reason.value = value)} testid="cancel-reason" required maxLength={REASON_MAX} />
      </Form>
      <Confirm
        open={asking.value}
        title={t("calling.cancel.title", { title: meeting.title })}
        text={t("calling.cancel.text")}
        yes={t("calling.cancel")}
        danger
        onNo={() => (asking.value = false)}
        onYes={() => {
          asking.value = false;
          void acting.run(cancel);
        }}
      />
    </details>
  );
}
