/** The meeting room: the speaker large, the agenda as the spine, the vote drawer above the bar, never over it. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api } from "../../api/fetch.ts";
import type { Meeting } from "../../api/types.ts";
import { clock, t, tn, type Key } from "../../i18n/index.ts";
import { navigate } from "../../router.ts";
import { enteringChoice } from "../../state/drafts.ts";
import { offline } from "../../state/link.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { isEnded, isOver } from "../../state/meeting.ts";
import { TurnLine } from "../turn.tsx";
import { enterHall } from "../../state/link.ts";
import { room, RoomControl } from "../../state/room.ts";
import { isGuest, visits } from "../../state/visitors.ts";
import { useAction } from "../../ui/action.ts";
import { alarm, announce } from "../../ui/announce.ts";
import { lazy } from "../../ui/lazy.tsx";
import { Arrow, Button, ConfirmButton, LinkButton, Note, Problem, Title } from "../../ui/parts.tsx";
import { wide } from "../../ui/wide.ts";
import { CosignerKeyTask, CosignTasks } from "../cosigning.tsx";
import { Agenda } from "../meeting.tsx";
import { WithMeeting } from "../with_meeting.tsx";
import { Bar } from "./bar.tsx";
import { BoothDialog } from "./booth_dialog.tsx";
import { staysOpen } from "./hold.ts";
import { LinkCard, LinkMeter, LinkNotice } from "./link_card.tsx";
import { People } from "./people.tsx";
import { MyTurn } from "./my_turn.tsx";
import { Practice } from "./practice.tsx";
import { silenced, startSound } from "./sink.ts";
import { Stage } from "./stage.tsx";
import { SpeakerTimer } from "./timer.tsx";
import { StateBanner } from "./state_banner.tsx";
import { Votes } from "./votes.tsx";
import "./room.css";

// Only chair and tellers load what signs and counts.
const ChairPanel = lazy<{ live: LiveMeeting; meeting: Meeting }>(async () => (await import("./chair.tsx")).ChairPanel, ["closed", "conduct", "ladder", "log", "presiding", "sites", "teller", "visitors", "motions", "speakers"]);
const PapersPanel = lazy<{ live: LiveMeeting; meeting: Meeting }>(async () => (await import("./papers.tsx")).PapersPanel, ["papers"]);
const PresentedNotice = lazy<{ live: LiveMeeting; meeting: Meeting }>(async () => (await import("./papers.tsx")).PresentedNotice, ["papers"]);
const MessagesPanel = lazy<{ live: LiveMeeting; meeting: Meeting }>(async () => (await import("./messages.tsx")).MessagesPanel, ["visitors"]);
const Lobby = lazy<{ live: LiveMeeting; meeting: Meeting }>(async () => (await import("./lobby.tsx")).Lobby, ["visitors"]);
const Visitors = lazy<{ meeting: Meeting }>(async () => (await import("./lobby.tsx")).Visitors, ["visitors"]);
const Knock = lazy<{ live: LiveMeeting; meeting: Meeting }>(async () => (await import("./lobby.tsx")).Knock, ["visitors"]);
const ObserverDoor = lazy<{ live: LiveMeeting; meeting: Meeting }>(async () => (await import("./lobby.tsx")).ObserverDoor, ["visitors"]);
const MotionsPanel = lazy<{ live: LiveMeeting; meeting: Meeting }>(async () => (await import("../motions/motions.tsx")).Motions, ["motions"]);
const CompanionNote = lazy<{ media: RoomControl | null }>(async () => (await import("../sites/companion.tsx")).CompanionNote, ["sites"]);
const HallNote = lazy<{ live: LiveMeeting; meeting: Meeting; site: string }>(async () => (await import("../sites/companion.tsx")).HallNote, ["sites"]);
const PresenceCard = lazy<{ live: LiveMeeting; meeting: Meeting }>(async () => (await import("../sites/presence_card.tsx")).PresenceCard, ["sites"]);
const TellerDesk = lazy<{ live: LiveMeeting; meeting: Meeting }>(async () => (await import("../teller.tsx")).TellerDesk, ["teller"]);

export function RoomScreen({ id, panel }: { id: string; panel: string }) {
  return <WithMeeting id={id}>{(live, meeting) => <Door live={live} meeting={meeting} panel={panel || "agenda"} />}</WithMeeting>;
}

interface Place {
  live: LiveMeeting;
  meeting: Meeting;
  panel: string;
}

/**
 * The room, or why there is none. The booth is above both: a cut or a lost lease takes a member out of the room for a
 * while, and must not take away what they are voting on.
 */
