/** The meeting's page: where it stands, what it asks of me, agenda and results. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { Meeting } from "../api/types.ts";
import { clock, dayAndTime, t, tn } from "../i18n/index.ts";
import type { LiveMeeting } from "../state/live.ts";
import { levelOf } from "../state/agenda.ts";
import { isEnded, isOver, roomOpen } from "../state/meeting.ts";
import { visits } from "../state/visitors.ts";
import { hasRole } from "../state/session.ts";
import { TurnLine } from "./turn.tsx";
import { announce } from "../ui/announce.ts";
import { Arrow, Card, LinkButton, Note, Title } from "../ui/parts.tsx";
import { CosignerTasks } from "./cosigning.tsx";
import { NoticeCard } from "./notice.tsx";
import { ResultCard } from "./result.tsx";
import { StateBanner } from "./room/state_banner.tsx";
import { WithMeeting } from "./with_meeting.tsx";

export function MeetingPage({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(live, meeting) => (
        <div class="stack" data-testid="meeting" data-state={meeting.state}>
          <StateAnnouncement meeting={meeting} />
          <Title>{meeting.title}</Title>
          <div class="row">
            <span class={roomOpen(meeting) ? "badge badge-live" : "badge"} data-testid="meeting-state">
              {t(`meeting.state.${meeting.state}`)}
            </span>
            <span class="muted">{dayAndTime(meeting.starts_at, meeting.time_zone)}</span>
          </div>
          <StateBanner meeting={meeting} />
          <TurnLine meeting={meeting} />
          <Entry meeting={meeting} />
          <Tasks live={live} meeting={meeting} />
          <NoticeCard live={live} meeting={meeting} />
          <Agenda meeting={meeting} />
          <Results meeting={meeting} />
          <p>
            <a href={`/meetings/${meeting.id}/motions`} data-testid="go-motions">
              {t("motions.link")}
            </a>
          </p>
          <AttendanceLink meeting={meeting} />
          <MinutesLink meeting={meeting} />
        </div>
      )}
    </WithMeeting>
  );
}

function AttendanceLink({ meeting }: { meeting: Meeting }) {
  if (meeting.state === "draft" || meeting.state === "convened" || meeting.state === "cancelled") return null;
  return (
    <p>
      <a href={`/meetings/${meeting.id}/attendance`} data-testid="go-attendance">
        {t("meeting.attendance")}
      </a>
    </p>
  );
}

/** Says aloud when the meeting moves on while this page is open. */
function StateAnnouncement({ meeting }: { meeting: Meeting }) {
  const known = useRef(meeting.state);
  useEffect(() => {
    if (known.current !== meeting.state) announce(t(`meeting.state.${meeting.state}`));
    known.current = meeting.state;
  }, [meeting.state]);
  return null;
}

/** The one main action of this page. */
function Entry({ meeting }: { meeting: Meeting }) {
  const onRoll = useOnRoll(meeting);
  const base = `/meetings/${meeting.id}`;
  if (meeting.me.removed) return <Note kind="warn">{t("meeting.removed")}</Note>;
  if (meeting.state === "cancelled") return null;
  if (meeting.state === "closed") return <Note>{t("meeting.over", { time: clock(meeting.closed_at ?? meeting.starts_at, meeting.time_zone) })}</Note>;
  if (meeting.me.checked_in || visits(meeting)) {
    return (
      <div class="actions">
        <LinkButton kind="main" href={`${base}/room`} testid="go-room">
          {t("room.enter")}
        </LinkButton>
      </div>
    );
  }
  if (!hasRole("member")) return <Observe meeting={meeting} why={t("meeting.not-member")} />;
  if (!onRoll) return <Observe meeting={meeting} why={t("meeting.not-on-roll")} />;
  if (roomOpen(meeting)) {
    return (
      <div class="actions">
        <LinkButton kind="main" href={`${base}/check-in`} testid="go-check-in">
          {t("meeting.check-in")}
        </LinkButton>
      </div>
    );
  }
  return <Note>{t("meeting.wait")}</Note>;
}

/** Who does not vote here may ask to come in and listen. */
function Observe({ meeting, why }: { meeting: Meeting; why: string }) {
  return (
    <>
      <Note testid="not-on-roll">{why}</Note>
      {roomOpen(meeting) && (
        <div class="actions">
          <LinkButton href={`/meetings/${meeting.id}/room`} testid="go-observe">
            {t("meeting.observe")}
          </LinkButton>
        </div>
      )}
    </>
  );
}

/** Whether the frozen roll lists me; members are told so before it is frozen. */
function useOnRoll(meeting: Meeting): boolean {
  const listed = useSignal(true);
  useEffect(() => {
    if (!meeting.roll.frozen) return;
    api.roll(meeting.id).then(
      (roll) => (listed.value = roll.mine !== null),
      () => undefined, // then the check-in itself says so
    );
  }, [meeting.roll.frozen]);
  return listed.value;
}

