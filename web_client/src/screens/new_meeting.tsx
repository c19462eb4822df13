/** Create a meeting: title, unit, start in the meeting's own zone, agenda, quorum. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { Unit } from "../api/types.ts";
import type { Template } from "../api/types_conduct.ts";
import { t } from "../i18n/index.ts";
import { navigate } from "../router.ts";
import { useAction } from "../ui/action.ts";
import { Button, Card, Check, Field, Form, Problem, Select, Title } from "../ui/parts.tsx";
import { nextHour, ownZone, toSeconds, zones } from "./times.ts";

const FEWEST_ITEMS = 1;
const MOST_ITEMS = 50;

export function NewMeeting() {
  const units = useSignal<Unit[]>([]);
  const unit = useSignal("");
  const title = useSignal("");
  const start = useSignal(nextHour());
  const zone = useSignal(ownZone());
  const agenda = useSignal<string[]>(["", ""]);
  const num = useSignal("1");
  const den = useSignal("2");
  const noticeDays = useSignal("0");
  const binding = useSignal(false);
  const templates = useSignal<Template[]>([]);
  const template = useSignal("");
  const loading = useAction();
  const creating = useAction();
  useEffect(
    () =>
      void loading.run(async () => {
        units.value = (await api.organisation()).units;
        unit.value = units.value[0]?.id ?? "";
      }),
    [],
  );
  useEffect(() => {
    template.value = "";
    templates.value = [];
    if (unit.value === "") return;
    api.templates(unit.value).then(
      (found) => (templates.value = found.templates),
      () => undefined, // without the right to see them there are none to choose from
    );
  }, [unit.value]);
  const create = async (): Promise<void> => {
    const { id } = await api.createMeeting({
      title: title.value.trim(),
      unit: unit.value,
      starts_at: toSeconds(start.value, zone.value),
      time_zone: zone.value,
      agenda: agenda.value.map((item) => ({ title: item.trim() })).filter((item) => item.title !== ""),
      quorum: { num: Number(num.value), den: Number(den.value) },
      notice_days: Number(noticeDays.value),
      binding: binding.value,
      template: template.value,
    });
    navigate(`/meetings/${id}/prepare`);
  };
  const setItem = (index: number, value: string): void => {
    agenda.value = agenda.value.map((item, at) => (at === index ? value : item));
  };
  return (
    <div class="stack">
      <Title>{t("new-meeting.title")}</Title>
      <Problem error={loading.error.value} />
      <Form action={creating} work={create} submit={t("new-meeting.button")} testid="meeting-create" disabled={unit.value === ""}>
        <Card>
          <Field label={t("meeting.title")} value={title.value} onInput={(value) => (title.value = value)} testid="meeting-title" required maxLength={200} />
          <Select label={t("unit")} hint={t("new-meeting.unit-hint")} value={unit.value} onChange={(value) => (unit.value = value)} choices={units.value.map(({ id, name }) => ({ value: id, label: name }))} testid="meeting-unit" />
          <Field label={t("meeting.start")} type="datetime-local" value={start.value} onInput={(value) => (start.value = value)} testid="meeting-start" required />
          <Select label={t("meeting.time-zone")} value={zone.value} onChange={(value) => (zone.value = value)} choices={zones().map((value) => ({ value, label: value.replaceAll("_", " ") }))} testid="meeting-time-zone" />
        </Card>
        <Card title={t("agenda")}>
          {templates.value.length > 0 && (
            <Select
              label={t("calling.template")}
              hint={t("calling.template.hint")}
              value={template.value}
              onChange={(value) => (template.value = value)}
              choices={[{ value: "", label: t("calling.template.none") }, ...templates.value.map(({ id, name, items }) => ({ value: id, label: t("calling.template.choice", { name, n: items }) }))]}
              testid="meeting-template"
            />
          )}
          {agenda.value.map((item, index) => (
            <Field key={index} label={t("agenda.item", { n: index + 1 })} value={item} onInput={(value) => setItem(index, value)} testid={`agenda-item-${index}`} required={index < FEWEST_ITEMS && template.value === ""} maxLength={200} />
          ))}
          {agenda.value.length < MOST_ITEMS && (
            <Button testid="agenda-add" onClick={() => (agenda.value = [...agenda.value, ""])}>
              {t("agenda.add")}
            </Button>
          )}
        </Card>
        <Card title={t("quorum")}>
          <p class="muted">{t("new-meeting.quorum-hint")}</p>
          <div class="row">
            <Field label={t("quorum.num")} type="number" min={0} value={num.value} onInput={(value) => (num.value = value)} testid="quorum-num" required />
            <Field label={t("quorum.den")} type="number" min={1} value={den.value} onInput={(value) => (den.value = value)} testid="quorum-den" required />
          </div>
          <p>{t("new-meeting.quorum-words", { num: num.value, den: den.value })}</p>
          <Check label={t("calling.binding")} hint={t("calling.binding.hint")} checked={binding.value} onChange={(on) => (binding.value = on)} testid="quorum-binding" />
        </Card>
        <Card title={t("calling.notice")}>
          <Field label={t("calling.notice-days")} hint={t("calling.notice-days.hint")} type="number" min={0} value={noticeDays.value} onInput={(value) => (noticeDays.value = value)} testid="notice-days" required />
        </Card>
      </Form>
    </div>
  );
}