function Door({ live, meeting, panel }: Place) {
  const booth = useSignal("");
  return (
    <>
      <Inside live={live} meeting={meeting} panel={panel} onBooth={(address) => (booth.value = address)} />
      {booth.value && !meeting.me.removed && (
        <BoothDialog
          meeting={meeting}
          address={booth.value}
          media={room.value}
          hall={live.hall !== ""}
          onClose={() => {
            booth.value = "";
            queueMicrotask(focusRoom);
            void live.refresh();
          }}
        />
      )}
    </>
  );
}

function Inside({ live, meeting, panel, onBooth }: Place & { onBooth: (address: string) => void }) {
  if (meeting.me.removed) return <Outside meeting={meeting} text={t("room.removed")} testid="removed" />;
  if (meeting.state === "draft" || meeting.state === "convened") return <Outside meeting={meeting} text={t("check-in.not-yet")} testid="room-closed" />;
  if (meeting.state === "adjourned" || meeting.state === "cancelled") return <Interrupted meeting={meeting} />;
  if (!meeting.me.checked_in && !meeting.me.entitled && !visits(meeting) && meeting.state !== "closed") return <ObserverDoor live={live} meeting={meeting} />;
  if (!meeting.me.checked_in && !visits(meeting) && meeting.state !== "closed") return <MustCheckIn live={live} meeting={meeting} />;
  return <Room live={live} meeting={meeting} panel={panel} onBooth={onBooth} />;
}

function Outside({ meeting, text, testid }: { meeting: Meeting; text: string; testid: string }) {
  return (
    <div class="main stack">
      <Title>{meeting.title}</Title>
      <Note kind="warn" testid={testid}>
        {text}
      </Note>
      <div class="actions">
        <LinkButton kind="main" href={`/meetings/${meeting.id}`}>
          {t("room.to-meeting")}
        </LinkButton>
      </div>
    </div>
  );
}

/** The room is closed until another day, or for good. */
function Interrupted({ meeting }: { meeting: Meeting }) {
  return (
    <div class="main stack" data-testid="room-closed">
      <Title>{meeting.title}</Title>
      <StateBanner meeting={meeting} />
      <div class="actions">
        <LinkButton kind="main" href={`/meetings/${meeting.id}`}>
          {t("room.to-meeting")}
        </LinkButton>
      </div>
    </div>
  );
}

