/** Steps beside the next one: other items and votes, the key, the close. */
import { useSignal } from "@preact/signals";
import { api } from "../../api/fetch.ts";
import type { AgendaItem, ElectionSummary, Meeting } from "../../api/types.ts";
import { t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { inSession, isOver } from "../../state/meeting.ts";
import { whyNotOpen } from "../../state/next.ts";
import { useAction } from "../../ui/action.ts";
import { Button, ConfirmButton, Field, Fold, Form, Select } from "../../ui/parts.tsx";
import { command, type Console, whyText } from "./console.ts";
import { OpenWarning, useOpening } from "./next_card.tsx";
import { RestartKey } from "./restart_key.tsx";

/** Who may not vote on this question, and why; until it opens. */
function Exclusions({ live, meeting, election }: { live: LiveMeeting; meeting: Meeting; election: ElectionSummary }) {
  const acting = useAction();
  const member = useSignal("");
  const reason = useSignal("");
  const others = meeting.present.filter((person) => !election.excluded.includes(person.member));
  const nameOf = (id: string): string => meeting.present.find((person) => person.member === id)?.name ?? id;
  const set = async (who: string, excluded: boolean): Promise<void> => {
    await api.exclude(live.id, election.election, { member: who, excluded, reason: excluded ? reason.value.trim() : "" });
    reason.value = member.value = "";
    await live.refresh();
  };
  return (
    <Fold testid={`exclusions-${election.election}`} summary={t("exclude.title", { n: election.excluded.length })}>
      {() => (
        <div class="stack-tight">
          <p class="hint">{t("exclude.text")}</p>
          <ul class="list">
            {election.excluded.map((id) => (
              <li key={id} class="row-between">
                <span>{nameOf(id)}</span>
                <Button testid={`include-${id}`} onClick={() => void acting.run(() => set(id, false))}>
                  {t("exclude.undo")}
                </Button>
              </li>
            ))}
          </ul>
          <Form action={acting} work={() => set(member.value, true)} submit={t("exclude.button")} testid="exclude-add" kind="plain">
            <Select label={t("exclude.member")} value={member.value} onChange={(value) => (member.value = value)} choices={[{ value: "", label: "…" }, ...others.map((person) => ({ value: person.member, label: person.name }))]} testid="exclude-member" />
            <Field label={t("exclude.reason")} value={reason.value} onInput={(value) => (reason.value = value)} testid="exclude-reason" required maxLength={200} />
          </Form>
        </div>
      )}
    </Fold>
  );
}

/** Votes not opened yet, each with its own button; the next button offers the one of the current item. */
export function OtherSteps({ live, meeting, acting }: Console) {
  const opening = useOpening(live, acting);
  if (meeting.state === "checking-in") return <RestartKey live={live} meeting={meeting} />;
  if (!inSession(meeting)) return null;
  const drafts = meeting.elections.filter((election) => election.state === "draft");
  const busyVote = meeting.elections.some((election) => election.state !== "draft" && !isOver(election));
  const talks = meeting.state !== "recess";
  return (
    <Fold class="card" testid="other-steps" summary={t("chair.other-steps")}>
      {() => (
        <div class="stack-tight">
          {talks && meeting.agenda.filter((item) => item.state !== "done").map((item) => <ItemSteps key={item.id} live={live} meeting={meeting} acting={acting} item={item} busyVote={busyVote} />)}
          {drafts.map((election) => {
            const why = talks ? whyNotOpen(meeting, election) : null;
            return (
              <div key={election.election} class="stack-tight">
                <Button testid={`open-vote-${election.election}`} disabled={!talks || why !== null || busyVote} busy={acting.busy.value} onClick={() => opening.start(election.election)}>
                  {t("next.open-vote", { title: election.title })}
                </Button>
                {why !== null && <p class="muted">{whyText(meeting, { why, target: election.election })}</p>}
                <Exclusions live={live} meeting={meeting} election={election} />
              </div>
            );
          })}
          <OpenWarning meeting={meeting} opening={opening} />
          <RestartKey live={live} meeting={meeting} />
          <ConfirmButton
            testid="close-meeting"
            kind="danger"
            danger
            disabled={busyVote}
            busy={acting.busy.value}
            title={t("next.close")}
            text={t("next.close.text")}
            yes={t("next.close")}
            onClick={() => void acting.run(() => command(live, { command: "close" }))}
          >
            {t("next.close")}
          </ConfirmButton>
        </div>
      )}
    </Fold>
  );
}

/** One item that is not done: take it up, or put it off. */
function ItemSteps({ live, acting, item, busyVote }: Console & { item: AgendaItem; busyVote: boolean }) {
  const send = (what: "start-item" | "defer-item"): void => void acting.run(() => command(live, { command: what, item: item.id }));
  return (
    <div class="row">
      {item.state !== "current" && (
        <Button testid={`start-item-${item.id}`} disabled={busyVote} busy={acting.busy.value} onClick={() => send("start-item")}>
          {t("next.start-item", { title: item.title })}
        </Button>
      )}
      {item.state !== "deferred" && (
        <Button testid={`defer-item-${item.id}`} disabled={busyVote} busy={acting.busy.value} onClick={() => send("defer-item")}>
          {t("presiding.defer", { title: item.title })}
        </Button>
      )}
    </div>
  );
}
