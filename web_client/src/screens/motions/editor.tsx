/** Writing a motion, and an amendment by choosing the paragraphs that it changes. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { floor } from "../../api/floor.ts";
import type { Meeting } from "../../api/types.ts";
import type { Motion, MotionPlace, MotionText } from "../../api/types_floor.ts";
import { t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { useAction } from "../../ui/action.ts";
import { Field, Form, Loading, Problem, Select } from "../../ui/parts.tsx";
import { nameOf } from "./motions.tsx";

const TEXT_MAX = 40_000;
const TITLE_MAX = 200;

interface Props {
  live: LiveMeeting;
  meeting: Meeting;
  /** Given the motion's id when it is stored. */
  done: (motion: string) => void;
}

/** A new motion, or other words for an own one that is not admitted yet. */
export function MotionEditor({ live, meeting, motion, done }: Props & { motion: Motion | null }) {
  const current = meeting.agenda.find((item) => item.state === "current") ?? meeting.agenda[0];
  const item = useSignal(motion?.item ?? current?.id ?? "");
  const title = useSignal(motion?.title ?? "");
  const text = useSignal(motion ? null : "");
  const version = useSignal(motion?.version ?? 0);
  const error = useSignal<unknown>(null);
  const saving = useAction();
  useEffect(() => {
    if (!motion) return;
    floor.motion(meeting.id, motion.motion).then(
      (found) => {
        text.value ??= found.text;
        version.value = found.version;
      },
      (caught: unknown) => (error.value = caught),
    );
  }, []);
  const save = async (): Promise<void> => {
    const words = text.value ?? "";
    const made = motion
      ? (await floor.change(meeting.id, motion.motion, version.value, title.value.trim(), words), motion.motion)
      : (await floor.write(meeting.id, item.value, title.value.trim(), words)).motion;
    await live.refresh();
    done(made);
  };
  return (
    <section class="card stack" data-testid="motion-editor">
      <h2 tabIndex={-1}>{motion ? t("motion.edit-title", { name: nameOf(motion) }) : t("motions.new")}</h2>
      <Problem error={error.value} />
      {text.value === null && error.value === null && <Loading />}
      {text.value !== null && (
        <Form action={saving} work={save} submit={t("motion.save")} testid="motion-save">
          {!motion && (
            <Select label={t("motion.item")} value={item.value} testid="motion-item" choices={meeting.agenda.map((one) => ({ value: one.id, label: one.title }))} onChange={(value) => (item.value = value)} />
          )}
          <Field label={t("motion.title")} hint={t("motion.title-hint")} value={title.value} onInput={(value) => (title.value = value)} testid="motion-title" required maxLength={TITLE_MAX} />
          <Field label={t("motion.text")} hint={t("motion.text-hint")} rows={10} value={text.value} onInput={(value) => (text.value = value)} testid="motion-text-input" required maxLength={TEXT_MAX} />
        </Form>
      )}
    </section>
  );
}

/** Consecutive paragraphs, marked one by one; or a place between them for something new. */
export function AmendEditor({ live, meeting, base, own, done }: Props & { base: Motion; own: Motion | null }) {
  const found = useSignal<{ base: MotionText; own: MotionText | null } | null>(null);
  const error = useSignal<unknown>(null);
  useEffect(() => {
    const texts = Promise.all([floor.motion(meeting.id, base.motion), own && floor.motion(meeting.id, own.motion)]);
    texts.then(
      ([text, written]) => (found.value = { base: text, own: written }),
      (caught: unknown) => (error.value = caught),
    );
  }, [base.hash]);
  const { value } = found;
  return (
    <section class="card stack" data-testid="amend-editor">
      <h2 tabIndex={-1}>{own ? t("motion.edit-title", { name: nameOf(own) }) : t("amend.title", { name: nameOf(base) })}</h2>
      <Problem error={error.value} />
      {value === null && error.value === null && <Loading />}
      {value && <Choosing key={value.base.hash} live={live} meeting={meeting} base={value.base} own={value.own} done={done} />}
    </section>
  );
}

