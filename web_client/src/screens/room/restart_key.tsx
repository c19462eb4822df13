/** The chair begins another attempt at the key when a teller cannot go on; what there was is kept as evidence. */
import { useSignal } from "@preact/signals";
import { api } from "../../api/fetch.ts";
import type { Meeting } from "../../api/types.ts";
import { t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { signAction } from "../../state/sign.ts";
import { useAction } from "../../ui/action.ts";
import { Field, Form } from "../../ui/parts.tsx";

export function RestartKey({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const reason = useSignal("");
  const acting = useAction();
  const used = meeting.elections.some((election) => election.state !== "draft" && election.secrecy === "trustees");
  if (!meeting.roll.frozen || meeting.key.state === "waiting" || used || meeting.state === "closed") return null;
  const work = async (): Promise<void> => {
    const { attempt } = await api.keygen(meeting.id);
    const action = { type: "restart-key", meeting: meeting.id, attempt };
    await api.restartKey(meeting.id, reason.value.trim(), action, await signAction(action));
    reason.value = "";
    await live.refresh();
  };
  return (
    <details data-testid="restart-key-more">
      <summary>{t("restart-key.title")}</summary>
      <div class="stack-tight">
        <p class="hint">{t("restart-key.text")}</p>
        <Form action={acting} work={work} submit={t("restart-key.button")} testid="restart-key" kind="plain">
          <Field label={t("restart-key.reason")} value={reason.value} onInput={(value) => (reason.value = value)} testid="restart-key-reason" required maxLength={200} />
        </Form>
      </div>
    </details>
  );
}
