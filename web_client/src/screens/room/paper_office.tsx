/** Bringing papers in, with progress; changing for whom they are, removing them, and who read a restricted one. */
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { ApiError } from "../../api/call.ts";
import { papersApi, upload, uploadUrl } from "../../api/papers.ts";
import type { Meeting } from "../../api/types.ts";
import { PAPER_CLASSES, type Paper, type PaperClass, type PaperRead } from "../../api/types_papers.ts";
import { clock, t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import type { Shelf } from "../../state/papers.ts";
import { useAction } from "../../ui/action.ts";
import { Button, Card, ConfirmButton, Field, Form, Problem, Progress, Select } from "../../ui/parts.tsx";

const SIZE_MAX = 20 * 1024 * 1024;
const NAME_MAX = 120;
const ACCEPTED = ".pdf,.png,.jpg,.jpeg,.webp,.txt,application/pdf,image/png,image/jpeg,image/webp,text/plain";

function FileField({ label, onFile, testid }: { label: string; onFile: (file: File | null) => void; testid: string }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <span class="hint" id={`${id}-hint`}>
        {t("paper.file-hint")}
      </span>
      <input id={id} type="file" accept={ACCEPTED} aria-describedby={`${id}-hint`} data-testid={testid} onChange={(event) => onFile(event.currentTarget.files?.[0] ?? null)} />
    </div>
  );
}

const classes = (): { value: string; label: string }[] => PAPER_CLASSES.map((value) => ({ value, label: t(`paper.class.${value}`) }));
const places = (meeting: Meeting): { value: string; label: string }[] => [{ value: "", label: t("paper.general") }, ...meeting.agenda.map((item) => ({ value: item.id, label: item.title }))];

/** Sends a file that is not too large, and tells how far it is. */
async function send(url: string, file: File, onProgress: (part: number) => void): Promise<void> {
  if (file.size > SIZE_MAX) throw new ApiError("paper.too-large", "", 400);
  if (file.size === 0) throw new ApiError("paper.empty", "", 400);
  await upload(url, file, onProgress);
}

export function NewPaper({ meeting, shelf }: { meeting: Meeting; shelf: Shelf }) {
  const file = useSignal<File | null>(null);
  const name = useSignal("");
  const item = useSignal(meeting.agenda.find((one) => one.state === "current")?.id ?? "");
  const paperClass = useSignal<PaperClass>("members");
  const part = useSignal<number | null>(null);
  const round = useSignal(0);
  const adding = useAction();
  const add = async (): Promise<void> => {
    const chosen = file.peek();
    if (!chosen) return;
    part.value = 0;
    try {
      const url = uploadUrl(meeting.id, "", name.peek(), item.peek(), paperClass.peek());
      await send(url, chosen, (done) => (part.value = done));
    } finally {
      part.value = null;
    }
    file.value = null;
    name.value = "";
    round.value += 1; // an emptied file field is a new one
    await shelf.refresh();
  };
  return (
    <Card title={t("paper.add")} testid="paper-new">
      <Form action={adding} work={add} submit={t("paper.add.yes")} testid="paper-add" disabled={!file.value || name.value.trim() === ""}>
        <FileField
          key={round.value}
          label={t("paper.choose")}
          testid="paper-file"
          onFile={(chosen) => {
            file.value = chosen;
            name.value = chosen?.name.normalize("NFC").slice(0, NAME_MAX) ?? "";
          }}
        />
        <Field label={t("paper.name")} value={name.value} maxLength={NAME_MAX} testid="paper-name" onInput={(value) => (name.value = value)} />
        <Select label={t("paper.item")} value={item.value} choices={places(meeting)} onChange={(value) => (item.value = value)} testid="paper-item" />
        <Select label={t("paper.for")} value={paperClass.value} choices={classes()} onChange={(value) => (paperClass.value = value as PaperClass)} testid="paper-class" />
        {part.value !== null && <Progress label={t("paper.sending")} value={Math.round(part.value * 100)} of={100} testid="paper-progress" />}
      </Form>
    </Card>
  );
}

export function EditPaper({ meeting, live, shelf, paper }: { meeting: Meeting; live: LiveMeeting; shelf: Shelf; paper: Paper }) {
  const acting = useAction();
  const part = useSignal<number | null>(null);
  const reads = useSignal<PaperRead[] | null>(null);
  const change = (changes: Partial<Pick<Paper, "item" | "name" | "class">>): void =>
    void acting.run(async () => {
      await papersApi.changePaper(live.id, paper.paper, { item: paper.item, name: paper.name, class: paper.class, ...changes });
      await shelf.refresh();
    });
  const replace = (file: File | null): void =>
    void acting.run(async () => {
      if (!file) return;
      try {
        await send(uploadUrl(live.id, paper.paper, paper.name, "", paper.class), file, (done) => (part.value = done));
      } finally {
        part.value = null;
      }
      await shelf.refresh();
    });
  return (
    <details class="paper-edit" data-testid="paper-edit">
      <summary>{t("paper.edit", { name: paper.name })}</summary>
      <div class="stack">
        <Problem error={acting.error.value} />
        <Select label={t("paper.for")} value={paper.class} choices={classes()} onChange={(value) => change({ class: value as PaperClass })} testid="paper-change-class" />
        <Select label={t("paper.item")} value={paper.item} choices={places(meeting)} onChange={(item) => change({ item })} testid="paper-change-item" />
        <FileField label={t("paper.replace")} onFile={replace} testid="paper-replace" />
        {part.value !== null && <Progress label={t("paper.sending")} value={Math.round(part.value * 100)} of={100} />}
        {paper.class === "restricted" && (
          <Button testid="paper-reads" onClick={() => void acting.run(async () => (reads.value = (await papersApi.reads(live.id, paper.paper)).reads))}>
            {t("paper.reads")}
          </Button>
        )}
        {reads.value?.length === 0 && <p class="muted">{t("paper.no-reads")}</p>}
        {reads.value !== null && reads.value.length > 0 && (
          <ul class="list" data-testid="paper-read-list">
            {reads.value.map((read) => (
              <li key={`${read.member} ${read.at}`}>{t("paper.read-by", { name: read.name, time: clock(read.at, meeting.time_zone), n: read.version })}</li>
            ))}
          </ul>
        )}
        <ConfirmButton
          kind="danger"
          testid="paper-remove"
          danger
          title={t("paper.remove.title", { name: paper.name })}
          text={t("paper.remove.text")}
          yes={t("paper.remove.yes")}
          busy={acting.busy.value}
          onClick={() =>
            void acting.run(async () => {
              await papersApi.removePaper(live.id, paper.paper);
              await shelf.refresh();
            })
          }
        >
          {t("paper.remove.yes")}
        </ConfirmButton>
      </div>
    </details>
  );
}
