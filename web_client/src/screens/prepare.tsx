/** Preparation by secretary and registrar: questions, roll, convening. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { Meeting, RollDraft, RollEntry } from "../api/types.ts";
import { codeOf, dayAndTime, say, t, tn } from "../i18n/index.ts";
import type { LiveMeeting } from "../state/live.ts";
import { isEnded } from "../state/meeting.ts";
import { nextStep } from "../state/next.ts";
import { signRoll } from "../state/sign.ts";
import { useAction } from "../ui/action.ts";
import { Arrow, Button, Card, ConfirmButton, LinkButton, Note, Problem, Title } from "../ui/parts.tsx";
import { ConfirmPasskeys } from "./confirm_passkeys.tsx";
import { QuestionEditor } from "./question_editor.tsx";
import { QuestionLines } from "./question_lines.tsx";
import { Rehearsal } from "./rehearsal.tsx";
import { StateBanner } from "./room/state_banner.tsx";
import { WithMeeting } from "./with_meeting.tsx";

export function Prepare({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(live, meeting) => {
        const { roles } = meeting.me;
        const writes = (roles.includes("secretary") || roles.includes("chair")) && !isEnded(meeting);
        return (
          <div class="stack">
            <p>
              <a href={`/meetings/${id}`}><Arrow>←</Arrow> {meeting.title}</a>
            </p>
            <Title>{t("prepare.title")}</Title>
            <StateBanner meeting={meeting} />
            <Rehearsal meeting={meeting} />
            <Steps live={live} meeting={meeting} />
            <Questions meeting={meeting} writes={writes} />
            {writes && <QuestionEditor live={live} meeting={meeting} />}
            {meeting.roll.frozen && <FrozenRoll meeting={meeting} />}
          </div>
        );
      }}
    </WithMeeting>
  );
}

function Questions({ meeting, writes }: { meeting: Meeting; writes: boolean }) {
  return (
    <Card title={t("agenda")}>
      <ol class="list">
        {meeting.agenda.map((item) => (
          <li key={item.id} class="stack-tight" data-testid="agenda-item" data-item={item.id} data-state={item.state}>
            <h3>
              {item.number}. {item.title} {item.internal && <span class="badge">{t("agenda.internal")}</span>}
            </h3>
            {meeting.elections
              .filter((election) => election.agenda_item === item.id)
              .map((election) => (
                <div key={election.election} class="stack-tight" data-testid="question" data-election={election.election}>
                  <p>
                    <span class="badge">{t(`secrecy.badge.${election.secrecy}`)}</span> {election.title}
                  </p>
                  <QuestionLines election={election} />
                </div>
              ))}
          </li>
        ))}
      </ol>
      {writes && (
        <div class="actions">
          <LinkButton href={`/meetings/${meeting.id}/agenda`} testid="go-agenda">
            {t("calling.agenda.write")}
          </LinkButton>
          <LinkButton href={`/meetings/${meeting.id}/sites`} testid="go-sites">
            {t("prepare.sites")}
          </LinkButton>
        </div>
      )}
    </Card>
  );
}

function FrozenRoll({ meeting }: { meeting: Meeting }) {
  const mine = useSignal<RollEntry | null>(null);
  useEffect(() => {
    api.roll(meeting.id).then(
      (roll) => (mine.value = roll.mine),
      () => undefined,
    );
  }, []);
  return (
    <Card title={t("roll.title")}>
      <Note kind="good" testid="roll-frozen">
        {tn("roll.frozen", meeting.roll.size)}
      </Note>
      <details>
        <summary>{t("roll.hash")}</summary>
        <code class="code-block" data-testid="roll-hash">
          {meeting.roll.hash}
        </code>
      </details>
      {mine.value && <MyPasskeys entry={mine.value} />}
    </Card>
  );
}

/** What the roll will say about passkeys that are new in it. */
function Exceptions({ draft }: { draft: RollDraft }) {
  if (draft.exceptions.length === 0 && draft.unconfirmed.length === 0) return null;
  return (
    <div class="stack-tight" data-testid="roll-exceptions">
      {draft.unconfirmed.length > 0 && <Note kind="warn">{tn("roll.unconfirmed", draft.unconfirmed.length, { names: some(draft.unconfirmed.map(({ name }) => name)) })}</Note>}
      <p>{tn("roll.exceptions", draft.exceptions.length)}</p>
      <details>
        <summary>{t("roll.exceptions.list")}</summary>
        <ul class="list">
          {draft.exceptions.map((one) => (
            <li key={one.member}>
              {t("roll.exception", { name: one.name, kind: say(`exception.${one.kind}`), method: one.method === "" ? "" : say(`passkey-method.${one.method}`), officers: one.officers.join(", ") })}
            </li>
          ))}
        </ul>
      </details>
    </div>
  );
}

const NAMED = 5;
const some = (names: readonly string[]): string => names.slice(0, NAMED).join(", ") + (names.length > NAMED ? ", …" : "");

/** Who would be left out if the roll were frozen now. */
function WithoutPasskey() {
  const names = useSignal<string[]>([]);
  useEffect(() => {
    api.members().then(
      ({ members }) => (names.value = members.filter((member) => member.passkeys === 0).map((member) => member.name)),
      () => undefined, // not everyone who freezes a roll may list the members
    );
  }, []);
  if (names.value.length === 0) return null;
  const shown = some(names.value);
  return <Note kind="warn" testid="without-passkey">{tn("roll.without-passkey", names.value.length, { names: shown })}</Note>;
}

