/** The vote that runs or waits for its result; how long it stays open, and the way to break it off. */
import { useSignal } from "@preact/signals";
import { api } from "../../api/fetch.ts";
import type { ElectionSummary, Meeting } from "../../api/types.ts";
import { clock, t, tn } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { signAction } from "../../state/sign.ts";
import { useAction } from "../../ui/action.ts";
import { Confirm, Field, Form, Progress, Select } from "../../ui/parts.tsx";
import { span, useTime } from "../../ui/time.ts";
import { QuestionResults } from "../result.tsx";

const MINUTES = [1, 2, 3, 5, 10, 15, 30] as const;
const REASON_MAX = 160;

interface Vote {
  live: LiveMeeting;
  meeting: Meeting;
  election: ElectionSummary;
}

export function RunningVote({ live, meeting, election, leads }: Vote & { leads: boolean }) {
  const core = election.result;
  const going = election.state === "open" || election.state === "closing";
  return (
    <section class="card" data-testid="chair-vote" data-election={election.election} data-state={election.state}>
      <div class="row-between">
        <h2>{election.title}</h2>
        <span class="badge">{t(`election.state.${election.state}`)}</span>
      </div>
      <div data-testid="cast-count">
        <Progress label={tn("vote.cast", election.cast, { of: election.electorate_size })} value={election.cast} of={election.electorate_size} />
      </div>
      {election.state === "open" && election.ends_at > 0 && <Remaining meeting={meeting} election={election} />}
      {(election.state === "counted" || election.state === "tied") && core && <QuestionResults election={election} core={core} />}
      {leads && election.state === "open" && election.closes_at === 0 && <Timer live={live} meeting={meeting} election={election} />}
      {leads && going && <Abort live={live} meeting={meeting} election={election} />}
    </section>
  );
}

function Remaining({ meeting, election }: Omit<Vote, "live">) {
  const now = useTime();
  const left = election.ends_at - now.value;
  return (
    <p class="strong" data-testid="vote-remaining">
      {left > 0 ? t("presiding.vote.until", { time: clock(election.ends_at, meeting.time_zone), left: span(left) }) : t("presiding.vote.time-up")}
    </p>
  );
}

/** A later time needs its reason; an announced one is not put earlier. */
function Timer({ live, meeting, election }: Vote) {
  const acting = useAction();
  const minutes = useSignal("5");
  const reason = useSignal("");
  const running = election.ends_at > 0;
  const set = async (): Promise<void> => {
    const from = Math.max(Math.floor(Date.now() / 1000), election.ends_at);
    await api.setVoteTimer(meeting.id, election.election, { ends_at: from + Number(minutes.value) * 60, reason: running ? reason.value.trim() : "" });
    reason.value = "";
    await live.refresh();
  };
  return (
    <details data-testid="vote-timer">
      <summary>{t(running ? "presiding.vote.extend" : "presiding.vote.announce")}</summary>
      <Form action={acting} work={set} submit={t(running ? "presiding.vote.extend" : "presiding.vote.announce")} testid="vote-timer-set" kind="plain">
        <p class="hint">{t("presiding.vote.timer-text")}</p>
        <Select label={t("presiding.vote.minutes")} value={minutes.value} onChange={(value) => (minutes.value = value)} choices={MINUTES.map((n) => ({ value: String(n), label: t("presiding.minutes", { n }) }))} testid="vote-timer-minutes" />
        {running && <Field label={t("presiding.reason")} value={reason.value} onInput={(value) => (reason.value = value)} testid="vote-timer-reason" required maxLength={REASON_MAX} />}
      </Form>
    </details>
  );
}

function Abort({ live, meeting, election }: Vote) {
  const acting = useAction();
  const reason = useSignal("");
  const asking = useSignal(false);
  const abort = async (): Promise<void> => {
    const action = { type: "abort-election", meeting: meeting.id, election: election.election, reason: reason.value.trim() };
    await api.abortElection(meeting.id, election.election, action.reason, action, await signAction(action));
    await live.refresh();
  };
  const ask = (): Promise<void> => {
    asking.value = true;
    return Promise.resolve();
  };
  return (
    <details data-testid="vote-abort">
      <summary>{t("presiding.abort")}</summary>
      <Form action={acting} work={ask} submit={t("presiding.abort")} testid="vote-abort-ask" kind="plain">
        <p class="hint">{t("presiding.abort.text")}</p>
        <Field label={t("presiding.reason")} value={reason.value} onInput={(value) => (reason.value = value)} testid="vote-abort-reason" required maxLength={REASON_MAX} />
      </Form>
      <Confirm
        open={asking.value}
        title={t("presiding.abort.title", { title: election.title })}
        text={t("presiding.abort.text")}
        yes={t("presiding.abort")}
        danger
        onNo={() => (asking.value = false)}
        onYes={() => {
          asking.value = false;
          void acting.run(abort);
        }}
      />
    </details>
  );
}
