/** The lobby: who waits, whom the chair admits, refuses and sends out; links for guests; and the door for observers. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { papersApi } from "../../api/papers.ts";
import type { Meeting } from "../../api/types.ts";
import type { LobbyLine } from "../../api/types_papers.ts";
import { clock, t, tn } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { leadsNow } from "../../state/meeting.ts";
import { LobbyList } from "../../state/visitors.ts";
import { useAction, useQueue } from "../../ui/action.ts";
import { Button, Card, ConfirmButton, Copy, Field, Form, LinkButton, Loading, Note, Problem, Title } from "../../ui/parts.tsx";

const NAME_MAX = 80;

/** For chair and secretary; nothing for anybody else. */
export function Lobby({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const list = useMemo(() => new LobbyList(live), [live]);
  const office = meeting.me.roles.some((role) => role === "chair" || role === "secretary");
  useEffect(() => {
    if (!office) return;
    list.open();
    return () => list.close();
  }, [list, office]);
  const acting = useQueue();
  if (!office) return <></>;
  const visitors = list.visitors.value ?? [];
  const waiting = visitors.filter((one) => one.state === "waiting");
  const inside = visitors.filter((one) => one.state === "admitted");
  const out = visitors.filter((one) => one.state === "refused" || one.state === "removed");
  const leads = leadsNow(meeting);
  const decide = (visitor: LobbyLine, act: "admit" | "refuse" | "remove"): void =>
    void acting.run(async () => {
      await papersApi.decide(live.id, visitor.visitor, act);
      await list.refresh();
    });
  return (
    <Card title={t("lobby.title")} testid="lobby" data={{ "data-waiting": String(waiting.length) }}>
      <Problem error={list.error.value ?? acting.error.value} />
      <p role="status">{waiting.length === 0 ? t("lobby.nobody") : tn("lobby.waiting", waiting.length)}</p>
      {visitors.length > 0 && (
        <ul class="list">
          {[...waiting, ...inside, ...out].map((one) => (
            <li key={one.visitor} class="stack-tight" data-testid="visitor" data-visitor={one.visitor} data-state={one.state}>
              <WhoVisits visitor={one} meeting={meeting} />
              {leads && <Decide visitor={one} busy={acting.busy.value} decide={decide} />}
            </li>
          ))}
        </ul>
      )}
      {!leads && waiting.length > 0 && <p class="muted">{t("lobby.chair-admits")}</p>}
      <GuestLink live={live} />
    </Card>
  );
}

function WhoVisits({ visitor, meeting }: { visitor: LobbyLine; meeting: Meeting }) {
  const invited = visitor.invited && visitor.invited !== visitor.name ? t("lobby.invited", { name: visitor.invited }) : "";
  return (
    <div class="row-between">
      <span>
        <span class="strong">{visitor.name}</span> <span class="badge">{t(`visitor.${visitor.kind}`)}</span>
        <span class="hint">{[invited, t("lobby.since", { time: clock(visitor.at, meeting.time_zone) })].filter(Boolean).join(" · ")}</span>
      </span>
      <span class={visitor.state === "waiting" ? "badge badge-warn" : "badge"}>{t(`visitor.state.${visitor.state}`)}</span>
    </div>
  );
}

function Decide({ visitor, busy, decide }: { visitor: LobbyLine; busy: boolean; decide: (visitor: LobbyLine, act: "admit" | "refuse" | "remove") => void }) {
  return (
    <div class="row">
      {visitor.state !== "admitted" && (
        <Button kind={visitor.state === "waiting" ? "main" : "plain"} testid={`admit-${visitor.visitor}`} label={t("lobby.admit-named", { name: visitor.name })} busy={busy} onClick={() => decide(visitor, "admit")}>
          {t("lobby.admit")}
        </Button>
      )}
      {visitor.state === "waiting" && (
        <Button testid={`refuse-${visitor.visitor}`} label={t("lobby.refuse-named", { name: visitor.name })} busy={busy} onClick={() => decide(visitor, "refuse")}>
          {t("lobby.refuse")}
        </Button>
      )}
      {visitor.state === "admitted" && (
        <ConfirmButton
          kind="danger"
          danger
          testid={`send-out-${visitor.visitor}`}
          label={t("lobby.remove-named", { name: visitor.name })}
          busy={busy}
          title={t("lobby.remove-named", { name: visitor.name })}
          text={t("lobby.remove.text")}
          yes={t("lobby.remove")}
          onClick={() => decide(visitor, "remove")}
        >
          {t("lobby.remove")}
        </ConfirmButton>
      )}
    </div>
  );
}

function GuestLink({ live }: { live: LiveMeeting }) {
  const name = useSignal("");
  const url = useSignal("");
  const making = useAction();
  return (
    <details data-testid="guest-links">
      <summary>{t("guest-link.title")}</summary>
      <div class="stack">
        <p>{t("guest-link.text")}</p>
        <Form action={making} kind="plain" submit={t("guest-link.make")} testid="guest-link-make" work={async () => (url.value = (await papersApi.guestLink(live.id, name.peek().trim())).url)}>
          <Field label={t("guest-link.name")} value={name.value} maxLength={NAME_MAX} testid="guest-link-name" onInput={(value) => (name.value = value)} />
        </Form>
        {url.value && (
          <div class="stack-tight">
            <code class="code-block" data-testid="guest-link">
              {url.value}
            </code>
            <Copy text={url.value} label={t("guest-link.copy")} />
            <Note kind="warn">{t("guest-link.once")}</Note>
          </div>
        )}
      </div>
    </details>
  );
}

/** Tells chair and secretary that somebody waits while they look at something else. */
export function Knock({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const list = useMemo(() => new LobbyList(live), [live]);
  useEffect(() => {
    list.open();
    return () => list.close();
  }, [list]);
  const waiting = list.visitors.value?.filter((one) => one.state === "waiting").length ?? 0;
  const panel = meeting.me.roles.includes("chair") ? "chair" : "people";
  return (
    <div role="status">
      {waiting > 0 && (
        <div class="note note-info row" data-testid="knock" data-waiting={waiting}>
          <span class="grow">{tn("lobby.waiting", waiting)}</span>
          <LinkButton href={`/meetings/${meeting.id}/room/${panel}`} testid="knock-open">
            {t("lobby.open")}
          </LinkButton>
        </div>
      )}
    </div>
  );
}

/** Visitors in the room, for everybody. */
export function Visitors({ meeting }: { meeting: Meeting }) {
  const here = meeting.visitors ?? [];
  if (here.length === 0) return <></>;
  return (
    <Card title={tn("visitor.here", here.length)} testid="visitors">
      <p class="muted">{t("visitor.not-counted")}</p>
      <ul class="list">
        {here.map((one) => (
          <li key={one.visitor} class="row-between">
            <span class="strong">{one.name}</span>
            <span class="badge">{t(`visitor.${one.kind}`)}</span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** The door of the room for who may read the meeting and does not vote in it. */
export function ObserverDoor({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const asking = useAction();
  const state = meeting.me.visitor ?? "";
  const ask = async (): Promise<void> => {
    await papersApi.askIn(live.id);
    await live.refresh();
  };
  return (
    <div class="main stack" data-testid="observer-door" data-state={state}>
      <Title>{meeting.title}</Title>
      {state === "waiting" && <Waiting />}
      {(state === "refused" || state === "removed") && <Note kind="warn">{t(`guest.${state}`)}</Note>}
      {(state === "" || state === "left") && (
        <>
          <p>{t("door.text")}</p>
          <Problem error={asking.error.value} />
          <div class="actions">
            <Button kind="main" testid="ask-in" busy={asking.busy.value} onClick={() => void asking.run(ask)}>
              {t("door.ask")}
            </Button>
          </div>
        </>
      )}
      <div class="actions">
        <LinkButton href={`/meetings/${meeting.id}`}>{t("door.back")}</LinkButton>
      </div>
    </div>
  );
}

export function Waiting() {
  return (
    <>
      <Loading what={t("guest.waiting")} />
      <p>{t("guest.waiting.text")}</p>
    </>
  );
}
