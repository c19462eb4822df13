/** The chair's console: one next button bound to the rules, quorum, the queue, the people, the log. */
import { type Signal, useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { api } from "../../api/fetch.ts";
import type { Command, ElectionPreview, ElectionSummary, Meeting, MeetingEvent } from "../../api/types.ts";
import { clock, lookup, t, tn } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { isOver, queue, removedMembers } from "../../state/meeting.ts";
import { type Next, nextStep, whyNotOpen } from "../../state/next.ts";
import { signAction } from "../../state/sign.ts";
import { type Action, useAction, useQueue } from "../../ui/action.ts";
import { Button, Card, Confirm, ConfirmButton, Field, Form, Note, Problem, Progress, Select } from "../../ui/parts.tsx";
import { QuestionResults } from "../result.tsx";
import { CastingVote } from "./casting_vote.tsx";
import { PeopleList, PersonLine } from "./people.tsx";
import { RestartKey } from "./restart_key.tsx";

interface Console {
  live: LiveMeeting;
  meeting: Meeting;
  acting: Action;
}

export function ChairPanel({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const steps = useAction();
  const acts = useQueue();
  const tools: Console = { live, meeting, acting: acts };
  return (
    <>
      <NextCard live={live} meeting={meeting} acting={steps} />
      <Problem error={acts.error.value} />
      {meeting.elections
        .filter((election) => election.state !== "draft" && !isOver(election))
        .map((election) => (
          <RunningVote key={election.election} election={election} />
        ))}
      {meeting.state !== "closed" && (
        <>
          <Floor {...tools} />
          <Drafts live={live} meeting={meeting} acting={steps} />
          <Participants {...tools} />
        </>
      )}
      <Log live={live} meeting={meeting} />
    </>
  );
}

async function command(live: LiveMeeting, what: Command): Promise<void> {
  await api.command(live.id, what);
  await live.refresh();
}

/** The chair signs which earlier votes this one nearly repeats, having been shown them. */
async function openVote(live: LiveMeeting, election: string, repeats: string[]): Promise<void> {
  const action = { type: "open-election", meeting: live.id, election, repeats };
  await api.openElection(live.id, election, action, await signAction(action));
  await live.refresh();
}

async function closeVote(live: LiveMeeting, election: string): Promise<void> {
  const action = { type: "close-election", meeting: live.id, election };
  await api.closeElection(live.id, election, action, await signAction(action));
  await live.refresh();
}

async function declare(live: LiveMeeting, meeting: Meeting, election: string): Promise<void> {
  const { declareResult } = await import("../../state/cosigner.ts");
  await declareResult(meeting, election);
  await live.refresh();
}

/** Does the step; asks first where there is no way back. */
function take(live: LiveMeeting, meeting: Meeting, next: Next): Promise<void> {
  switch (next.step) {
    case "convene":
    case "begin-check-in":
    case "open":
    case "close":
      return command(live, { command: next.step });
    case "start-item":
      return command(live, { command: "start-item", item: next.target });
    case "close-vote":
      return closeVote(live, next.target);
    case "declare":
      return declare(live, meeting, next.target);
    default:
      return Promise.resolve();
  }
}

const titleOf = (meeting: Meeting, target: string): string =>
  meeting.agenda.find((item) => item.id === target)?.title ?? meeting.elections.find((e) => e.election === target)?.title ?? "";

function whyText(meeting: Meeting, next: Next): string | null {
  if (next.why === null) return null;
  const names = meeting.cosigners.filter((cosigner) => !cosigner.ready).map((cosigner) => lookup(`cosigner.${cosigner.name.replace(/-\d+$/, "")}`) ?? cosigner.name);
  return t(`why.${next.why}`, { names: names.join(", "), present: meeting.quorum.present });
}

function NextCard({ live, meeting, acting }: Console) {
  const asking = useSignal(false);
  const why = useId();
  const next = nextStep(meeting);
  const reason = whyText(meeting, next);
  const election = meeting.elections.find((e) => e.election === next.target);
  const open = election?.state === "open";
  const mustAsk = next.step === "close" || (open && next.step === "close-vote");
  const opening = useOpening(live, acting);
  const go = (): void => (next.step === "open-vote" ? opening.start(next.target) : void acting.run(() => take(live, meeting, next)));
  const casting = next.step === "casting-vote" && election;
  const text = open
    ? t("next.close-vote.text", { cast: election?.cast ?? 0, of: election?.electorate_size ?? 0 })
    : t("next.close.text");
  return (
    <section class="card next-card">
      <h2>{t("next.title")}</h2>
      <Problem error={acting.error.value} />
      {casting && <CastingVote live={live} meeting={meeting} election={casting} />}
      <div class="actions" hidden={Boolean(casting)}>
        <Button
          kind="main"
          testid="chair-next"
          data={{ "data-next": next.step, "data-target": next.target }}
          disabled={reason !== null}
          busy={acting.busy.value}
          describedBy={reason === null ? undefined : why}
          onClick={() => (mustAsk ? (asking.value = true) : go())}
        >
          {t(`next.${next.step}`, { title: titleOf(meeting, next.target) })}
        </Button>
      </div>
      {reason !== null && (
        <p id={why} data-testid="chair-next-why" role="status">
          {reason}
        </p>
      )}
      {!meeting.quorum.met && (meeting.state === "checking-in" || meeting.state === "opened") && (
        <Note kind="warn">{t("next.no-quorum", { present: meeting.quorum.present, needed: meeting.quorum.needed })}</Note>
      )}
      <OpenWarning meeting={meeting} opening={opening} />
      <Confirm
        open={asking.value}
        title={t(`next.${next.step}`, { title: titleOf(meeting, next.target) })}
        text={text}
        yes={t(`next.${next.step}`, { title: titleOf(meeting, next.target) })}
        danger
        onNo={() => (asking.value = false)}
        onYes={() => {
          asking.value = false;
          go();
        }}
      />
    </section>
  );
}

/** The vote that runs or waits for its result; what is to be done about it is the next step above. */
function RunningVote({ election }: { election: ElectionSummary }) {
  const core = election.result;
  return (
    <section class="card" data-testid="chair-vote" data-election={election.election} data-state={election.state}>
      <div class="row-between">
        <h2>{election.title}</h2>
        <span class="badge">{t(`election.state.${election.state}`)}</span>
      </div>
      <div data-testid="cast-count">
        <Progress label={tn("vote.cast", election.cast, { of: election.electorate_size })} value={election.cast} of={election.electorate_size} />
      </div>
      {(election.state === "counted" || election.state === "tied") && core && <QuestionResults election={election} core={core} />}
    </section>
  );
}

function Floor({ live, meeting, acting }: Console) {
  const waiting = queue(meeting);
  const floor = meeting.present.filter((person) => person.floor);
  const give = (member: string): void => void acting.run(() => command(live, { command: "grant-floor", member }));
  const takeBack = (member: string): void => void acting.run(() => command(live, { command: "withdraw-floor", member }));
  return (
    <Card title={t("floor.title")}>
      <fieldset class="stack-tight">
        <legend class="visually-hidden">{t("floor.mode")}</legend>
        <div class="row">
          {(["open", "chaired"] as const).map((mode) => (
            <Button key={mode} testid={`floor-mode-${mode}`} pressed={meeting.floor.mode === mode} onClick={() => void acting.run(() => command(live, { command: "set-floor-mode", mode }))}>
              {t(`floor.mode.${mode}`)}
            </Button>
          ))}
        </div>
        <p class="hint">{t(`floor.hint.${meeting.floor.mode}`)}</p>
      </fieldset>
      {floor.map((person) => (
        <div key={person.member} class="row-between">
          <span>▶ {t("floor.has", { name: person.name })}</span>
          <Button testid={`withdraw-${person.member}`} onClick={() => takeBack(person.member)}>
            {t("floor.thank")}
          </Button>
        </div>
      ))}
      <div data-testid="queue" class="stack-tight">
        <h3>{t("queue.title")}</h3>
        {waiting.length === 0 && <p class="muted">{t("queue.empty")}</p>}
        <ol class="list">
          {waiting.map((person, index) => (
            <li key={person.member} class="row-between">
              <span>
                {index + 1}. {person.name} <span class="muted small">{t("queue.since", { time: clock(person.hand ?? 0) })}</span>
              </span>
              <Button testid={`grant-${person.member}`} onClick={() => give(person.member)}>
                {t("floor.give")}
              </Button>
            </li>
          ))}
        </ol>
      </div>
    </Card>
  );
}

interface Opening {
  asked: Signal<{ election: string; preview: ElectionPreview } | null>;
  start: (election: string) => void;
  go: () => void;
}

/** Looks at what opening would freeze; asks first where the result could tell how a few people voted. */
function useOpening(live: LiveMeeting, acting: Action): Opening {
  const asked = useSignal<{ election: string; preview: ElectionPreview } | null>(null);
  return {
    asked,
    start: (election) =>
      void acting.run(async () => {
        const preview = await api.preview(live.id, election);
        if (preview.small || preview.repeats.length > 0) asked.value = { election, preview };
        else await openVote(live, election, []);
      }),
    go: () => {
      const now = asked.value;
      asked.value = null;
      if (now) void acting.run(() => openVote(live, now.election, now.preview.repeats));
    },
  };
}

function OpenWarning({ meeting, opening }: { meeting: Meeting; opening: Opening }) {
  const now = opening.asked.value;
  const names = (now?.preview.repeats ?? []).map((id) => titleOf(meeting, id)).join(", ");
  const text = [now?.preview.small ? t("open-vote.small", { n: now.preview.electorate_size }) : "", names ? t("open-vote.repeats", { names }) : ""].filter(Boolean).join(" ");
  return (
    <Confirm
      open={now !== null}
      title={t("open-vote.warning")}
      text={text}
      yes={t("open-vote.anyway")}
      onNo={() => (opening.asked.value = null)}
      onYes={opening.go}
    />
  );
}

/** Who may not vote on this question, and why; until it opens. */
function Exclusions({ live, meeting, election }: { live: LiveMeeting; meeting: Meeting; election: ElectionSummary }) {
  const acting = useAction();
  const member = useSignal("");
  const reason = useSignal("");
  const others = meeting.present.filter((person) => !election.excluded.includes(person.member));
  const nameOf = (id: string): string => meeting.present.find((person) => person.member === id)?.name ?? id;
  const set = async (who: string, excluded: boolean): Promise<void> => {
    await api.exclude(live.id, election.election, { member: who, excluded, reason: excluded ? reason.value.trim() : "" });
    reason.value = member.value = "";
    await live.refresh();
  };
  return (
    <details data-testid={`exclusions-${election.election}`}>
      <summary>{t("exclude.title", { n: election.excluded.length })}</summary>
      <div class="stack-tight">
        <p class="hint">{t("exclude.text")}</p>
        <ul class="list">
          {election.excluded.map((id) => (
            <li key={id} class="row-between">
              <span>{nameOf(id)}</span>
              <Button testid={`include-${id}`} onClick={() => void acting.run(() => set(id, false))}>
                {t("exclude.undo")}
              </Button>
            </li>
          ))}
        </ul>
        <Form action={acting} work={() => set(member.value, true)} submit={t("exclude.button")} testid="exclude-add" kind="plain">
          <Select label={t("exclude.member")} value={member.value} onChange={(value) => (member.value = value)} choices={[{ value: "", label: "…" }, ...others.map((person) => ({ value: person.member, label: person.name }))]} testid="exclude-member" />
          <Field label={t("exclude.reason")} value={reason.value} onInput={(value) => (reason.value = value)} testid="exclude-reason" required maxLength={200} />
        </Form>
      </div>
    </details>
  );
}

/** Votes not opened yet, each with its own button; the next button offers the one of the current item. */
function Drafts({ live, meeting, acting }: Console) {
  const drafts = meeting.elections.filter((election) => election.state === "draft");
  const items = meeting.agenda.filter((item) => item.state === "waiting");
  if (meeting.state === "checking-in") return <RestartKey live={live} meeting={meeting} />;
  if (meeting.state !== "opened") return null;
  const next = nextStep(meeting);
  const opening = useOpening(live, acting);
  const busyVote = meeting.elections.some((election) => election.state !== "draft" && !isOver(election));
  return (
    <details class="card">
      <summary>{t("chair.other-steps")}</summary>
      <div class="stack-tight">
        {items.map((item) => (
          <Button key={item.id} testid={`start-item-${item.id}`} disabled={busyVote} busy={acting.busy.value} onClick={() => void acting.run(() => command(live, { command: "start-item", item: item.id }))}>
            {t("next.start-item", { title: item.title })}
          </Button>
        ))}
        {drafts.map((election) => {
          const why = whyNotOpen(meeting, election);
          return (
            <div key={election.election} class="stack-tight">
              <Button testid={`open-vote-${election.election}`} disabled={why !== null || busyVote} busy={acting.busy.value} onClick={() => opening.start(election.election)}>
                {t("next.open-vote", { title: election.title })}
              </Button>
              {why !== null && <p class="muted">{whyText(meeting, { ...next, why })}</p>}
              <Exclusions live={live} meeting={meeting} election={election} />
            </div>
          );
        })}
        <OpenWarning meeting={meeting} opening={opening} />
        <RestartKey live={live} meeting={meeting} />
        <ConfirmButton
          testid="close-meeting"
          kind="danger"
          danger
          disabled={busyVote}
          busy={acting.busy.value}
          title={t("next.close")}
          text={t("next.close.text")}
          yes={t("next.close")}
          onClick={() => void acting.run(() => command(live, { command: "close" }))}
        >
          {t("next.close")}
        </ConfirmButton>
      </div>
    </details>
  );
}

function Participants({ live, meeting, acting }: Console) {
  const removed = removedMembers(live.log.value);
  const others = meeting.present.filter((person) => person.member !== meeting.me.member);
  return (
    <Card title={tn("people.present", meeting.present.length)}>
      <Button testid="mute-all" onClick={() => void acting.run(() => command(live, { command: "mute-all" }))}>
        {t("chair.mute-all")}
      </Button>
      <PeopleList
        people={others}
        line={(person) => (
          <>
            <PersonLine person={person} you={false} />
            <div class="row">
              {!person.floor && (
                <Button testid={person.hand === null ? `grant-${person.member}` : `grant-again-${person.member}`} onClick={() => void acting.run(() => command(live, { command: "grant-floor", member: person.member }))}>
                  {t("floor.give")}
                </Button>
              )}
              {person.muted ? (
                <Button testid={`unmute-${person.member}`} onClick={() => void acting.run(() => command(live, { command: "unmute", member: person.member }))}>
                  {t("chair.unmute")}
                </Button>
              ) : (
                <Button testid={`mute-${person.member}`} onClick={() => void acting.run(() => command(live, { command: "mute", member: person.member }))}>
                  {t("chair.mute")}
                </Button>
              )}
              <ConfirmButton
                testid={`remove-${person.member}`}
                kind="danger"
                danger
                title={t("chair.remove.title", { name: person.name })}
                text={t("chair.remove.text")}
                yes={t("chair.remove.yes")}
                onClick={() => void acting.run(() => command(live, { command: "remove", member: person.member }))}
              >
                {t("chair.remove")}
              </ConfirmButton>
            </div>
          </>
        )}
      />
      {removed.length > 0 && (
        <div class="stack-tight">
          <h3>{t("chair.removed")}</h3>
          {removed.map(({ member, name }) => (
            <Button
              key={member}
              testid={`readmit-${member}`}
              onClick={() => void acting.run(() => command(live, { command: "readmit", member }))}
            >
              {t("chair.readmit", { name })}
            </Button>
          ))}
        </div>
      )}
    </Card>
  );
}

const LOG_SHOWN = 40;

function Log({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const entries = live.log.value.slice(-LOG_SHOWN).reverse();
  return (
    <details class="card" data-testid="log">
      <summary>{t("log.title")}</summary>
      <ol class="list">
        {entries.map((event) => (
          <li key={event.seq} class="small">
            <span class="mono muted">{clock(event.at, meeting.time_zone)}</span> {logText(event, meeting)}
          </li>
        ))}
      </ol>
    </details>
  );
}

/** One event in words; ids become names where we know them. */
function logText(event: MeetingEvent, meeting: Meeting): string {
  const body = event.body as Record<string, unknown>;
  const said = (key: string): string => (typeof body[key] === "string" || typeof body[key] === "number" ? String(body[key]) : "");
  const member = said("member");
  const name = said("name") || meeting.present.find((person) => person.member === member)?.name || member;
  const title = titleOf(meeting, said("election") || said("item"));
  const params = { name, title, count: said("count"), present: said("present"), needed: said("needed"), mode: said("mode") };
  return lookup(`event.${event.type}`, params) ?? event.type;
}