type Way = "replace" | "insert" | "delete";

function wayOf(own: MotionText | null): Way {
  if (own === null) return "replace";
  if (own.from === own.to) return "insert";
  return own.text === "" ? "delete" : "replace";
}

/** Where an amendment stands in the text as it is now; an own one begins at its paragraphs. */
function Choosing({ live, meeting, base, own, done }: Props & { base: MotionText; own: MotionText | null }) {
  const lines = base.text === "" ? [] : base.text.split("\n\n");
  const from = useSignal(own ? Math.min(own.from, lines.length) : -1);
  const to = useSignal(own ? Math.min(own.to, lines.length) : -1);
  const way = useSignal<Way>(wayOf(own));
  const title = useSignal(own?.title ?? "");
  const text = useSignal(own?.text ?? "");
  const saving = useAction();
  const chosen = from.value >= 0;
  const place: MotionPlace = { base_hash: base.hash, from: Math.max(0, from.value), to: way.value === "insert" ? Math.max(0, from.value) : to.value };
  /** The first mark begins, another one extends; a marked paragraph that is tapped again leaves one alone. */
  const mark = (at: number): void => {
    const untouched = text.value === "" || text.value === lines.slice(Math.max(0, from.value), to.value).join("\n\n");
    if (way.value === "insert" || !chosen || (at >= from.value && at < to.value)) [from.value, to.value] = [at, at + 1];
    else [from.value, to.value] = [Math.min(from.value, at), Math.max(to.value, at + 1)];
    if (way.value === "replace" && untouched) text.value = lines.slice(from.value, to.value).join("\n\n");
  };
  const choose = (next: Way): void => {
    way.value = next;
    [from.value, to.value] = [-1, -1];
    text.value = "";
  };
  const save = async (): Promise<void> => {
    const words = way.value === "delete" ? "" : text.value;
    const made = own
      ? (await floor.change(meeting.id, own.motion, own.version, title.value.trim(), words, place), own.motion)
      : (await floor.amend(meeting.id, base.motion, place, title.value.trim(), words)).motion;
    await live.refresh();
    done(made);
  };
  const count = way.value === "insert" ? lines.length + 1 : lines.length;
  return (
    <>
      <Select
        label={t("amend.way")}
        value={way.value}
        testid="amend-way"
        choices={(["replace", "insert", "delete"] as const).map((value) => ({ value, label: t(`amend.way.${value}`) }))}
        onChange={(value) => choose(value as Way)}
      />
      <fieldset class="stack-tight">
        <legend>{t(`amend.choose.${way.value}`)}</legend>
        <ol class="choose-paragraphs">
          {Array.from({ length: count }, (_, at) => {
            const on = way.value === "insert" ? chosen && at === from.value : at >= from.value && at < to.value;
            return (
              <li key={at}>
                <label class={on ? "check paragraph-on" : "check"}>
                  <input type={way.value === "insert" ? "radio" : "checkbox"} name="paragraph" checked={on} data-testid={`paragraph-${at}`} onChange={() => mark(at)} />
                  <span>{way.value === "insert" ? (at < lines.length ? t("amend.before", { text: (lines[at] ?? "").slice(0, 60) }) : t("amend.at-end")) : lines[at]}</span>
                </label>
              </li>
            );
          })}
        </ol>
      </fieldset>
      <Form action={saving} work={save} submit={t("motion.save")} testid="amend-save" disabled={!chosen}>
        <Field label={t("amend.name")} hint={t("amend.name-hint")} value={title.value} onInput={(value) => (title.value = value)} testid="amend-title" required maxLength={TITLE_MAX} />
        {way.value !== "delete" && <Field label={t("amend.text")} hint={t("motion.text-hint")} rows={6} value={text.value} onInput={(value) => (text.value = value)} testid="amend-text" required maxLength={TEXT_MAX} />}
      </Form>
    </>
  );
}
