/** Home: only what asks something of the member, the most urgent first. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { Meeting, MeetingCard } from "../api/types.ts";
import { dayAndTime, t } from "../i18n/index.ts";
import { drop, keptAt, keptNames, recall, remember } from "../state/cache.ts";
import { isOutside } from "../state/closed.ts";
import { offline, showsKept } from "../state/link.ts";
import { isEnded, isRunning, roomOpen } from "../state/meeting.ts";
import { hasRole, session } from "../state/session.ts";
import { type Duty, duties, hallToOpen, pageOf } from "../state/tasks.ts";
import { useAction } from "../ui/action.ts";
import { LinkButton, Loading, Problem, Title } from "../ui/parts.tsx";
import { TurnLine } from "./turn.tsx";

const REFRESH_MS = 15_000;
const CACHED = "meetings";
/** Meetings whose tasks are looked up: those of now, then the next ones. */
const LOOKED_INTO = 4;

type Group = "now" | "soon" | "past";

const groupOf = (meeting: MeetingCard): Group => {
  if (roomOpen(meeting)) return "now";
  return isEnded(meeting) ? "past" : "soon";
};

const inOrder = (meetings: readonly MeetingCard[], group: Group): MeetingCard[] =>
  meetings
    .filter((meeting) => groupOf(meeting) === group)
    .sort((a, b) => (group === "past" ? b.starts_at - a.starts_at : a.starts_at - b.starts_at));

/** Says that the notices shown here have arrived; what fails is said again at the next look. */
function confirmDelivery(meetings: readonly MeetingCard[]): void {
  for (const { id } of meetings.filter((meeting) => meeting.notice === "sent" && !isEnded(meeting))) void api.confirmReceipt(id, "delivered").catch(() => undefined);
}

/** What is known of a meeting, kept for the next time; nothing while its session is closed to us. */
async function look(id: string): Promise<Meeting | null> {
  const snapshot = await api.meeting(id);
  if (!isOutside(snapshot)) return remember(`meeting.${id}`, snapshot);
  drop(`meeting.${id}`);
  return null;
}

/** The nearest meetings as they stand; one that cannot be read is shown without its tasks. */
async function lookInto(meetings: readonly MeetingCard[]): Promise<Map<string, Meeting>> {
  const near = [...inOrder(meetings, "now"), ...inOrder(meetings, "soon"), ...(hasRole("auditor") ? inOrder(meetings, "past") : [])].slice(0, LOOKED_INTO);
  const read = await Promise.all(near.map(({ id }) => look(id).catch(() => null)));
  return new Map(read.filter((meeting) => meeting !== null).map((meeting) => [meeting.id, meeting] as const));
}

function kept(meetings: readonly MeetingCard[]): Map<string, Meeting> {
  const found = meetings.map(({ id }) => recall<Meeting>(`meeting.${id}`));
  return new Map(found.flatMap((meeting) => (meeting === null ? [] : [[meeting.id, meeting] as const])));
}

export function Home() {
  const meetings = useSignal<MeetingCard[] | null>(recall<MeetingCard[]>(CACHED));
  const details = useSignal<Map<string, Meeting>>(kept(meetings.peek() ?? []));
  const loading = useAction();
  useEffect(() => {
    showsKept(keptAt(CACHED));
    const load = async (): Promise<void> => {
      const list = remember(CACHED, (await api.meetings()).meetings);
      confirmDelivery(list);
      const found = await lookInto(list);
      meetings.value = list;
      details.value = found;
    };
    void loading.run(load);
    const timer = setInterval(() => void loading.run(load), REFRESH_MS);
    return () => clearInterval(timer);
  }, []);

  const of = (group: Group): MeetingCard[] => inOrder(meetings.value ?? [], group);
  const [now, soon, past] = [of("now"), of("soon"), of("past")];
  return (
    <div class="stack" data-testid="home">
      <Title>
        {t("home.hello")} <span data-testid="member-name">{session.value?.member.name}</span>
      </Title>
      {meetings.value === null && loading.busy.value && <Loading />}
      {meetings.value === null && (offline.value ? <OnDevice /> : <Problem error={loading.error.value} />)}
      {now.map((meeting) => (
        <NowCard key={meeting.id} meeting={meeting} detail={details.value.get(meeting.id)} />
      ))}
      {soon.length > 0 && <h2>{t("home.soon")}</h2>}
      {soon.map((meeting) => (
        <QuietCard key={meeting.id} meeting={meeting} detail={details.value.get(meeting.id)} />
      ))}
      {meetings.value?.length === 0 && (
        <div class="card">
          <p>{t(hasRole("secretary", "chair") ? "home.empty-officer" : "home.empty")}</p>
        </div>
      )}
      {meetings.value !== null && now.length + soon.length === 0 && past.length > 0 && <p class="muted">{t("home.nothing")}</p>}
      {past.length > 0 && <h2>{t("home.past")}</h2>}
      {past.map((meeting) => (
        <QuietCard key={meeting.id} meeting={meeting} detail={details.value.get(meeting.id)} />
      ))}
      {hasRole("secretary", "chair") && (
        <div class="actions">
          <LinkButton href="/meetings/new" testid="new-meeting">
            {t("home.new-meeting")}
          </LinkButton>
        </div>
      )}
    </div>
  );
}

