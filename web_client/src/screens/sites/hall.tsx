/** A hall's page, kept open on the hall's computer by its custodian: line test, code, seats, members without a phone. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { sites } from "../../api/sites.ts";
import type { Meeting } from "../../api/types.ts";
import type { SeatLine, Site } from "../../api/types_sites.ts";
import { sha256 } from "@noble/hashes/sha2.js";
import { b64u, jcs } from "../../ballot/encoding.ts";
import { clock, t, tn } from "../../i18n/index.ts";
import { route } from "../../router.ts";
import { checkInAtKiosk, leaveAtKiosk } from "../../state/kiosk_check_in.ts";
import { keepHall } from "../../state/hall_tab.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { isEnded, isRunning, roomOpen } from "../../state/meeting.ts";
import { siteIsOut } from "../../state/closed.ts";
import { cutSince } from "../../state/cut.ts";
import { checkSeats, presentAt, siteOf } from "../../state/sites.ts";
import { signAction } from "../../state/sign.ts";
import { useAction } from "../../ui/action.ts";
import { onceMore } from "../../ui/look_again.ts";
import { Button, Card, Check, ConfirmButton, LinkButton, Note, Problem, Title } from "../../ui/parts.tsx";
import { HallSteps } from "../closed/hall_steps.tsx";
import { WithMeeting } from "../with_meeting.tsx";
import { CodeCard } from "./code_card.tsx";
import { KioskFrame } from "./kiosk_frame.tsx";
import { heads, Light } from "./light.tsx";
import { LineTestCard } from "./line_test.tsx";
import { ScreenPart } from "./screen_part.tsx";
import "./sites.css";

interface Hall {
  live: LiveMeeting;
  meeting: Meeting;
  site: Site;
}

export function HallScreen({ id, panel }: { id: string; panel: string }) {
  return (
    <WithMeeting id={id}>
      {(live, meeting) => {
        const site = siteOf(meeting, panel || route.peek().panel);
        if (site === undefined || site.kind !== "hall") return <NoHall meeting={meeting} />;
        return <HallPage live={live} meeting={meeting} site={site} />;
      }}
    </WithMeeting>
  );
}

function NoHall({ meeting }: { meeting: Meeting }) {
  return (
    <div class="stack">
      <Title>{t("hall.none")}</Title>
      <Note kind="warn">{t("hall.none.text")}</Note>
      <LinkButton href={`/meetings/${meeting.id}`}>{t("go.back")}</LinkButton>
    </div>
  );
}

function HallPage({ live, meeting, site }: Hall) {
  const mine = site.custodian === meeting.me.member;
  const office = meeting.me.roles.includes("chair") || meeting.me.roles.includes("secretary");
  // What the main room said of the hall is from before the cut.
  const shown: Site = cutSince.value > 0 ? { ...site, state: "lost", since: cutSince.value } : site;
  useEffect(() => {
    if (!mine) return;
    keepHall(meeting.id, site.site); // this tab keeps the hall connected, its room is the hall's
    live.socket.hurry(); // said now, not with the next lease
  }, [mine, site.site]);
  return (
    <div class="stack" data-testid="hall" data-site={site.site} data-state={shown.state}>
      <p>
        <a href={`/meetings/${meeting.id}`}>← {meeting.title}</a>
      </p>
      <Title>{site.name}</Title>
      <div class="row">
        <Light site={shown} zone={meeting.time_zone} />
        <span class="badge" data-testid="hall-present">
          {heads(presentAt(meeting, site.site), site)}
        </span>
        {mine && <PapersHere live={live} />}
      </div>
      {!mine && !office && <Note kind="warn">{t("hall.custodian-only", { name: site.custodian_name })}</Note>}
      {mine && siteIsOut(meeting, site.site) && (
        <Card title={t("closed.hall.title", { name: site.name })} testid="hall-outside">
          <HallSteps address="" />
        </Card>
      )}
      {mine && <Connected live={live} />}
      {mine && <LineTestCard live={live} meeting={meeting} site={site} />}
      {(mine || office) && <CodeCard meeting={meeting} site={site} />}
      {mine && !isEnded(meeting) && (
        <Card title={t("hall.screen")} testid="hall-screen">
          <ScreenPart meeting={meeting.id} site={site.site} here />
        </Card>
      )}
      {mine && roomOpen(meeting) && <KioskCard live={live} meeting={meeting} site={site} />}
      {mine && roomOpen(meeting) && <SeatsCard live={live} meeting={meeting} site={site} />}
      {mine && roomOpen(meeting) && <SoundCard meeting={meeting} />}
    </div>
  );
}

/** How much of the papers is on the hall's own relay, and can be read there without a line. */
function PapersHere({ live }: { live: LiveMeeting }) {
  const { papers } = live.hallLease.value;
  if (papers === null || papers.of === 0) return null;
  const whole = papers.here === papers.of;
  return (
    <span class={whole ? "badge badge-good" : "badge"} data-testid="hall-papers" data-here={papers.here} data-of={papers.of}>
      {whole && <span aria-hidden="true">✓</span>}
      {t("hall.papers", { here: papers.here, of: papers.of })}
    </span>
  );
}

