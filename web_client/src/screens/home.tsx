/** Home: only what asks something of the member, the most urgent first. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { MeetingCard } from "../api/types.ts";
import { dayAndTime, t } from "../i18n/index.ts";
import { recall, remember } from "../state/cache.ts";
import { hasRole, session } from "../state/session.ts";
import { useAction } from "../ui/action.ts";
import { LinkButton, Loading, Problem, Title } from "../ui/parts.tsx";

const REFRESH_MS = 15_000;
const CACHED = "meetings";

type Group = "now" | "soon" | "past";

const groupOf = (meeting: MeetingCard): Group => {
  if (meeting.state === "opened" || meeting.state === "checking-in") return "now";
  return meeting.state === "closed" ? "past" : "soon";
};

export function Home() {
  const meetings = useSignal<MeetingCard[] | null>(recall<MeetingCard[]>(CACHED));
  const loading = useAction();
  useEffect(() => {
    const load = async (): Promise<void> => {
      meetings.value = remember(CACHED, (await api.meetings()).meetings);
    };
    void loading.run(load);
    const timer = setInterval(() => void loading.run(load), REFRESH_MS);
    return () => clearInterval(timer);
  }, []);

  const of = (group: Group): MeetingCard[] =>
    (meetings.value ?? [])
      .filter((meeting) => groupOf(meeting) === group)
      .toSorted((a, b) => (group === "past" ? b.starts_at - a.starts_at : a.starts_at - b.starts_at));
  const [now, soon, past] = [of("now"), of("soon"), of("past")];
  return (
    <div class="stack" data-testid="home">
      <Title>
        {t("home.hello")} <span data-testid="member-name">{session.value?.member.name}</span>
      </Title>
      {meetings.value === null && loading.busy.value && <Loading />}
      {meetings.value === null && <Problem error={loading.error.value} />}
      {now.map((meeting) => (
        <NowCard key={meeting.id} meeting={meeting} />
      ))}
      {soon.length > 0 && <h2>{t("home.soon")}</h2>}
      {soon.map((meeting) => (
        <QuietCard key={meeting.id} meeting={meeting} />
      ))}
      {meetings.value?.length === 0 && (
        <div class="card">
          <p>{t("home.empty")}</p>
        </div>
      )}
      {meetings.value !== null && now.length + soon.length === 0 && past.length > 0 && <p class="muted">{t("home.nothing")}</p>}
      {past.length > 0 && <h2>{t("home.past")}</h2>}
      {past.map((meeting) => (
        <QuietCard key={meeting.id} meeting={meeting} />
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

const cardData = (meeting: MeetingCard) => ({ "data-meeting": meeting.id, "data-state": meeting.state });

function NowCard({ meeting }: { meeting: MeetingCard }) {
  return (
    <section class="card card-live" data-testid="meeting-card" {...cardData(meeting)}>
      <div class="row">
        <span class="badge badge-live">● {t("home.live")}</span>
        {meeting.open_election !== null && <span class="badge badge-warn">▲ {t("home.vote-open")}</span>}
      </div>
      <h2>{meeting.title}</h2>
      <div class="actions">
        <LinkButton href={`/meetings/${meeting.id}`} kind="main" testid="join-button">
          {t("home.join")}
        </LinkButton>
        {meeting.open_election !== null && (
          <LinkButton href={`/meetings/${meeting.id}/room/votes`} testid="vote-button">
            {t("home.vote")}
          </LinkButton>
        )}
      </div>
    </section>
  );
}

function QuietCard({ meeting }: { meeting: MeetingCard }) {
  return (
    <section class="card" data-testid="meeting-card" {...cardData(meeting)}>
      <div class="row-between">
        <h3>
          <a href={`/meetings/${meeting.id}`}>{meeting.title}</a>
        </h3>
        <span class="badge">{t(`meeting.state.${meeting.state}`)}</span>
      </div>
      <p class="muted">{dayAndTime(meeting.starts_at, meeting.time_zone)}</p>
    </section>
  );
}