function Tasks({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const base = `/meetings/${meeting.id}`;
  const { roles, trustee } = meeting.me;
  const halls = isEnded(meeting) ? [] : meeting.sites.filter((site) => site.kind === "hall" && site.custodian === meeting.me.member);
  const tellerLater = roles.includes("teller") && !meeting.roll.frozen && !isEnded(meeting);
  const prepares = (roles.includes("secretary") || roles.includes("registrar") || roles.includes("chair")) && !isEnded(meeting);
  return (
    <>
      <CosignerTasks live={live} meeting={meeting} />
      {prepares && (
        <Task name="prepare" title={t("task.prepare.title")} text={prepareText(meeting)} href={`${base}/prepare`} action={t("task.prepare.button")} testid="go-prepare" />
      )}
      {halls.map((site) => (
        <Task key={site.site} name="hall" title={t("task.hall.title", { name: site.name })} text={t("task.hall.text")} href={`${base}/hall/${site.site}`} action={t("task.hall.button")} testid="go-hall" />
      ))}
      {tellerLater && <Note testid="teller-later">{t("task.teller.later")}</Note>}
      {trustee > 0 && (meeting.state !== "closed" || meeting.key.state === "ready") && (
        <Task
          name="teller"
          title={t("teller.title")}
          text={tellerText(meeting)}
          href={`${base}/teller`}
          action={t("task.teller.button")}
          testid="go-teller"
        />
      )}
      {roles.includes("auditor") && <Task name="audit" title={t("audit.title")} text={t("task.audit.text")} href={`${base}/audit`} action={t("task.audit.button")} testid="go-audit" />}
    </>
  );
}

function tellerText(meeting: Meeting): string {
  if (meeting.state === "closed") return t("task.teller.keep");
  return meeting.key.state === "ready" ? t("task.teller.ready") : t("task.teller.text");
}

function prepareText(meeting: Meeting): string {
  if (!meeting.roll.frozen) return t("task.prepare.roll");
  return meeting.state === "draft" ? t("task.prepare.convene") : t("task.prepare.questions");
}

function Task(props: { name: string; title: string; text: string; href: string; action: string; testid: string }) {
  return (
    <section class="card task" data-testid="task" data-task={props.name}>
      <h2>{props.title}</h2>
      <p>{props.text}</p>
      <div class="actions">
        <LinkButton href={props.href} testid={props.testid}>
          {props.action}
        </LinkButton>
      </div>
    </section>
  );
}

const MARKS = { waiting: "·", current: "▶", done: "✓", deferred: "↷" } as const;

export function Agenda({ meeting }: { meeting: Meeting }) {
  return (
    <Card title={t("agenda")}>
      <ol class="list agenda">
        {meeting.agenda.map((item) => (
          <li key={item.id} class={`agenda-level-${levelOf(item)}`} data-testid="agenda-item" data-item={item.id} data-state={item.state} aria-current={item.state === "current" ? "step" : undefined}>
            <span class="mark" aria-hidden="true">
              {item.state === "current" || item.state === "deferred" ? <Arrow>{MARKS[item.state]}</Arrow> : MARKS[item.state]}
            </span>
            <span>
              <span class="muted">{item.number}</span> {item.title} {item.internal && <span class="badge">{t("agenda.internal")}</span>}
              {item.minutes > 0 && <span class="hint">{t("agenda.minutes", { n: item.minutes })}</span>}
              {item.carried_from !== "" && <span class="hint">{t("agenda.carried", { title: item.carried_from })}</span>}
              {meeting.elections
                .filter((election) => election.agenda_item === item.id)
                .map((election) => (
                  <span key={election.election} class="hint">
                    {t("agenda.vote", { title: election.title })}
                  </span>
                ))}
            </span>
            <span class="small muted">{t(`agenda.state.${item.state}`)}</span>
          </li>
        ))}
      </ol>
      <p class="muted small">{meeting.roll.frozen ? tn("meeting.quorum", meeting.quorum.needed, { roll: meeting.quorum.roll }) : `${t("quorum")}: ${t("new-meeting.quorum-words", { num: meeting.quorum.num, den: meeting.quorum.den })}`}</p>
    </Card>
  );
}

function MinutesLink({ meeting }: { meeting: Meeting }) {
  const { roles } = meeting.me;
  const officer = roles.includes("chair") || roles.includes("secretary") || roles.includes("auditor");
  if (meeting.opened_at === null || !(officer || meeting.state === "closed")) return null;
  return (
    <p>
      <a href={`/meetings/${meeting.id}/minutes`} data-testid="go-minutes">
        {t("minutes.link")}
      </a>
    </p>
  );
}

function Results({ meeting }: { meeting: Meeting }) {
  const over = meeting.elections.filter(isOver);
  if (over.length === 0) return null;
  return (
    <>
      <h2>{t("results.title")}</h2>
      {over.map((election) => (
        <ResultCard key={election.election} election={election} meeting={meeting.id} />
      ))}
      {!meeting.me.roles.includes("auditor") && (
        <p>
          <a href={`/meetings/${meeting.id}/audit`} data-testid="go-audit">
            {t("results.audit")}
          </a>
        </p>
      )}
    </>
  );
}