/** Without the list, which has never been looked at here: the meetings that were. */
function OnDevice() {
  const found = keptNames("meeting.").flatMap((id) => recall<Meeting>(`meeting.${id}`) ?? []);
  if (found.length === 0) return <p class="muted">{t("home.kept.none")}</p>;
  return (
    <>
      <h2>{t("home.kept")}</h2>
      {found.map((meeting) => (
        <section key={meeting.id} class="card" data-testid="meeting-kept">
          <h3>
            <a href={`/meetings/${meeting.id}`}>{meeting.title}</a>
          </h3>
        </section>
      ))}
    </>
  );
}

const cardData = (meeting: MeetingCard) => ({ "data-meeting": meeting.id, "data-state": meeting.state });

interface CardProps {
  meeting: MeetingCard;
  detail?: Meeting | undefined;
}

/** What this meeting asks of me, or whose turn it is. */
function Asked({ detail, main }: { detail: Meeting | undefined; main: boolean }) {
  if (detail === undefined) return null;
  const asked = duties(detail, hasRole("member"));
  return (
    <>
      {asked.length === 0 && <TurnLine meeting={detail} />}
      {asked.length > 0 && <p class="strong">{t("home.asked")}</p>}
      <ul class="stack-tight">
        {asked.map((duty, index) => (
          <li key={duty} class="actions" data-testid="task" data-task={duty}>
            <LinkButton href={pageOf(detail.id, duty)} kind={main && index === 0 ? "main" : "plain"} testid={duty === "vote" ? "vote-button" : undefined}>
              {dutyText(detail, duty)}
            </LinkButton>
          </li>
        ))}
      </ul>
    </>
  );
}

function dutyText(meeting: Meeting, duty: Duty): string {
  const hall = duty === "hall" ? hallToOpen(meeting)?.name : undefined;
  return t(`duty.${duty}`, { title: hall ?? meeting.elections.find(isRunning)?.title ?? meeting.title });
}

function NowCard({ meeting, detail }: CardProps) {
  return (
    <section class="card card-live" data-testid="meeting-card" {...cardData(meeting)}>
      <div class="row">
        <span class="badge badge-live">● {t("home.live")}</span>
        {meeting.open_election !== null && <span class="badge badge-warn">▲ {t("home.vote-open")}</span>}
      </div>
      <h2>{meeting.title}</h2>
      <Asked detail={detail} main />
      <div class="actions">
        <LinkButton href={`/meetings/${meeting.id}`} kind={detail && duties(detail, hasRole("member")).length > 0 ? "plain" : "main"} testid="join-button">
          {t("home.join")}
        </LinkButton>
      </div>
    </section>
  );
}

function QuietCard({ meeting, detail }: CardProps) {
  return (
    <section class="card" data-testid="meeting-card" {...cardData(meeting)}>
      <div class="row-between">
        <h3>
          <a href={`/meetings/${meeting.id}`}>{meeting.title}</a>
        </h3>
        <span class="badge">{t(`meeting.state.${meeting.state}`)}</span>
      </div>
      <p class="muted">{meeting.state === "adjourned" && meeting.until > 0 ? t("home.continues", { time: dayAndTime(meeting.until, meeting.time_zone) }) : dayAndTime(meeting.starts_at, meeting.time_zone)}</p>
      {meeting.excused && !isEnded(meeting) && <p class="muted">{t("home.excused")}</p>}
      <Asked detail={detail} main={false} />
    </section>
  );
}