/** That this page keeps the hall connected, or why it does not. */
function Connected({ live }: { live: LiveMeeting }) {
  const trying = useAction();
  const { refused } = live.hallLease.value;
  if (refused === null) return <Note testid="hall-keep-open">{t("hall.keep-open")}</Note>;
  const again = async (): Promise<void> => {
    await live.refresh();
    live.socket.hurry();
  };
  return (
    <Card title={t("hall.refused")} testid="hall-refused" data={{ "data-code": refused.code }}>
      <Problem error={refused} />
      <p>{t("hall.refused.text")}</p>
      <div class="actions">
        <Button kind="main" testid="hall-again" busy={trying.busy.value} onClick={() => void trying.run(again)}>
          {t("try-again")}
        </Button>
      </div>
    </Card>
  );
}

/** Members without a phone: they check in and out with their own passkey, and vote at the kiosk. */
function KioskCard({ live, meeting, site }: Hall) {
  const entering = useAction();
  const leaving = useAction();
  const welcome = useSignal("");
  const voting = useSignal("");
  const vote = meeting.elections.find((one) => isRunning(one) && one.state === "open" && one.kiosk);
  const enter = async (): Promise<void> => {
    welcome.value = "";
    const { name, kept } = await checkInAtKiosk(meeting.id, site.site);
    welcome.value = t(kept ? "hall.kiosk.kept" : "hall.kiosk.welcome", { name });
    if (!kept) await live.refresh(); // in a cut there is nothing newer than what the page has
  };
  const leave = async (): Promise<void> => {
    welcome.value = "";
    await leaveAtKiosk(meeting.id, site.site);
    await live.refresh();
  };
  return (
    <Card title={t("hall.kiosk")} testid="hall-kiosk">
      <p>{t("hall.kiosk.text")}</p>
      <div aria-live="polite">
        {welcome.value !== "" && (
          <Note kind="good" testid="kiosk-welcome">
            {welcome.value}
          </Note>
        )}
      </div>
      <Problem error={entering.error.value ?? leaving.error.value} />
      <div class="actions">
        <Button kind="main" testid="kiosk-check-in" busy={entering.busy.value} onClick={() => void entering.run(enter)}>
          {t("hall.kiosk.button")}
        </Button>
        {vote && (
          <Button testid="kiosk-vote" onClick={() => (voting.value = `${meeting.id}/${vote.election}/${site.site}`)}>
            {t("hall.kiosk.vote", { title: vote.title })}
          </Button>
        )}
        <Button kind="quiet" testid="kiosk-leave" busy={leaving.busy.value} onClick={() => void leaving.run(leave)}>
          {t("hall.kiosk.leave")}
        </Button>
      </div>
      {vote && <p class="hint">{t("hall.kiosk.vote.hint")}</p>}
      {cutSince.value > 0 && <Note testid="kiosk-cut">{t("hall.kiosk.cut")}</Note>}
      {voting.value !== "" && <KioskFrame address={voting.value} onClose={() => (voting.value = "")} />}
    </Card>
  );
}