/** A lease that ran out takes the member out of the room; checking in again brings them back. */
function MustCheckIn({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  useEffect(() => {
    // A reconnecting member is put back by the first lease; only then is the check-in asked for.
    const timer = setTimeout(() => void live.refresh(), 1500);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="main stack">
      <Title>{meeting.title}</Title>
      <Note>{t("room.must-check-in")}</Note>
      <div class="actions">
        <LinkButton kind="main" href={`/meetings/${meeting.id}/check-in`} testid="go-check-in">
          {t("meeting.check-in")}
        </LinkButton>
      </div>
    </div>
  );
}

const isOffice = (meeting: Meeting): boolean => meeting.me.roles.some((role) => role === "chair" || role === "secretary");

/** More tabs than this share two even rows: nothing has to be moved sideways to be found. */
const IN_ONE_ROW = 6;

interface PanelInfo {
  name: string;
  title: Key;
  shown: boolean;
}

function panels(meeting: Meeting): PanelInfo[] {
  return [
    { name: "agenda", title: "panel.agenda", shown: true },
    { name: "people", title: "panel.people", shown: true },
    { name: "papers", title: "panel.papers", shown: true },
    { name: "messages", title: "panel.messages", shown: true },
    { name: "motions", title: "panel.motions", shown: !isGuest(meeting) },
    { name: "votes", title: "panel.votes", shown: !isGuest(meeting) },
    { name: "chair", title: "panel.chair", shown: meeting.me.roles.includes("chair") },
    { name: "teller", title: "panel.teller", shown: meeting.me.trustee > 0 },
  ];
}

function Room({ live, meeting, panel, onBooth }: Place & { onBooth: (address: string) => void }) {
  const control = useSignal<RoomControl | null>(null);
  const over = isEnded(meeting);
  useEffect(() => {
    if (over) return;
    if (meeting.me.companion && live.hall === "") enterHall();
    const entered = new RoomControl(live);
    control.value = room.value = entered;
    // In a hall a phone that begins to hear does not begin to send, and what is held to speak is not held yet.
    const silent = meeting.me.companion && live.hall === "";
    const held = live.hall !== "" && !staysOpen.peek();
    const choice = enteringChoice();
    void entered.join({ microphone: choice.microphone && !silent && !held, camera: choice.camera && !silent }).then(startSound);
    return () => {
      entered.leave();
      if (room.peek() === entered) room.value = null;
    };
  }, [over]);
  useVoteAnnouncement(meeting);
  const media = control.value;
  const base = `/meetings/${meeting.id}/room`;
  const shown = panels(meeting).filter((info) => info.shown);
  const working = panel === "chair" || panel === "teller";
  return (
    <div class={`room room-on-${panel} ${over ? "room-over" : ""} ${offline.value && media?.state.value !== "connected" ? "room-away" : ""}`} data-testid="room" data-state={meeting.state} data-media={mediaWord(media)}>
      <Top meeting={meeting} media={media} />
      {!over && (
        <div class="room-stage">
          <Stage meeting={meeting} media={media} />
          <SpeakerTimer meeting={meeting} />
          <SoundNotice media={media} />
          {panel !== "papers" && <PresentedNotice live={live} meeting={meeting} />}
        </div>
      )}
      <nav class={`room-tabs ${shown.length > IN_ONE_ROW ? "room-tabs-many" : ""}`} aria-label={t("panel.nav")}>
        {shown.map((info) => (
          <Button key={info.name} kind="quiet" testid={`panel-${info.name}`} pressed={info.name === panel} onClick={() => navigate(`${base}/${info.name}`, true)}>
            {t(info.title)}
          </Button>
        ))}
      </nav>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <section class="room-panel stack" aria-label={t("panel.content")} tabIndex={0}>
        {over && <Note>{t("meeting.over", { time: clock(meeting.closed_at ?? meeting.starts_at, meeting.time_zone) })}</Note>}
        <StateBanner meeting={meeting} />
        {!over && live.hall !== "" && <HallNote live={live} meeting={meeting} site={live.hall} />}
        {!over && meeting.me.companion && live.hall === "" && <CompanionNote media={media} />}
        {!over && isOffice(meeting) && panel !== "chair" && panel !== "people" && <Knock live={live} meeting={meeting} />}
        {meeting.presence?.me === "asked" && <PresenceCard live={live} meeting={meeting} />}
        {!working && <CosignerKeyTask live={live} meeting={meeting} />}
        {(panel === "agenda" || panel === "people") && <MyTurn live={live} meeting={meeting} />}
        {panel === "agenda" && <AgendaPanel live={live} meeting={meeting} onPractice={() => onBooth("practice")} />}
        {panel === "people" && <People meeting={meeting} />}
        {panel === "people" && <Visitors meeting={meeting} />}
        {panel === "people" && !meeting.me.roles.includes("chair") && <Lobby live={live} meeting={meeting} />}
        {panel === "papers" && <PapersPanel live={live} meeting={meeting} />}
        {panel === "messages" && <MessagesPanel live={live} meeting={meeting} />}
        {panel === "motions" && <MotionsPanel live={live} meeting={meeting} />}
        {panel === "votes" && <Votes meeting={meeting} onPractice={() => onBooth("practice")} />}
        {panel === "chair" && <ChairPanel live={live} meeting={meeting} />}
        {panel === "teller" && <TellerDesk live={live} meeting={meeting} />}
      </section>
      <div class="room-duty" aria-live="polite">
        <CosignTasks live={live} meeting={meeting} compact={!wide.value} />
      </div>
      <VoteDrawer meeting={meeting} onOpen={(election) => onBooth(`${meeting.id}/${election}`)} />
      {!over && <Bar live={live} meeting={meeting} media={media} />}
      {!over && media && <LinkCard media={media} />}
    </div>
  );
}

/** After the booth the focus goes back to what opened it, or to the room's title when that is gone. */
function focusRoom(): void {
  if (document.activeElement === null || document.activeElement === document.body) document.querySelector<HTMLElement>("h1")?.focus();
}

function mediaWord(media: RoomControl | null): string {
  if (!media) return "off";
  if (media.failed.value !== null) return "failed";
  if (media.textOnly.value) return "text";
  return media.state.value === "connected" ? "joined" : "joining";
}

/** Speaks up once when a vote opens and when a result is declared; the focus stays where it is. */
function useVoteAnnouncement(meeting: Meeting): void {
  const known = useRef<Map<string, string> | null>(null);
  useEffect(() => {
    const now = new Map(meeting.elections.map((election) => [election.election, election.state]));
    for (const election of meeting.elections) {
      const before = known.current?.get(election.election);
      if (known.current === null || before === election.state) continue;
      if (election.state === "open") alarm(t("vote.announce-open", { title: election.title }));
      else if (election.state === "void") alarm(t("vote.announce-void", { title: election.title }));
      else if (isOver(election)) announce(t("vote.announce-result", { title: election.title }));
    }
    known.current = now;
  }, [meeting.elections]);
}

function Top({ meeting, media }: { meeting: Meeting; media: RoomControl | null }) {
  const item = meeting.agenda.find((one) => one.state === "current");
  const { quorum } = meeting;
  return (
    <header class="room-top">
      <a href={`/meetings/${meeting.id}`} class="room-back" aria-label={t("room.back")}>
        <Arrow>◀</Arrow>
      </a>
      <div class="room-title">
        <Title>{item ? t("room.item", { n: item.number, title: item.title }) : meeting.title}</Title>
        <p class="room-facts" hidden={meeting.state === "closed"}>
          <span data-testid="quorum" data-met={String(quorum.met)} data-present={quorum.present} data-needed={quorum.needed} class={quorum.met ? "fact-good" : "fact-warn"}>
            {quorum.met ? "✓" : "!"} {t(quorum.met ? "quorum.met" : "quorum.missing", { present: quorum.present, needed: quorum.needed })}
          </span>
          <LinkMeter media={media} />
        </p>
      </div>
    </header>
  );
}

function SoundNotice({ media }: { media: RoomControl | null }) {
  if (!media) return null;
  return (
    <>
      {silenced.value && (
        <Button kind="main" testid="tap-to-hear" onClick={() => void startSound()}>
          {t("room.tap-to-hear")}
        </Button>
      )}
      {media.failed.value !== null && !offline.value && (
        <>
          <Problem error={media.failed.value} />
          <Note kind="warn">{t("room.media-failed")}</Note>
        </>
      )}
      {media.problem.value !== null && <Problem error={media.problem.value} />}
      {media.state.value === "rebuilding" && <Note>{t("room.rebuilding")}</Note>}
      {media.barred.value && (
        <Note kind="warn" testid="media-barred">
          {t("room.barred")}
        </Note>
      )}
      <LinkNotice media={media} />
    </>
  );
}

function AgendaPanel({ live, meeting, onPractice }: { live: LiveMeeting; meeting: Meeting; onPractice: () => void }) {
  const leaving = useAction();
  const leave = async (): Promise<void> => {
    await api.command(meeting.id, { command: "leave" });
    await live.refresh();
    navigate(`/meetings/${meeting.id}`, true);
  };
  return (
    <>
      <TurnLine meeting={meeting} />
      <Agenda meeting={meeting} />
      {meeting.state !== "closed" && meeting.elections.some((election) => election.state === "draft") && <Practice onPractice={onPractice} />}
      {meeting.state !== "closed" && (
        <div class="stack-tight">
          <p class="muted small">{t("room.leave-hint")}</p>
          <Problem error={leaving.error.value} />
          <ConfirmButton kind="danger" testid="end-attendance" title={t("room.leave.title")} text={t("room.leave.text")} yes={t("room.leave.yes")} danger busy={leaving.busy.value} onClick={() => void leaving.run(leave)}>
            {t("room.leave.yes")}
          </ConfirmButton>
        </div>
      )}
    </>
  );
}

/** Above the bar, so that the microphone stays in reach; it takes no focus by itself. */
function VoteDrawer({ meeting, onOpen }: { meeting: Meeting; onOpen: (election: string) => void }) {
  const open = meeting.elections.find((election) => election.state === "open");
  if (!open) return null;
  const inElectorate = meeting.me.credential !== null && meeting.me.checked_in;
  return (
    <section class={`vote-drawer ${open.voted ? "vote-drawer-done" : ""}`} data-testid="vote-drawer" data-election={open.election} aria-label={t("vote.drawer")}>
      <p>
        <span class="strong">▲ {t("vote.open", { title: open.title })}</span>
        <span class="small" data-testid="cast-count">
          {tn("vote.cast", open.cast, { of: open.electorate_size })}
        </span>
      </p>
      {open.voted && <span class="badge badge-good">✓ {t("vote.voted")}</span>}
      {!open.voted && inElectorate && (
        <Button kind="main" testid="vote-open" onClick={() => onOpen(open.election)}>
          {t("vote.button")}
        </Button>
      )}
      {!open.voted && !inElectorate && <span class="small">{t("vote.not-elector")}</span>}
    </section>
  );
}
