/** For the wall of the hall: item, speaker with the clock, queue, quorum, open vote, result; large, dark, nothing to press. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { clock, t, tn } from "../i18n/index.ts";
import type { Page } from "../state/page.ts";
import { spokenAt } from "../state/speaking.ts";
import { type WallItem, type WallSite, type WallView, wallOf } from "../state/wall.ts";
import { Arrow } from "../ui/parts.tsx";
import { useServerTime } from "../ui/server_time.ts";
import { span } from "../ui/time.ts";
import { Lock } from "./closed/lock.tsx";
import { QuestionResults } from "./result.tsx";
import { StateBanner } from "./room/state_banner.tsx";
import { WithMeeting } from "./with_meeting.tsx";
import "./projector.css";

const QUEUE_SHOWN = 5;

export function Projector({ id }: { id: string }) {
  return <WithMeeting id={id}>{(_, meeting) => <Wall view={wallOf(meeting)} />}</WithMeeting>;
}

/** `children` stand under the title: whatever keeps the wall from being up to date. */
export function Wall({ view, where = "", page = null, children }: { view: WallView; where?: string; page?: Page | null; children?: ComponentChildren }) {
  const now = useServerTime();
  useEffect(() => {
    document.documentElement.dataset["ready"] = "";
    document.title = `${view.title} · Folkmoot`;
  });
  const { item, quorum } = view;
  return (
    <div class="wall" data-testid="projector" data-state={view.state} data-closed={String(view.closed)}>
      <header class="wall-top">
        <p>{where === "" ? view.title : t("wall.at", { title: view.title, site: where })}</p>
        <p class="wall-clock">{clock(now.value, view.time_zone)}</p>
      </header>
      {children}
      {view.closed ? (
        <Closed view={view} />
      ) : (
        <>
          <h1 class="wall-item" data-testid="wall-item">
            {item ? `${item.number} ${item.title}` : t(`meeting.state.${view.state}`)}
          </h1>
          <StateBanner meeting={view} />
          {page && <Shown page={page} name={view.presented?.name ?? ""} small={view.vote !== null} />}
          {view.vote ? <OpenVote vote={view.vote} now={now.value} /> : view.result ? <Declared result={view.result} /> : <Speakers view={view} now={now.value} />}
        </>
      )}
      {!page && !view.vote && !view.result && view.next.length > 0 && <Next items={view.next} />}
      <footer class="wall-foot">
        <p class={`wall-quorum ${quorum.met ? "wall-good" : "wall-bad"}`} data-testid="wall-quorum" data-met={String(quorum.met)}>
          <span class="wall-light" aria-hidden="true">
            {quorum.met ? "●" : "▲"}
          </span>
          {t(quorum.met ? "quorum.met" : "quorum.missing", { present: quorum.present, needed: quorum.needed })}
        </p>
        {view.sites.length > 1 && <Sites sites={view.sites} />}
      </footer>
    </div>
  );
}

/** A closed session without this wall: that it is so, in words that reach the last row. */
function Closed({ view }: { view: WallView }) {
  return (
    <section class="wall-closed" data-testid="wall-closed" role="status">
      <Lock />
      <h1 class="wall-item">{t("wall.closed")}</h1>
      <p class="wall-number">{t("wall.closed.text")}</p>
      <StateBanner meeting={view} />
    </section>
  );
}

/** The page that the presenter shows, smaller while a vote wants room. */
function Shown({ page, name, small }: { page: Page; name: string; small: boolean }) {
  return (
    <figure class={`wall-page ${small ? "wall-page-small" : ""}`} data-testid="wall-page">
      {page.picture === "" ? <p class="pre" dir="auto">{page.text}</p> : <img src={page.picture} alt={name} />}
      <figcaption>{name}</figcaption>
    </figure>
  );
}

/** What waits on the agenda, while the wall has room for it. */
function Next({ items }: { items: WallItem[] }) {
  return (
    <section class="wall-next" data-testid="wall-next">
      <h2>{t("wall.next")}</h2>
      <ul>
        {items.map((item) => (
          <li key={item.number}>
            {item.number} {item.title}
          </li>
        ))}
      </ul>
    </section>
  );
}

const GONE: ReadonlySet<string> = new Set(["lost", "degraded", "invited"]);

/** Where else people sit, with how many, and whose line is gone. */
function Sites({ sites }: { sites: WallSite[] }) {
  return (
    <ul class="wall-sites" aria-label={t("wall.sites")} data-testid="wall-sites">
      {sites.map((one) => (
        <li key={one.site} data-state={one.state} class={GONE.has(one.state) && one.kind === "hall" ? "wall-bad" : ""}>
          {one.kind === "main" ? t("wall.main") : one.kind === "remote" ? t("wall.remote") : one.name} · {one.present}
          {one.kind === "hall" && one.state === "lost" && ` · ${t("wall.lost")}`}
        </li>
      ))}
    </ul>
  );
}

function OpenVote({ vote, now }: { vote: NonNullable<WallView["vote"]>; now: number }) {
  const left = vote.ends_at - now;
  return (
    <section class="wall-vote" data-testid="wall-vote" data-cast={vote.cast}>
      <p class="wall-word">▲ {t(vote.state === "open" ? "wall.vote" : "wall.counting")}</p>
      <p class="wall-name">{vote.title}</p>
      <p class="wall-number">{tn("wall.cast", vote.cast, { of: vote.electorate_size })}</p>
      {vote.state === "open" && left > 0 && <p class="wall-number">{t("wall.left", { left: span(left) })}</p>}
    </section>
  );
}

function Declared({ result }: { result: NonNullable<WallView["result"]> }) {
  return (
    <section class="wall-result" data-testid="wall-result">
      <p class="wall-name">{result.title}</p>
      <QuestionResults election={result} core={result.core} />
    </section>
  );
}

function TurnClock({ turn, now }: { turn: NonNullable<WallView["speaking"]>; now: number }) {
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

function Speakers({ view, now }: { view: WallView; now: number }) {
  const { speaking, queue } = view;
  const names = speaking === null ? view.floor : [speaking.name];
  return (
    <section class="wall-speakers" data-testid="wall-speakers">
      {names.map((name) => (
        <p key={name} class="wall-name">
          <Arrow>▶</Arrow> {name}
        </p>
      ))}
      {speaking !== null && <TurnClock turn={speaking} now={now} />}
      {queue.length > 0 && (
        <ol class="wall-queue" aria-label={t("wall.queue")}>
          {queue.slice(0, QUEUE_SHOWN).map((name, place) => (
            <li key={place}>{name}</li>
          ))}
        </ol>
      )}
      {queue.length > QUEUE_SHOWN && <p>{tn("wall.more", queue.length - QUEUE_SHOWN)}</p>}
    </section>
  );
}
