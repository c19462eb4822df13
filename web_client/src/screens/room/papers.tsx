/** The papers of a meeting, by agenda item; what is shown to everybody; what chair and secretary do with papers. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Meeting } from "../../api/types.ts";
import type { Paper } from "../../api/types_papers.ts";
import { moment, t, tn } from "../../i18n/index.ts";
import { offline } from "../../state/link.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { type Shelf, shelfOf } from "../../state/papers.ts";
import { leadsNow } from "../../state/meeting.ts";
import { speaksNow } from "../../state/visitors.ts";
import { Button, Card, Loading, Note, Problem } from "../../ui/parts.tsx";
import { EditPaper, NewPaper } from "./paper_office.tsx";
import { PaperViewer } from "./paper_viewer.tsx";
import "./papers.css";

interface Opened {
  paper: string;
  version: number;
  page: number;
}

const isOffice = (meeting: Meeting): boolean => meeting.me.roles.some((role) => role === "chair" || role === "secretary");

function useShelf(live: LiveMeeting): Shelf {
  const shelf = shelfOf(live);
  useEffect(() => {
    shelf.open();
    return () => shelf.close();
  }, [shelf]);
  return shelf;
}

export function PapersPanel({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const shelf = useShelf(live);
  const opened = useSignal<Opened | null>(null);
  const papers = shelf.papers.value;
  const office = isOffice(meeting);
  const groups = [...meeting.agenda.map((item) => ({ id: item.id, title: item.title })), { id: "", title: t("paper.general") }];
  return (
    <>
      <ShownNow shelf={shelf} onOpen={(shown) => (opened.value = shown)} />
      {papers === null && shelf.error.value === null && <Loading what={t("paper.loading-list")} />}
      {papers === null && <Problem error={shelf.error.value} />}
      {offline.value && papers !== null && (
        <Note kind="warn" testid="papers-offline">
          {t("paper.offline", { time: moment(shelf.at.value) })}
        </Note>
      )}
      {papers?.length === 0 && <p class="muted">{t(office ? "paper.none-office" : "paper.none")}</p>}
      {groups.map((group) => {
        const own = papers?.filter((paper) => paper.item === group.id || (group.id === "" && !groups.some((one) => one.id === paper.item))) ?? [];
        if (own.length === 0) return null;
        return (
          <Card key={group.id} title={group.title}>
            <ul class="list">
              {own.map((paper) => (
                <PaperLine key={paper.paper} live={live} meeting={meeting} shelf={shelf} paper={paper} office={office} onOpen={(one) => (opened.value = one)} />
              ))}
            </ul>
          </Card>
        );
      })}
      {office && meeting.state !== "closed" && <NewPaper meeting={meeting} shelf={shelf} />}
      <Viewing live={live} meeting={meeting} shelf={shelf} opened={opened.value} onClose={() => (opened.value = null)} />
    </>
  );
}

function Viewing({ live, meeting, shelf, opened, onClose }: { live: LiveMeeting; meeting: Meeting; shelf: Shelf; opened: Opened | null; onClose: () => void }) {
  const paper = shelf.papers.value?.find((one) => one.paper === opened?.paper);
  if (!opened || !paper) return <></>;
  const mayPresent = meeting.state !== "closed" && (leadsNow(meeting) || speaksNow(meeting));
  return <PaperViewer meeting={live.id} shelf={shelf} paper={paper} version={opened.version} page={opened.page} mayPresent={mayPresent} onClose={onClose} />;
}

/** Tells that a page is shown to everybody, with the way to it; nothing opens by itself. */
export function PresentedNotice({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const shelf = useShelf(live);
  const opened = useSignal<Opened | null>(null);
  return (
    <>
      <ShownNow shelf={shelf} onOpen={(shown) => (opened.value = shown)} />
      <Viewing live={live} meeting={meeting} shelf={shelf} opened={opened.value} onClose={() => (opened.value = null)} />
    </>
  );
}

function ShownNow({ shelf, onOpen }: { shelf: Shelf; onOpen: (opened: Opened) => void }) {
  const shown = shelf.presenting.value;
  const paper = shelf.papers.value?.find((one) => one.paper === shown?.paper);
  if (shown?.paper === "") {
    return (
      <p class="note note-info paper-shown" role="status" data-testid="paper-shown-to-others">
        {t("paper.shown-to-others")}
      </p>
    );
  }
  if (!shown || !paper) return null;
  return (
    <div class="note note-info paper-shown" data-testid="paper-shown" data-page={shown.page}>
      <span class="grow" role="status">
        {t("paper.shown", { name: paper.name, n: shown.page })}
      </span>
      <Button kind="main" testid="paper-look" onClick={() => onOpen(shown)}>
        {t("paper.look")}
      </Button>
    </div>
  );
}

interface LineProps {
  live: LiveMeeting;
  meeting: Meeting;
  shelf: Shelf;
  paper: Paper;
  office: boolean;
  onOpen: (opened: Opened) => void;
}

/** Whether the paper can be read without a network; that it cannot is said when there is none. */
function KeptBadge({ kept }: { kept: boolean }) {
  if (kept) {
    return (
      <span class="badge badge-good" data-testid="paper-kept">
        ✓ {t("paper.kept")}
      </span>
    );
  }
  return offline.value ? <span class="badge badge-warn">{t("paper.not-kept")}</span> : null;
}

function PaperLine({ live, meeting, shelf, paper, office, onOpen }: LineProps) {
  const ready = paper.versions.filter((one) => one.state === "ready");
  const newest = ready.at(-1);
  const older = ready.slice(0, -1).reverse();
  return (
    <li class="stack-tight" data-testid="paper" data-paper={paper.paper} data-state={paper.state} data-class={paper.class}>
      <div class="row-between">
        <span>
          <span class="strong">{paper.name}</span>
          {newest && <span class="hint">{tn("paper.pages", newest.pages, { version: newest.version })}</span>}
        </span>
        {newest && (
          <Button testid="paper-open" label={t("paper.open-named", { name: paper.name })} onClick={() => onOpen({ paper: paper.paper, version: newest.version, page: 1 })}>
            {t("paper.open")}
          </Button>
        )}
      </div>
      <div class="row">
        {paper.class !== "open" && <span class={paper.class === "restricted" ? "badge badge-warn" : "badge"}>{t(`paper.class.${paper.class}`)}</span>}
        {newest && <KeptBadge kept={shelf.kept.value.has(`${paper.paper}/${newest.version}`)} />}
      </div>
      {paper.state === "rendering" && <p role="status">{t("paper.rendering")}</p>}
      {paper.state === "refused" && (
        <Note kind="warn" testid="paper-refused">
          {t("paper.refused")}
        </Note>
      )}
      {paper.state === "refused" && <Problem error={{ code: paper.refusal }} />}
      {older.length > 0 && (
        <details>
          <summary>{tn("paper.older", older.length)}</summary>
          <div class="row">
            {older.map((one) => (
              <Button key={one.version} kind="quiet" onClick={() => onOpen({ paper: paper.paper, version: one.version, page: 1 })}>
                {t("paper.version", { n: one.version })}
              </Button>
            ))}
          </div>
        </details>
      )}
      {office && meeting.state !== "closed" && <EditPaper meeting={meeting} live={live} shelf={shelf} paper={paper} />}
    </li>
  );
}
