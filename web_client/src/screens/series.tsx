/** More from one agenda: templates, the next meetings of a series, and what another meeting left over. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { Meeting, MeetingCard } from "../api/types.ts";
import type { Every, Template } from "../api/types_conduct.ts";
import { dayAndTime, t, tn } from "../i18n/index.ts";
import type { LiveMeeting } from "../state/live.ts";
import { useAction } from "../ui/action.ts";
import { ConfirmButton, Field, Form, Note, Problem, Select } from "../ui/parts.tsx";

const EVERY: readonly Every[] = ["week", "fortnight", "month"];
const SERIES_MAX = 52;

export function CarryOver({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const acting = useAction();
  const others = useSignal<MeetingCard[] | null>(null);
  const from = useSignal("");
  const taken = useSignal<number | null>(null);
  const load = (open: boolean): void => {
    if (!open || others.value !== null) return;
    void acting.run(async () => {
      const found = (await api.meetings()).meetings.filter((one) => one.id !== meeting.id && one.state !== "cancelled");
      others.value = found;
      from.value = found[0]?.id ?? "";
    });
  };
  const carry = async (): Promise<void> => {
    taken.value = (await api.carryItems(meeting.id, from.value)).items;
    await live.refresh();
  };
  return (
    <details class="card" data-testid="carry" onToggle={(event) => load(event.currentTarget.open)}>
      <summary>{t("calling.carry")}</summary>
      <div class="stack">
        <p class="hint">{t("calling.carry.text")}</p>
        {others.value?.length === 0 && <p class="muted">{t("calling.carry.none")}</p>}
        {others.value === null && <Problem error={acting.error.value} />}
        {others.value !== null && others.value.length > 0 && (
          <Form action={acting} work={carry} submit={t("calling.carry.button")} testid="carry-items" kind="plain">
            <Select label={t("calling.carry.from")} value={from.value} onChange={(value) => (from.value = value)} choices={others.value.map((one) => ({ value: one.id, label: `${one.title} · ${dayAndTime(one.starts_at, one.time_zone)}` }))} testid="carry-from" />
          </Form>
        )}
        {taken.value !== null && <Note kind="good" testid="carried">{tn("calling.carried", taken.value)}</Note>}
      </div>
    </details>
  );
}

export function Templates({ meeting }: { meeting: Meeting }) {
  const acting = useAction();
  const name = useSignal("");
  const found = useSignal<Template[] | null>(null);
  const load = async (): Promise<void> => {
    found.value = (await api.templates(meeting.unit)).templates;
  };
  useEffect(() => void acting.run(load), []);
  const save = async (): Promise<void> => {
    await api.saveTemplate({ unit: meeting.unit, name: name.value.trim(), meeting: meeting.id });
    name.value = "";
    await load();
  };
  const remove = (id: string): void =>
    void acting.run(async () => {
      await api.removeTemplate(id);
      await load();
    });
  return (
    <details class="card" data-testid="templates">
      <summary>{t("calling.templates")}</summary>
      <div class="stack">
        <p class="hint">{t("calling.templates.text")}</p>
        {found.value?.length === 0 && <p class="muted">{t("calling.templates.none")}</p>}
        <ul class="list">
          {found.value?.map((one) => (
            <li key={one.id} class="row-between" data-testid="template">
              <span>{t("calling.template.choice", { name: one.name, n: one.items })}</span>
              <ConfirmButton kind="danger" danger testid={`template-remove-${one.id}`} title={t("calling.templates.remove", { name: one.name })} text={t("calling.templates.remove.text")} yes={t("calling.agenda.remove")} onClick={() => remove(one.id)}>
                {t("calling.agenda.remove")}
              </ConfirmButton>
            </li>
          ))}
        </ul>
        <Form action={acting} work={save} submit={t("calling.templates.save")} testid="template-save" kind="plain">
          <Field label={t("calling.templates.name")} value={name.value} onInput={(value) => (name.value = value)} testid="template-name" required maxLength={200} />
        </Form>
      </div>
    </details>
  );
}

export function SeriesCard({ meeting }: { meeting: Meeting }) {
  const acting = useAction();
  const every = useSignal<Every>("month");
  const count = useSignal("3");
  const made = useSignal<string[]>([]);
  const make = async (): Promise<void> => {
    made.value = (await api.makeSeries(meeting.id, every.value, Math.min(Number(count.value), SERIES_MAX))).meetings;
  };
  return (
    <details class="card" data-testid="series">
      <summary>{t("calling.series")}</summary>
      <div class="stack">
        <p class="hint">{t("calling.series.text", { time: dayAndTime(meeting.starts_at, meeting.time_zone) })}</p>
        <Form action={acting} work={make} submit={t("calling.series.button")} testid="series-make" kind="plain">
          <Select label={t("calling.series.every")} value={every.value} onChange={(value) => (every.value = value as Every)} choices={EVERY.map((value) => ({ value, label: t(`calling.series.every.${value}`) }))} testid="series-every" />
          <Field label={t("calling.series.count")} type="number" min={1} value={count.value} onInput={(value) => (count.value = value)} testid="series-count" required />
        </Form>
        {made.value.length > 0 && (
          <Note kind="good" testid="series-made">
            {tn("calling.series.made", made.value.length)}
          </Note>
        )}
      </div>
    </details>
  );
}
