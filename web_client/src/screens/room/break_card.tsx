/** Interrupting the meeting: a recess with its announced end, or until another day. */
import { useSignal } from "@preact/signals";
import { t } from "../../i18n/index.ts";
import { isRunning } from "../../state/meeting.ts";
import { Button, Confirm, Field, Note, Select } from "../../ui/parts.tsx";
import { toSeconds } from "../times.ts";
import { command, type Console } from "./console.ts";

const MINUTES = [0, 5, 10, 15, 30, 60] as const;

/** A vote that nobody has to close goes on through a break. */
const inTheWay = (meeting: Console["meeting"]): boolean =>
  meeting.elections.some((election) => isRunning(election) && (election.state === "open" || election.state === "closing") && election.closes_at === 0);

export function BreakCard({ live, meeting, acting }: Console) {
  const minutes = useSignal("10");
  const day = useSignal("");
  const asking = useSignal(false);
  const pausing = meeting.state === "opened" || meeting.state === "quorum-lost";
  if (!pausing && meeting.state !== "recess" && meeting.state !== "checking-in") return null;
  const blocked = inTheWay(meeting);
  const until = (): number => (minutes.value === "0" ? 0 : Math.floor(Date.now() / 1000) + Number(minutes.value) * 60);
  const adjourn = (): void => {
    asking.value = false;
    const at = day.value === "" ? 0 : toSeconds(day.value, meeting.time_zone);
    void acting.run(() => command(live, { command: "adjourn", continues_at: at }));
  };
  return (
    <details class="card" data-testid="break">
      <summary>{t("presiding.break")}</summary>
      <div class="stack">
        {blocked && <Note kind="warn">{t("presiding.break.vote")}</Note>}
        {pausing && (
          <div class="stack-tight">
            <h3>{t("presiding.recess")}</h3>
            <p class="hint">{t("presiding.recess.text")}</p>
            <Select
              label={t("presiding.recess.how-long")}
              value={minutes.value}
              onChange={(value) => (minutes.value = value)}
              choices={MINUTES.map((n) => ({ value: String(n), label: n === 0 ? t("presiding.recess.open-end") : t("presiding.minutes", { n }) }))}
              testid="recess-minutes"
            />
            <Button testid="recess" disabled={blocked} busy={acting.busy.value} onClick={() => void acting.run(() => command(live, { command: "recess", until: until() }))}>
              {t("presiding.recess.button")}
            </Button>
          </div>
        )}
        <div class="stack-tight">
          <h3>{t("presiding.adjourn")}</h3>
          <p class="hint">{t("presiding.adjourn.text")}</p>
          <Field label={t("presiding.adjourn.when", { zone: meeting.time_zone.replaceAll("_", " ") })} type="datetime-local" value={day.value} onInput={(value) => (day.value = value)} testid="adjourn-until" />
          <Button kind="danger" testid="adjourn" disabled={blocked} busy={acting.busy.value} onClick={() => (asking.value = true)}>
            {t("presiding.adjourn.button")}
          </Button>
        </div>
        <Confirm open={asking.value} title={t("presiding.adjourn.button")} text={t("presiding.adjourn.text")} yes={t("presiding.adjourn.button")} danger onNo={() => (asking.value = false)} onYes={adjourn} />
      </div>
    </details>
  );
}
