/** My own notice of a meeting: the calendar file, and asking to be excused. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { calendarFile } from "../api/conduct.ts";
import { api } from "../api/fetch.ts";
import type { Meeting } from "../api/types.ts";
import { t } from "../i18n/index.ts";
import type { LiveMeeting } from "../state/live.ts";
import { isEnded } from "../state/meeting.ts";
import { useAction } from "../ui/action.ts";
import { Button, Card, Field, Form, LinkButton, Note, Problem } from "../ui/parts.tsx";

const REASON_MAX = 160;

export function NoticeCard({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const { notice } = meeting.me;
  const called = meeting.state !== "draft";
  // Whoever looks at this page has read the notice; a failed word is said again at the next look.
  const unread = called && !isEnded(meeting) && notice !== null && notice.state !== "read";
  useEffect(() => {
    if (unread) void api.confirmReceipt(meeting.id, "read").then(() => live.refresh()).catch(() => undefined);
  }, [unread]);
  if (!called) return null;
  return (
    <Card title={t("notice.title")} testid="notice">
      <div class="actions">
        <LinkButton href={calendarFile(meeting.id)} testid="add-to-calendar" download>
          {t("notice.calendar")}
        </LinkButton>
      </div>
      {notice !== null && !isEnded(meeting) && <Excuse live={live} meeting={meeting} excused={notice.excused} reason={notice.reason} />}
    </Card>
  );
}

function Excuse({ live, meeting, excused, reason }: { live: LiveMeeting; meeting: Meeting; excused: boolean; reason: string }) {
  const acting = useAction();
  const text = useSignal("");
  const send = async (on: boolean): Promise<void> => {
    await api.excuse(meeting.id, { excused: on, reason: on ? text.value.trim() : "", member: meeting.me.member });
    text.value = "";
    await live.refresh();
  };
  if (excused) {
    return (
      <div class="stack-tight" data-testid="excused">
        <Note kind="good">{reason === "" ? t("notice.excused") : t("notice.excused-because", { reason })}</Note>
        <Problem error={acting.error.value} />
        <Button testid="excuse-withdraw" busy={acting.busy.value} onClick={() => void acting.run(() => send(false))}>
          {t("notice.coming")}
        </Button>
      </div>
    );
  }
  if (meeting.me.checked_in) return null;
  return (
    <details data-testid="excuse">
      <summary>{t("notice.excuse")}</summary>
      <Form action={acting} work={() => send(true)} submit={t("notice.excuse.button")} testid="excuse-send" kind="plain">
        <p class="hint">{t("notice.excuse.text")}</p>
        <Field label={t("notice.excuse.reason")} value={text.value} onInput={(value) => (text.value = value)} testid="excuse-reason" maxLength={REASON_MAX} />
      </Form>
    </details>
  );
}
