/** Preparation by secretary and registrar: questions, roll, convening. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { MajorityBase, MajorityKind, Meeting, QuestionType, RollEntry } from "../api/types.ts";
import { t, tn } from "../i18n/index.ts";
import type { LiveMeeting } from "../state/live.ts";
import { signRoll } from "../state/sign.ts";
import { useAction } from "../ui/action.ts";
import { Button, Card, Field, Form, LinkButton, Note, Problem, Select, Title } from "../ui/parts.tsx";
import { majorityText, optionText } from "./words.ts";
import { WithMeeting } from "./with_meeting.tsx";

const KINDS: readonly MajorityKind[] = ["simple", "absolute", "two-thirds", "three-quarters"];
const BASES: readonly MajorityBase[] = ["cast", "present", "roll"];
const YES_NO = ["yes", "no", "abstain"];
const MOST_OPTIONS = 32;

export function Prepare({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(live, meeting) => {
        const { roles } = meeting.me;
        const writes = (roles.includes("secretary") || roles.includes("chair")) && meeting.state !== "closed";
        return (
          <div class="stack">
            <p>
              <a href={`/meetings/${id}`}>← {meeting.title}</a>
            </p>
            <Title>{t("prepare.title")}</Title>
            <Questions meeting={meeting} />
            {writes && <QuestionEditor live={live} meeting={meeting} />}
            <Roll live={live} meeting={meeting} />
            <Steps live={live} meeting={meeting} />
          </div>
        );
      }}
    </WithMeeting>
  );
}

function Questions({ meeting }: { meeting: Meeting }) {
  return (
    <Card title={t("agenda")}>
      <ol class="list">
        {meeting.agenda.map((item, index) => (
          <li key={item.id} class="stack-tight" data-testid="agenda-item" data-item={item.id} data-state={item.state}>
            <h3>
              {index + 1}. {item.title}
            </h3>
            {meeting.elections
              .filter((election) => election.agenda_item === item.id)
              .map((election) => (
                <div key={election.election} class="stack-tight" data-testid="question" data-election={election.election}>
                  <p>
                    <span class="badge">{t("secret-vote")}</span> {election.title}
                  </p>
                  <p class="muted">{election.text}</p>
                  <p class="small">
                    {election.options.map((option) => optionText(election.type, option)).join(" · ")}. {majorityText(election.type, election.majority)}
                  </p>
                </div>
              ))}
          </li>
        ))}
      </ol>
    </Card>
  );
}

function QuestionEditor({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const item = useSignal(meeting.agenda[0]?.id ?? "");
  const title = useSignal("");
  const type = useSignal<QuestionType>("yes-no-abstain");
  const text = useSignal("");
  const options = useSignal(["", ""]);
  const kind = useSignal<MajorityKind>("simple");
  const of = useSignal<MajorityBase>("cast");
  const saved = useSignal(false);
  const saving = useAction();
  const save = async (): Promise<void> => {
    await api.addQuestion(meeting.id, {
      agenda_item: item.value,
      title: title.value.trim(),
      type: type.value,
      text: text.value.trim(),
      options: type.value === "yes-no-abstain" ? YES_NO : options.value.map((option) => option.trim()).filter(Boolean),
      majority: { kind: kind.value, of: of.value },
    });
    title.value = text.value = "";
    options.value = ["", ""];
    saved.value = true;
    await live.refresh();
  };
  return (
    <Card title={t("question.new")}>
      <Form action={saving} work={save} submit={t("question.save")} testid="question-save" kind="plain">
        <Select label={t("question.item")} value={item.value} onChange={(value) => (item.value = value)} choices={meeting.agenda.map((entry) => ({ value: entry.id, label: entry.title }))} testid="question-item" />
        <Field label={t("question.title")} hint={t("question.title-hint")} value={title.value} onInput={(value) => (title.value = value)} testid="question-title" required maxLength={200} />
        <Field label={t("question.text")} hint={t("question.text-hint")} rows={4} value={text.value} onInput={(value) => (text.value = value)} testid="question-text" required maxLength={2000} />
        <Select
          label={t("question.type")}
          value={type.value}
          onChange={(value) => (type.value = value as QuestionType)}
          choices={[
            { value: "yes-no-abstain", label: t("question.type.yes-no-abstain") },
            { value: "one-of-n", label: t("question.type.one-of-n") },
          ]}
          testid="question-type"
        />
        {type.value === "one-of-n" && (
          <fieldset class="stack-tight">
            <legend>{t("question.options")}</legend>
            {options.value.map((option, index) => (
              <Field key={index} label={t("question.option", { n: index + 1 })} value={option} onInput={(value) => (options.value = options.value.with(index, value))} testid={`question-option-${index}`} required={index < 2} maxLength={200} />
            ))}
            {options.value.length < MOST_OPTIONS && (
              <Button testid="question-option-add" onClick={() => (options.value = [...options.value, ""])}>
                {t("question.option-add")}
              </Button>
            )}
          </fieldset>
        )}
        <Select label={t("question.majority")} value={kind.value} onChange={(value) => (kind.value = value as MajorityKind)} choices={KINDS.map((value) => ({ value, label: t(`majority.${value}`) }))} testid="question-majority" />
        {kind.value !== "simple" && (
          <Select label={t("question.of")} value={of.value} onChange={(value) => (of.value = value as MajorityBase)} choices={BASES.map((value) => ({ value, label: t(`base.${value}`) }))} testid="question-of" />
        )}
        <Note>{majorityText(type.value, { kind: kind.value, of: of.value })}</Note>
      </Form>
      {saved.value && <Note kind="good">{t("question.saved")}</Note>}
    </Card>
  );
}

function Roll({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const mine = useSignal<RollEntry | null | undefined>(undefined);
  const freezing = useAction();
  useEffect(() => {
    if (!meeting.roll.frozen) return;
    api.roll(meeting.id).then(
      (roll) => (mine.value = roll.mine),
      () => (mine.value = undefined),
    );
  }, [meeting.roll.frozen]);
  const freeze = async (): Promise<void> => {
    const { roll_hash } = await api.prepareRoll(meeting.id);
    await api.freezeRoll(meeting.id, roll_hash, await signRoll(roll_hash));
    await live.refresh();
  };
  return (
    <Card title={t("roll.title")}>
      {meeting.roll.frozen ? (
        <>
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
        </>
      ) : (
        <>
          <p>{t("roll.text")}</p>
          <p class="muted">{t("roll.once")}</p>
          <Problem error={freezing.error.value} />
          {meeting.me.roles.includes("registrar") ? (
            <Button kind="main" testid="freeze-roll" busy={freezing.busy.value} onClick={() => void freezing.run(freeze)}>
              {t("roll.freeze")}
            </Button>
          ) : (
            <Note>{t("roll.waits")}</Note>
          )}
        </>
      )}
    </Card>
  );
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

function Steps({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const acting = useAction();
  const send = (command: "convene" | "begin-check-in"): void =>
    void acting.run(async () => {
      await api.command(meeting.id, { command });
      await live.refresh();
    });
  const leads = meeting.me.roles.includes("secretary") || meeting.me.roles.includes("chair");
  if (!leads) return null;
  return (
    <>
      <Problem error={acting.error.value} />
      <div class="actions">
        {meeting.state === "draft" && (
          <Button kind="main" testid="convene" busy={acting.busy.value} onClick={() => send("convene")}>
            {t("convene.button")}
          </Button>
        )}
        {meeting.state === "convened" && (
          <Button kind="main" testid="begin-check-in" disabled={!meeting.roll.frozen} busy={acting.busy.value} onClick={() => send("begin-check-in")}>
            {meeting.roll.frozen ? t("begin-check-in.button") : t("begin-check-in.needs-roll")}
          </Button>
        )}
        {(meeting.state === "checking-in" || meeting.state === "opened") && (
          <LinkButton kind="main" href={`/meetings/${meeting.id}`}>
            {t("prepare.to-meeting")}
          </LinkButton>
        )}
      </div>
    </>
  );
}
