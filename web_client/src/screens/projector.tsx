/** For the wall of the hall: item, speaker with the clock, queue, quorum, open vote, result; large, dark, nothing to press. */
import { useEffect, useRef } from "preact/hooks";
import type { ElectionSummary, Meeting } from "../api/types.ts";
import type { Turn } from "../api/types_floor.ts";
import { clock, t, tn } from "../i18n/index.ts";
import { hasResult, isRunning } from "../state/meeting.ts";
import { spokenAt } from "../state/speaking.ts";
import { useServerTime } from "../ui/server_time.ts";
import { span } from "../ui/time.ts";
import { QuestionResults } from "./result.tsx";
import { StateBanner } from "./room/state_banner.tsx";
import { WithMeeting } from "./with_meeting.tsx";
import "./projector.css";

const QUEUE_SHOWN = 5;

export function Projector({ id }: { id: string }) {
  return <WithMeeting id={id}>{(_, meeting) => <Wall meeting={meeting} />}</WithMeeting>;
}

function Wall({ meeting }: { meeting: Meeting }) {
  const now = useServerTime();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.documentElement.dataset["ready"] = "";
    document.title = `${meeting.title} · Folkmoot`;
  });
  const item = meeting.agenda.find((one) => one.state === "current");
  const election = meeting.elections.find(isRunning);
  const declared = meeting.elections.filter((one) => hasResult(one) && one.agenda_item === item?.id).at(-1);
  return (
    <div class="wall" data-testid="projector" data-state={meeting.state}>
      <header class="wall-top">
        <p>{meeting.title}</p>
        <p class="wall-clock">{clock(now.value, meeting.time_zone)}</p>
      </header>
      <h1 ref={heading} class="wall-item" data-testid="wall-item">
        {item ? `${item.number} ${item.title}` : t(`meeting.state.${meeting.state}`)}
      </h1>
      <StateBanner meeting={meeting} />
      {election ? <OpenVote election={election} now={now.value} /> : declared ? <Declared election={declared} /> : <Speakers meeting={meeting} now={now.value} />}
      <footer class={`wall-quorum ${meeting.quorum.met ? "wall-good" : "wall-bad"}`} data-testid="wall-quorum" data-met={String(meeting.quorum.met)}>
        <span class="wall-light" aria-hidden="true">
          {meeting.quorum.met ? "●" : "▲"}
        </span>
        {t(meeting.quorum.met ? "quorum.met" : "quorum.missing", { present: meeting.quorum.present, needed: meeting.quorum.needed })}
      </footer>
    </div>
  );
}

function OpenVote({ election, now }: { election: ElectionSummary; now: number }) {
  const left = election.ends_at - now;
  return (
    <section class="wall-vote" data-testid="wall-vote" data-cast={election.cast}>
      <p class="wall-word">▲ {t(election.state === "open" ? "wall.vote" : "wall.counting")}</p>
      <p class="wall-name">{election.title}</p>
      <p class="wall-number">{tn("wall.cast", election.cast, { of: election.electorate_size })}</p>
      {election.state === "open" && left > 0 && <p class="wall-number">{t("wall.left", { left: span(left) })}</p>}
    </section>
  );
}

function Declared({ election }: { election: ElectionSummary }) {
  if (election.result === null) return null;
  return (
    <section class="wall-result" data-testid="wall-result">
      <p class="wall-name">{election.title}</p>
      <QuestionResults election={election} core={election.result} />
    </section>
  );
}

function TurnClock({ turn, now }: { turn: Turn; now: number }) {
  const seconds = spokenAt(turn, now);
  const over = turn.limit_s > 0 && seconds > turn.limit_s;
  return (
    <p class={`wall-number ${over ? "wall-bad" : ""}`} data-testid="wall-turn">
      {turn.limit_s > 0 ? t("wall.of", { spent: span(seconds), limit: span(turn.limit_s) }) : span(seconds)}
      {turn.state === "paused" && ` · ${t("wall.paused")}`}
      {over && ` · ${t("wall.over", { left: span(seconds - turn.limit_s) })}`}
    </p>
  );
}

function Speakers({ meeting, now }: { meeting: Meeting; now: number }) {
  const { now: turn, queue: waiting } = meeting.speaking;
  const names = turn === null ? meeting.present.filter((person) => person.floor).map((person) => person.name) : [turn.name];
  return (
    <section class="wall-speakers" data-testid="wall-speakers">
      {names.map((name) => (
        <p key={name} class="wall-name">
          ▶ {name}
        </p>
      ))}
      {turn !== null && <TurnClock turn={turn} now={now} />}
      {waiting.length > 0 && (
        <ol class="wall-queue" aria-label={t("wall.queue")}>
          {waiting.slice(0, QUEUE_SHOWN).map((one) => (
            <li key={one.turn}>{one.name}</li>
          ))}
        </ol>
      )}
      {waiting.length > QUEUE_SHOWN && <p>{tn("wall.more", waiting.length - QUEUE_SHOWN)}</p>}
    </section>
  );
}
