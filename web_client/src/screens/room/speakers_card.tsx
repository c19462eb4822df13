/** The chair's list of speakers: who speaks and how long, who comes next, and the rules. */
import { useSignal } from "@preact/signals";
import { api } from "../../api/fetch.ts";
import { floor as requests } from "../../api/floor.ts";
import type { Command, Meeting } from "../../api/types.ts";
import type { Turn } from "../../api/types_floor.ts";
import { clock, t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { type Action, useAction } from "../../ui/action.ts";
import { Arrow, Button, Card, Field, Form, Note } from "../../ui/parts.tsx";
import { asClock, kindText, TurnClock } from "./timer.tsx";

interface Props {
  live: LiveMeeting;
  meeting: Meeting;
  acting: Action;
}

const MORE_S = 60;

export function SpeakersCard({ live, meeting, acting }: Props) {
  const { now, queue, open } = meeting.speaking;
  const send = (what: Command): void =>
    void acting.run(async () => {
      await live.upTo((await api.command(live.id, what)).seq);
    });
  return (
    <Card title={t("floor.title")}>
      <fieldset class="stack-tight">
        <legend class="visually-hidden">{t("floor.mode")}</legend>
        <div class="row">
          {(["open", "chaired"] as const).map((mode) => (
            <Button key={mode} testid={`floor-mode-${mode}`} pressed={meeting.floor.mode === mode} onClick={() => send({ command: "set-floor-mode", mode })}>
              {t(`floor.mode.${mode}`)}
            </Button>
          ))}
        </div>
        <p class="hint">{t(`floor.hint.${meeting.floor.mode}`)}</p>
      </fieldset>
      {now && <Speaks turn={now} send={send} />}
      <div class="actions">
        <Button kind="main" testid="next-speaker" disabled={queue.length === 0} onClick={() => send({ command: "next-speaker" })}>
          {queue[0] ? t("speak.call", { name: queue[0].name }) : t("speak.call-nobody")}
        </Button>
      </div>
      <div data-testid="queue" data-open={String(open)} class="stack-tight">
        <h3>{t("queue.title")}</h3>
        {!open && <Note>{t("speak.closed")}</Note>}
        {queue.length === 0 && <p class="muted">{t("queue.empty")}</p>}
        <ol class="list">
          {queue.map((turn, index) => (
            <Waits key={turn.turn} turn={turn} place={index + 1} send={send} />
          ))}
        </ol>
        <div class="actions">
          <Button testid="queue-toggle" onClick={() => send({ command: open ? "close-queue" : "open-queue" })}>
            {t(open ? "speak.close-queue" : "speak.open-queue")}
          </Button>
        </div>
      </div>
      <Groups meeting={meeting} />
      <Rules live={live} meeting={meeting} />
    </Card>
  );
}

function Speaks({ turn, send }: { turn: Turn; send: (what: Command) => void }) {
  const paused = turn.state === "paused";
  return (
    <section class="stack-tight speaks" data-testid="speaks" data-person={turn.person} data-state={turn.state} aria-label={t("speak.now")}>
      <p>
        <Arrow>▶</Arrow> {t("floor.has", { name: turn.name })} <span class="badge">{kindText(turn)}</span>
      </p>
      <TurnClock turn={turn} />
      <div class="actions">
        <Button testid={`withdraw-${turn.person}`} onClick={() => send({ command: "withdraw-floor", member: turn.person })}>
          {t("floor.thank")}
        </Button>
        <Button testid="pause-turn" pressed={paused} onClick={() => send({ command: paused ? "resume-turn" : "pause-turn" })}>
          {t(paused ? "speak.resume" : "speak.pause")}
        </Button>
        {turn.limit_s > 0 && (
          <Button testid="extend-turn" onClick={() => send({ command: "extend-turn", seconds: MORE_S })}>
            {t("speak.more")}
          </Button>
        )}
      </div>
    </section>
  );
}

function Waits({ turn, place, send }: { turn: Turn; place: number; send: (what: Command) => void }) {
  return (
    <li class="row-between" data-testid="waits" data-person={turn.person} data-kind={turn.kind}>
      <span>
        {place}. <span class="strong">{turn.name}</span> <span class={turn.kind === "point-of-order" ? "badge badge-warn" : "badge"}>{kindText(turn)}</span>{" "}
        <span class="muted small">{t("queue.since", { time: clock(turn.asked_at) })}</span>
      </span>
      <Button testid={`grant-${turn.person}`} label={t("speak.give", { name: turn.name })} onClick={() => send({ command: "grant-floor", member: turn.person })}>
        {t("floor.give")}
      </Button>
    </li>
  );
}

/** What each group has spoken on this item; only where groups have a limit. */
function Groups({ meeting }: { meeting: Meeting }) {
  const { group_s, groups } = meeting.speaking;
  if (group_s === 0 || groups.length === 0) return null;
  return (
    <table class="group-times" data-testid="group-times">
      <caption>{t("speak.groups", { limit: asClock(group_s) })}</caption>
      <thead>
        <tr>
          <th scope="col">{t("speak.group")}</th>
          <th scope="col">{t("speak.spoken")}</th>
        </tr>
      </thead>
      <tbody>
        {groups.map((one) => (
          <tr key={one.group}>
            <th scope="row">{one.name || t("speak.group-unnamed")}</th>
            <td>
              {asClock(one.spoken_s)} {one.spoken_s >= group_s && <span class="badge badge-warn">{t("speak.used-up")}</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Rules({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const { turn_s, group_s, order_s } = meeting.speaking;
  const saving = useAction();
  const turn = useSignal(String(turn_s));
  const group = useSignal(String(group_s));
  const order = useSignal(String(order_s));
  const save = async (): Promise<void> => {
    await requests.setRules(live.id, { turn_s: Number(turn.value), group_s: Number(group.value), order_s: Number(order.value) });
    await live.refresh();
  };
  return (
    <details data-testid="speaking-rules">
      <summary>{t("speak.rules")}</summary>
      <Form action={saving} work={save} submit={t("speak.rules-save")} testid="speaking-rules-save" kind="plain">
        <Field label={t("speak.rule.turn")} hint={t("speak.rule.none")} type="number" min={0} value={turn.value} onInput={(value) => (turn.value = value)} testid="rule-turn" required />
        <Field label={t("speak.rule.order")} type="number" min={0} value={order.value} onInput={(value) => (order.value = value)} testid="rule-order" required />
        <Field label={t("speak.rule.group")} hint={t("speak.rule.group-hint")} type="number" min={0} value={group.value} onInput={(value) => (group.value = value)} testid="rule-group" required />
      </Form>
    </details>
  );
}