/** The custodian looks round the hall and signs who is there; the list adds and removes nobody. */
function SeatsCard({ live, meeting, site }: Hall) {
  const loading = useAction();
  const signing = useAction();
  const people = useSignal<SeatLine[]>([]);
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const load = async (): Promise<void> => {
    const found = await sites.seatList(meeting.id, site.site);
    people.value = found.members;
    if (chosen.value.size === 0) chosen.value = new Set(found.signed);
  };
  // Who is checked in changes faster than the list comes.
  const again = useMemo(() => onceMore(() => loading.run(() => now.current())), []);
  const now = useRef(load);
  now.current = load;
  useEffect(() => void again(), [meeting.present]);
  const toggle = (member: string, on: boolean): void => {
    const next = new Set(chosen.value);
    if (on) next.add(member);
    else next.delete(member);
    chosen.value = next;
  };
  const sign = async (): Promise<void> => {
    const seats = [...chosen.value].sort();
    const action = { type: "sign-seats", meeting: meeting.id, site: site.site, hash: b64u(sha256(jcs(seats))) };
    await sites.seats(meeting.id, site.site, seats, action, await signAction(action));
    await live.refresh();
  };
  const check = checkSeats(meeting, site.site, chosen.value);
  const names = new Map(people.value.map((one) => [one.member, one.name]));
  const named = (ids: string[]): string => ids.map((id) => names.get(id) ?? "").join(", ");
  return (
    <Card title={t("hall.seats")} testid="hall-seats">
      <p>{t("hall.seats.text")}</p>
      <Problem error={loading.error.value} />
      <div class="actions">
        <Button testid="seats-here" onClick={() => (chosen.value = new Set(people.value.filter((one) => one.site === site.site).map((one) => one.member)))}>
          {t("hall.seats.checked-in")}
        </Button>
      </div>
      <fieldset class="seat-list stack-tight">
        <legend class="visually-hidden">{t("hall.seats")}</legend>
        {people.value.map((one) => (
          <Check key={one.member} label={one.site === site.site ? t("hall.seats.here", { name: one.name }) : one.name} checked={chosen.value.has(one.member)} onChange={(on) => toggle(one.member, on)} testid={`seat-${one.member}`} />
        ))}
      </fieldset>
      <p class="strong" data-testid="seats-count">
        {tn("hall.seats.count", chosen.value.size)}
      </p>
      {check.missing.length > 0 && <Note kind="warn" testid="seats-missing">{t("hall.seats.missing", { names: named(check.missing) })}</Note>}
      {check.extra.length > 0 && <Note kind="warn" testid="seats-extra">{t("hall.seats.extra", { names: named(check.extra) })}</Note>}
      {site.seats && <p class="small muted">{t("sites.seats-signed", { n: site.seats.count, time: clock(site.seats.signed_at, meeting.time_zone) })}</p>}
      <Problem error={signing.error.value} />
      <div class="actions">
        <ConfirmButton
          kind="main"
          testid="seats-sign"
          busy={signing.busy.value}
          title={tn("hall.seats.sign.title", chosen.value.size)}
          text={t("hall.seats.sign.text")}
          yes={t("hall.seats.sign")}
          onClick={() => void signing.run(sign)}
        >
          {t("hall.seats.sign")}
        </ConfirmButton>
      </div>
    </Card>
  );
}

function SoundCard({ meeting }: { meeting: Meeting }) {
  return (
    <Card title={t("hall.room")} testid="hall-room">
      <p>{t("hall.room.text")}</p>
      <div class="actions">
        <LinkButton href={`/meetings/${meeting.id}/${meeting.me.checked_in ? "room" : "check-in"}`} testid="hall-go-room">
          {t("hall.room.enter")}
        </LinkButton>
      </div>
    </Card>
  );
}
