/** Chair and secretary write the agenda, several at once: every change is sent as what was meant, nothing is lost. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, api } from "../api/fetch.ts";
import type { AgendaItem, Meeting } from "../api/types.ts";
import type { ItemPlace, ItemText } from "../api/types_conduct.ts";
import { t } from "../i18n/index.ts";
import { levelOf, MOVES, type Move, placeAfter } from "../state/agenda.ts";
import type { LiveMeeting } from "../state/live.ts";
import { isEnded } from "../state/meeting.ts";
import { useAction, useQueue } from "../ui/action.ts";
import { announce } from "../ui/announce.ts";
import { Arrow, Button, Card, Check, ConfirmButton, Field, Form, Note, Problem, Title } from "../ui/parts.tsx";
import { CarryOver, SeriesCard, Templates } from "./series.tsx";
import { WithMeeting } from "./with_meeting.tsx";
import "./agenda_editor.css";

const MINUTES_MAX = 1440;

interface Editor {
  live: LiveMeeting;
  meeting: Meeting;
}

export function AgendaScreen({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(live, meeting) => {
        const office = meeting.me.roles.includes("chair") || meeting.me.roles.includes("secretary");
        const writes = office && !isEnded(meeting);
        return (
          <div class="stack" data-testid="agenda-editor" data-seq={meeting.seq}>
            <p>
              <a href={`/meetings/${id}/prepare`}><Arrow>←</Arrow> {t("calling.back")}</a>
            </p>
            <Title>{t("calling.agenda.write")}</Title>
            {!writes && <Note kind="warn">{t(office ? "calling.agenda.over" : "calling.office-only")}</Note>}
            {writes && <Items live={live} meeting={meeting} />}
            {writes && <CarryOver live={live} meeting={meeting} />}
            {office && <Templates meeting={meeting} />}
            {office && <SeriesCard meeting={meeting} />}
          </div>
        );
      }}
    </WithMeeting>
  );
}

/** Once the list is drawn anew: the tool of an item, or its edit button where the tool leads nowhere now. */
function focusTool(item: string, tool: string): void {
  requestAnimationFrame(() => {
    const row = document.querySelector(`[data-testid=edit-item][data-item="${CSS.escape(item)}"]`);
    const found = row?.querySelector<HTMLElement>(`[data-testid=item-${tool}]:not(:disabled)`) ?? row?.querySelector<HTMLElement>("[data-testid=item-edit]");
    found?.focus();
  });
}

function Items({ live, meeting }: Editor) {
  const moving = useQueue();
  const editing = useSignal("");
  const planned = meeting.agenda.filter((item) => item.parent === "").reduce((sum, item) => sum + item.minutes, 0);
  const move = (item: AgendaItem, where: Move): void => {
    void moving.run(async () => {
      // Looked up when it is sent: an earlier move may still have been on its way.
      const now = live.meeting.peek() ?? meeting;
      const place = placeAfter(now.agenda, item.id, where);
      if (place === null) return;
      await api.moveItem(meeting.id, item.id, place);
      await live.refresh();
      focusTool(item.id, where);
      announce(t("calling.agenda.moved", { title: item.title, number: live.meeting.peek()?.agenda.find((one) => one.id === item.id)?.number ?? "" }));
    });
  };
  return (
    <Card title={t("agenda")}>
      <p class="hint">{t("calling.agenda.hint")}</p>
      {meeting.agenda.length === 0 && <p class="muted">{t("calling.agenda.empty")}</p>}
      <Problem error={moving.error.value} />
      <ol class="list agenda-edit">
        {meeting.agenda.map((item) => (
          <li key={item.id} class={`stack-tight agenda-level-${levelOf(item)}`} data-testid="edit-item" data-item={item.id} data-number={item.number} data-state={item.state}>
            {editing.value === item.id ? (
              <EditItem
                live={live}
                meeting={meeting}
                item={item}
                onDone={() => {
                  editing.value = "";
                  focusTool(item.id, "edit");
                }}
              />
            ) : (
              <Line live={live} meeting={meeting} item={item} onEdit={() => (editing.value = item.id)} onMove={(where) => move(item, where)} />
            )}
          </li>
        ))}
      </ol>
      {planned > 0 && <p data-testid="agenda-planned">{t("calling.agenda.planned", { n: planned })}</p>}
      <NewItem live={live} meeting={meeting} />
    </Card>
  );
}

const ARROWS: Record<Move, string> = { up: "↑", down: "↓", in: "→", out: "←" };

function Line({ live, meeting, item, onEdit, onMove }: Editor & { item: AgendaItem; onEdit: () => void; onMove: (where: Move) => void }) {
  const removing = useAction();
  const remove = async (): Promise<void> => {
    await api.removeItem(meeting.id, item.id);
    await live.refresh();
  };
  return (
    <>
      <div class="row-between">
        <span>
          <span class="muted">{item.number}</span> <span class="strong">{item.title}</span> {item.internal && <span class="badge">{t("agenda.internal")}</span>}
          {item.minutes > 0 && <span class="hint">{t("agenda.minutes", { n: item.minutes })}</span>}
          {item.carried_from !== "" && <span class="hint">{t("agenda.carried", { title: item.carried_from })}</span>}
        </span>
      </div>
      <div class="row agenda-tools">
        {MOVES.map((where) => (
          <Button
            key={where}
            testid={`item-${where}`}
            label={t(`calling.agenda.${where}`, { title: item.title })}
            disabled={placeAfter(meeting.agenda, item.id, where) === null}
            onClick={() => onMove(where)}
          >
            <Arrow>{ARROWS[where]}</Arrow>
          </Button>
        ))}
        <Button testid="item-edit" label={t("calling.agenda.edit-of", { title: item.title })} onClick={onEdit}>
          {t("calling.agenda.edit")}
        </Button>
        {item.state === "waiting" && (
          <ConfirmButton
            kind="danger"
            testid="item-remove"
            label={t("calling.agenda.remove-of", { title: item.title })}
            title={t("calling.agenda.remove-of", { title: item.title })}
            text={t("calling.agenda.remove.text")}
            yes={t("calling.agenda.remove")}
            danger
            busy={removing.busy.value}
            onClick={() => void removing.run(remove)}
          >
            {t("calling.agenda.remove")}
          </ConfirmButton>
        )}
      </div>
      <Problem error={removing.error.value} />
    </>
  );
}