/** The passkeys that the roll lists for this member: the only ones that can check in. */
export function MyPasskeys({ entry }: { entry: RollEntry }) {
  return (
    <div class="stack-tight" data-testid="my-passkeys">
      <p>{tn("roll.my-passkeys", entry.passkeys.length)}</p>
      <ul class="list">
        {entry.passkeys.map((passkey) => (
          <li key={passkey.id} class="mono small">
            {passkey.id.slice(0, 24)}…
          </li>
        ))}
      </ul>
    </div>
  );
}

type StepState = "done" | "now" | "later";

function Step({ state, title, text, children }: { state: StepState; title: string; text?: string; children?: ComponentChildren }) {
  return (
    <li data-state={state} aria-current={state === "now" ? "step" : undefined}>
      <div class="stack-tight">
        <span class="strong">{title}</span>
        {text && <span class="hint">{text}</span>}
        {children}
      </div>
    </li>
  );
}

const stepState = (done: boolean, possible: boolean): StepState => (done ? "done" : possible ? "now" : "later");

/** What is left to do before the meeting, each step with its own button where it is mine. */
function Steps({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const acting = useAction();
  const freezing = useAction();
  const { frozen } = meeting.roll;
  const leads = meeting.me.roles.includes("secretary") || meeting.me.roles.includes("chair");
  const tooLate = meeting.state === "draft" && nextStep(meeting, Math.floor(Date.now() / 1000)).why === "notice-too-short";
  const waits = meeting.state === "convened" || meeting.state === "adjourned";
  const begun = meeting.state !== "draft" && !waits;
  const send = (command: "convene" | "begin-check-in" | "close"): void =>
    void acting.run(async () => {
      await api.command(meeting.id, { command });
      await live.refresh();
    });
  const draft = useSignal<RollDraft | null>(null);
  // Looked at before it is signed: the roll cannot change afterwards.
  const look = async (): Promise<void> => {
    draft.value = await api.prepareRoll(meeting.id);
  };
  const freeze = async (): Promise<void> => {
    if (draft.value === null) return;
    const { roll_hash } = draft.value;
    try {
      const signed = await signRoll(roll_hash);
      if (draft.peek() === null) return; // changed while the passkey was asked for
      await api.freezeRoll(meeting.id, roll_hash, signed);
    } catch (error) {
      // This one cannot be frozen any more: it was prepared again, or what it lists has changed.
      if (codeOf(error).startsWith("roll.")) draft.value = null;
      throw error;
    }
    await live.refresh();
  };
  return (
    <Card title={t("prepare.steps")}>
      <ol class="steps">
        <Step state={stepState(meeting.elections.length > 0, true)} title={tn("prepare.questions", meeting.elections.length)} text={t("prepare.questions.text")} />
        <Step state={stepState(meeting.state !== "draft", true)} title={t("convene.button")} text={t("convene.text")}>
          {meeting.state === "draft" && leads && (
            <Button testid="convene" disabled={tooLate} busy={acting.busy.value} onClick={() => send("convene")}>
              {t("convene.button")}
            </Button>
          )}
          {meeting.notice_latest > 0 && meeting.state === "draft" && (
            <p class="hint" data-testid="notice-latest">
              {t(meeting.waived ? "calling.waived" : tooLate ? "calling.too-late" : "calling.latest", { time: dayAndTime(meeting.notice_latest, meeting.time_zone) })}
            </p>
          )}
          {leads && (
            <p>
              <a href={`/meetings/${meeting.id}/notice`} data-testid="go-notice">
                {t("calling.office")}
              </a>
            </p>
          )}
        </Step>
        <Step state={stepState(frozen, true)} title={t("roll.freeze")} {...(frozen ? {} : { text: `${t("roll.text")} ${t("roll.once")}` })}>
          {!frozen && (
            <>
              {(leads || meeting.me.roles.includes("registrar")) && <ConfirmPasskeys unit={meeting.unit} onChange={() => (draft.value = null)} />}
              <Problem error={freezing.error.value} />
              {meeting.me.roles.includes("registrar") ? (
                <>
                  <WithoutPasskey />
                  {draft.value === null ? (
                    <Button testid="look-roll" busy={freezing.busy.value} onClick={() => void freezing.run(look)}>
                      {t("roll.look")}
                    </Button>
                  ) : (
                    <>
                      <p>{tn("roll.draft", draft.value.core.size)}</p>
                      <Exceptions draft={draft.value} />
                      <Button testid="freeze-roll" busy={freezing.busy.value} onClick={() => void freezing.run(freeze)}>
                        {t("roll.freeze")}
                      </Button>
                    </>
                  )}
                </>
              ) : (
                <Note>{t("roll.waits")}</Note>
              )}
            </>
          )}
        </Step>
        <Step state={stepState(begun, waits && frozen)} title={t("begin-check-in.button")} text={t("begin-check-in.text")} />
      </ol>
      <Problem error={acting.error.value} />
      <div class="actions">
        {waits && leads && (
          <Button kind="main" testid="begin-check-in" disabled={!frozen} busy={acting.busy.value} onClick={() => send("begin-check-in")}>
            {frozen ? t("begin-check-in.button") : t("begin-check-in.needs-roll")}
          </Button>
        )}
        {meeting.state === "adjourned" && meeting.me.roles.includes("chair") && (
          <ConfirmButton kind="danger" danger testid="close-adjourned" title={t("calling.close")} text={t("calling.close.text")} yes={t("calling.close")} busy={acting.busy.value} onClick={() => send("close")}>
            {t("calling.close")}
          </ConfirmButton>
        )}
        {begun && (
          <LinkButton kind="main" href={`/meetings/${meeting.id}`}>
            {t("prepare.to-meeting")}
          </LinkButton>
        )}
      </div>
    </Card>
  );
}
