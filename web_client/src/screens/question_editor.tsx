/** Writing a vote: one or several questions of any type, who sees the votes, and the rules, shown back in sentences. */
import { useSignal, type Signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { MajorityBase, MajorityKind, Meeting, Question, QuestionType, Secrecy } from "../api/types.ts";
import { say, t } from "../i18n/index.ts";
import type { LiveMeeting } from "../state/live.ts";
import { useAction } from "../ui/action.ts";
import { Button, Field, Form, Note, Select } from "../ui/parts.tsx";
import { pickText, ruleSentences } from "../ui/rule_words.ts";
import { type DraftQuestion, emptyDraft, MOST_OPTIONS, MOST_QUESTIONS, questionOf, TYPES, usesOptions, usesPoints } from "./question_draft.ts";

const KINDS: readonly MajorityKind[] = ["simple", "absolute", "two-thirds", "three-quarters"];
const BASES: readonly MajorityBase[] = ["cast", "decided", "present", "roll"];
const SECRECIES: readonly Secrecy[] = ["trustees", "open", "roll-call"];
const MINUTE_S = 60;

export function QuestionEditor({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const item = useSignal(meeting.agenda[0]?.id ?? "");
  const title = useSignal("");
  const drafts = useSignal<readonly DraftQuestion[]>([emptyDraft()]);
  const rules = { kind: useSignal<MajorityKind>("simple"), of: useSignal<MajorityBase>("cast"), tie: useSignal("rejected") };
  const more = { secrecy: useSignal<Secrecy>("trustees"), again: useSignal(false), minutes: useSignal("0"), grace: useSignal(""), kiosk: useSignal(false) };
  const saved = useSignal(false);
  const saving = useAction();
  // Open when there is nothing yet; it stays as the person leaves it.
  const first = useRef(meeting.elections.length === 0);
  const questions = drafts.value.map(questionOf);
  const save = async (): Promise<void> => {
    await api.addQuestion(meeting.id, {
      agenda_item: item.value,
      title: title.value.trim(),
      questions,
      secrecy: more.secrecy.value,
      voting_again: more.again.value ? "last-counts" : "once",
      majority: { kind: rules.kind.value, of: rules.of.value },
      tie: rules.tie.value,
      closes_after_s: Number(more.minutes.value) * MINUTE_S,
      kiosk: more.kiosk.value,
      ...(more.grace.value === "" ? {} : { grace_s: Number(more.grace.value) * MINUTE_S }),
    });
    title.value = "";
    drafts.value = [emptyDraft()];
    saved.value = true;
    await live.refresh();
  };
  return (
    <details class="card" open={first.current}>
      <summary>{t("question.new")}</summary>
      <Form action={saving} work={save} submit={t("question.save")} testid="question-save" kind="plain">
        <Select label={t("question.item")} value={item.value} onChange={(value) => (item.value = value)} choices={meeting.agenda.map((entry) => ({ value: entry.id, label: entry.title }))} testid="question-item" />
        <Field label={t("question.title")} hint={t("question.title-hint")} value={title.value} onInput={(value) => (title.value = value)} testid="question-title" required maxLength={200} />
        {drafts.value.map((draft, at) => (
          <OneQuestion key={at} draft={draft} at={at} of={drafts.value.length} set={(next) => (drafts.value = next === null ? drafts.value.filter((_, index) => index !== at) : drafts.value.map((old, index) => (index === at ? next : old)))} />
        ))}
        {drafts.value.length < MOST_QUESTIONS && (
          <Button testid="question-add" onClick={() => (drafts.value = [...drafts.value, emptyDraft()])}>
            {t("question.add")}
          </Button>
        )}
        <Rules rules={rules} questions={questions} />
        <More {...more} />
        <Note testid="question-words">
          {[...new Set(questions.flatMap((question) => ruleSentences(say, question, { majority: { kind: rules.kind.value, of: rules.of.value }, tie: rules.tie.value })))].join(" ")}
        </Note>
      </Form>
      {saved.value && <Note kind="good">{t("question.saved")}</Note>}
    </details>
  );
}

/** Hooks for tests keep their short names on the first question. */
const hook = (name: string, at: number): string => (at === 0 ? `question-${name}` : `question-${at}-${name}`);

function OneQuestion({ draft, at, of, set }: { draft: DraftQuestion; at: number; of: number; set: (next: DraftQuestion | null) => void }) {
  const change = (fields: Partial<DraftQuestion>): void => set({ ...draft, ...fields });
  const number = (name: "min" | "max" | "score" | "ranks" | "seats", least: number) => (
    <Field label={t(`question.${name}`)} type="number" min={least} value={draft[name]} onInput={(value) => change({ [name]: value })} testid={hook(name, at)} required />
  );
  return (
    <fieldset class="stack-tight question-draft">
      <legend>{of > 1 ? t("question.number", { n: at + 1 }) : t("question.one")}</legend>
      <Select label={t("question.type")} value={draft.type} onChange={(value) => change({ type: value as QuestionType })} choices={TYPES.map((value) => ({ value, label: t(`question.type.${value}`) }))} testid={hook("type", at)} />
      <Field label={t("question.text")} hint={t("question.text-hint")} rows={3} value={draft.text} onInput={(text) => change({ text })} testid={hook("text", at)} required maxLength={2000} />
      {usesOptions(draft.type) && (
        <fieldset class="stack-tight">
          <legend>{t("question.options")}</legend>
          {draft.options.map((option, index) => (
            <Field key={index} label={t("question.option", { n: index + 1 })} value={option} onInput={(value) => change({ options: draft.options.map((old, place) => (place === index ? value : old)) })} testid={hook(`option-${index}`, at)} required={index < 2} maxLength={200} />
          ))}
          {draft.options.length < MOST_OPTIONS[draft.type] && (
            <Button testid={hook("option-add", at)} onClick={() => change({ options: [...draft.options, ""] })}>
              {t("question.option-add")}
            </Button>
          )}
        </fieldset>
      )}
      {(draft.type === "m-of-n" || draft.type === "multi-seat") && number("min", 0)}
      {draft.type === "m-of-n" && number("max", 1)}
      {draft.type === "score" && number("score", 1)}
      {draft.type === "borda" && number("ranks", 1)}
      {usesOptions(draft.type) && draft.type !== "one-of-n" && number("seats", draft.type === "multi-seat" ? 2 : 1)}
      {(draft.type === "m-of-n" || draft.type === "multi-seat") && (
        <label class="check">
          <input type="checkbox" checked={draft.blank} data-testid={hook("blank", at)} onChange={(event) => change({ blank: event.currentTarget.checked })} />
          <span>{t("question.blank")}</span>
        </label>
      )}
      <p class="hint">{pickText(say, questionOf(draft))}</p>
      {of > 1 && (
        <Button testid={hook("drop", at)} kind="quiet" onClick={() => set(null)}>
          {t("question.drop", { n: at + 1 })}
        </Button>
      )}
    </fieldset>
  );
}

function Rules({ rules, questions }: { rules: { kind: Signal<MajorityKind>; of: Signal<MajorityBase>; tie: Signal<string> }; questions: readonly Question[] }) {
  const points = questions.some(({ type }) => usesPoints(type));
  const yesNo = questions.some(({ type }) => type === "yes-no-abstain");
  if (points && rules.kind.value !== "simple") rules.kind.value = "simple";
  if (yesNo && rules.kind.value !== "simple" && rules.tie.value !== "rejected") rules.tie.value = "rejected";
  return (
    <>
      {!points && (
        <Select label={t("question.majority")} value={rules.kind.value} onChange={(value) => (rules.kind.value = value as MajorityKind)} choices={KINDS.map((value) => ({ value, label: t(`majority.${value}`) }))} testid="question-majority" />
      )}
      {rules.kind.value !== "simple" && (
        <Select label={t("question.of")} value={rules.of.value} onChange={(value) => (rules.of.value = value as MajorityBase)} choices={BASES.map((value) => ({ value, label: t(`base.${value}`) }))} testid="question-of" />
      )}
      {(!yesNo || rules.kind.value === "simple") && (
        <Select
          label={t("question.tie")}
          value={rules.tie.value}
          onChange={(value) => (rules.tie.value = value)}
          choices={["rejected", "casting-vote"].map((value) => ({ value, label: t(`question.tie.${value as "rejected" | "casting-vote"}`) }))}
          testid="question-tie"
        />
      )}
    </>
  );
}

function More({ secrecy, again, minutes, grace, kiosk }: { secrecy: Signal<Secrecy>; again: Signal<boolean>; minutes: Signal<string>; grace: Signal<string>; kiosk: Signal<boolean> }) {
  return (
    <>
      <Select label={t("question.secrecy")} value={secrecy.value} onChange={(value) => (secrecy.value = value as Secrecy)} choices={SECRECIES.map((value) => ({ value, label: t(`secrecy.${value}`) }))} testid="question-secrecy" />
      <details>
        <summary>{t("question.more")}</summary>
        <div class="stack-tight">
          <label class="check">
            <input type="checkbox" checked={again.value} data-testid="question-again" onChange={(event) => (again.value = event.currentTarget.checked)} />
            <span>{t("question.again")}</span>
          </label>
          <Field label={t("question.minutes")} hint={t("question.minutes-hint")} type="number" min={0} value={minutes.value} onInput={(value) => (minutes.value = value)} testid="question-minutes" required />
          <Field label={t("question.grace")} hint={t("question.grace-hint")} type="number" min={0} max={60} value={grace.value} onInput={(value) => (grace.value = value)} testid="question-grace" />
          <label class="check">
            <input type="checkbox" checked={kiosk.value} data-testid="question-kiosk" onChange={(event) => (kiosk.value = event.currentTarget.checked)} />
            <span>{t("question.kiosk")}</span>
          </label>
        </div>
      </details>
    </>
  );
}
