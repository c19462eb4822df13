/** Who presides: said in plain words, handed over by two signatures, taken back after a lost link. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api } from "../../api/fetch.ts";
import type { Meeting } from "../../api/types.ts";
import { t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { inSession, leadsNow } from "../../state/meeting.ts";
import { signAction } from "../../state/sign.ts";
import { useAction } from "../../ui/action.ts";
import { alarm } from "../../ui/announce.ts";
import { Button, Card, Form, Note, Problem, Select } from "../../ui/parts.tsx";
import { command, type Console } from "./console.ts";

/** Says aloud, once, that the chair has come to me. */
function usePresidingAlarm(meeting: Meeting): void {
  const before = useRef(meeting.presiding?.member ?? "");
  useEffect(() => {
    const now = meeting.presiding?.member ?? "";
    if (before.current !== "" && before.current !== now && now === meeting.me.member) alarm(t("presiding.you-now"));
    before.current = now;
  }, [meeting.presiding?.member]);
}

export function PresidingNotes({ live, meeting, acting }: Console) {
  usePresidingAlarm(meeting);
  if (!inSession(meeting) || meeting.presiding === null) return null;
  const mine = meeting.presiding.member === meeting.me.member;
  const deputy = mine && meeting.lost_chair !== "" && meeting.lost_chair !== meeting.me.member;
  return (
    <div class="stack-tight" data-testid="presiding" data-mine={String(mine)}>
      {deputy && <Note kind="warn" testid="you-preside">{t("presiding.you-now")}</Note>}
      {!mine && <Note testid="other-presides">{t("presiding.other", { name: meeting.presiding.name })}</Note>}
      {meeting.lost_chair === meeting.me.member && (
        <div class="card stack-tight">
          <p>{t("presiding.lost", { name: meeting.presiding.name })}</p>
          <div class="actions">
            <Button kind="main" testid="resume-chair" busy={acting.busy.value} onClick={() => void acting.run(() => command(live, { command: "resume-chair" }))}>
              {t("presiding.resume")}
            </Button>
          </div>
        </div>
      )}
      {meeting.offered_to?.member === meeting.me.member && <Accept live={live} meeting={meeting} from={meeting.presiding} />}
    </div>
  );
}

function Accept({ live, meeting, from }: { live: LiveMeeting; meeting: Meeting; from: { member: string; name: string } }) {
  const acting = useAction();
  const accept = async (): Promise<void> => {
    const action = { type: "accept-chair", meeting: meeting.id, from: from.member };
    await api.acceptChair(meeting.id, action, await signAction(action));
    await live.refresh();
  };
  return (
    <section class="card stack-tight" data-testid="chair-offered">
      <h2>{t("presiding.offered.title")}</h2>
      <p>{t("presiding.offered.text", { name: from.name })}</p>
      <Problem error={acting.error.value} />
      <div class="actions">
        <Button kind="main" testid="accept-chair" busy={acting.busy.value} onClick={() => void acting.run(accept)}>
          {t("presiding.offered.button")}
        </Button>
      </div>
    </section>
  );
}

/** The presiding chair offers the chair to another one who is here. */
export function Handover({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const acting = useAction();
  const to = useSignal("");
  if (!inSession(meeting) || !leadsNow(meeting)) return null;
  const send = async (member: string): Promise<void> => {
    const action = { type: "hand-over", meeting: meeting.id, to: member };
    await api.offerChair(meeting.id, member, action, await signAction(action));
    await live.refresh();
  };
  const offered = meeting.offered_to;
  const chosen = to.value || meeting.deputies[0]?.member || "";
  return (
    <Card title={t("presiding.handover")} testid="handover">
      {offered !== null && (
        <>
          <Note testid="handover-waits">{t("presiding.handover.waits", { name: offered.name })}</Note>
          <Problem error={acting.error.value} />
          <div class="actions">
            <Button testid="handover-back" busy={acting.busy.value} onClick={() => void acting.run(() => send(""))}>
              {t("presiding.handover.back")}
            </Button>
          </div>
        </>
      )}
      {offered === null && meeting.deputies.length === 0 && <p class="muted">{t("presiding.handover.nobody")}</p>}
      {offered === null && meeting.deputies.length > 0 && (
        <Form action={acting} work={() => send(chosen)} submit={t("presiding.handover.button")} testid="handover-offer" kind="plain">
          <p class="hint">{t("presiding.handover.text")}</p>
          <Select label={t("presiding.handover.to")} value={chosen} onChange={(value) => (to.value = value)} choices={meeting.deputies.map((one) => ({ value: one.member, label: one.name }))} testid="handover-to" />
        </Form>
      )}
    </Card>
  );
}