interface Draft {
  title: string;
  minutes: string;
  internal: boolean;
}

const textOf = (draft: Draft): ItemText => ({ title: draft.title.trim(), minutes: Number(draft.minutes) || 0, internal: draft.internal });

function ItemFields({ draft, onChange, prefix }: { draft: Draft; onChange: (draft: Draft) => void; prefix: string }) {
  return (
    <>
      <Field label={t("calling.agenda.title")} value={draft.title} onInput={(title) => onChange({ ...draft, title })} testid={`${prefix}-title`} required maxLength={200} />
      <Field label={t("calling.agenda.minutes")} hint={t("calling.agenda.minutes.hint")} type="number" min={0} value={draft.minutes} onInput={(minutes) => onChange({ ...draft, minutes })} testid={`${prefix}-minutes`} />
      <Check label={t("calling.agenda.internal")} hint={t("calling.agenda.internal.hint")} checked={draft.internal} onChange={(internal) => onChange({ ...draft, internal })} testid={`${prefix}-internal`} />
    </>
  );
}

function NewItem({ live, meeting }: Editor) {
  const adding = useAction();
  const draft = useSignal<Draft>({ title: "", minutes: "", internal: false });
  const add = async (): Promise<void> => {
    const top = meeting.agenda.filter((item) => item.parent === "");
    const place: ItemPlace = { parent: "", after: top.at(-1)?.id ?? "" };
    await api.addItem(meeting.id, { ...textOf(draft.value), ...place });
    draft.value = { title: "", minutes: "", internal: false };
    await live.refresh();
  };
  return (
    <section class="stack" aria-label={t("calling.agenda.new")}>
      <h3>{t("calling.agenda.new")}</h3>
      <Form action={adding} work={add} submit={t("calling.agenda.add")} testid="item-add" kind="plain">
        <ItemFields draft={draft.value} onChange={(next) => (draft.value = next)} prefix="new-item" />
      </Form>
    </section>
  );
}

interface Theirs extends ItemText {
  version: number;
}

/** What somebody else wrote meanwhile, as the refusal tells it. */
function theirsIn(error: unknown): Theirs | null {
  if (!(error instanceof ApiError) || error.code !== "agenda.changed") return null;
  const { details } = error;
  if (typeof details !== "object" || details === null || !("item" in details)) return null;
  return details.item as Theirs;
}

/** What is being written here stays as it is, whatever others do to the item meanwhile. */
function EditItem({ live, meeting, item, onDone }: Editor & { item: AgendaItem; onDone: () => void }) {
  const saving = useAction();
  const version = useSignal(item.version);
  const draft = useSignal<Draft>({ title: item.title, minutes: item.minutes === 0 ? "" : String(Math.min(item.minutes, MINUTES_MAX)), internal: item.internal });
  const theirs = theirsIn(saving.error.value);
  const save = async (over: number): Promise<void> => {
    version.value = over;
    await api.changeItem(meeting.id, item.id, { version: over, ...textOf(draft.value) });
    await live.refresh();
    onDone();
  };
  useEffect(() => document.querySelector<HTMLElement>("[data-testid=edit-item-title]")?.focus(), []);
  const keepTheirs = (): void => {
    void live.refresh();
    onDone();
  };
  return (
    <form
      class="stack"
      data-testid="item-form"
      onSubmit={(event) => {
        event.preventDefault();
        void saving.run(() => save(version.value));
      }}
    >
      <ItemFields draft={draft.value} onChange={(next) => (draft.value = next)} prefix="edit-item" />
      {theirs === null && <Problem error={saving.error.value} />}
      {theirs !== null && (
        <div class="card stack-tight" role="alert" data-testid="item-conflict">
          <p class="strong">{t("calling.agenda.conflict")}</p>
          <p data-testid="item-theirs">{t("calling.agenda.theirs", { title: theirs.title, n: theirs.minutes })}</p>
          <p>{t("calling.agenda.yours", { title: draft.value.title, n: textOf(draft.value).minutes })}</p>
          <div class="actions">
            <Button testid="keep-theirs" onClick={keepTheirs}>
              {t("calling.agenda.keep-theirs")}
            </Button>
            <Button testid="save-mine" busy={saving.busy.value} onClick={() => void saving.run(() => save(theirs.version))}>
              {t("calling.agenda.save-mine")}
            </Button>
          </div>
        </div>
      )}
      <div class="actions">
        {theirs === null && (
          <Button type="submit" kind="main" testid="item-save" busy={saving.busy.value}>
            {t("calling.agenda.save")}
          </Button>
        )}
        <Button testid="item-cancel" onClick={onDone}>
          {t("go.back")}
        </Button>
      </div>
    </form>
  );
}
