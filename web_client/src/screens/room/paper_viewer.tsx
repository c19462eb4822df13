/** One paper over the whole screen: pages by key, button or the presenter; enlarged; also without a network. */
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { fileUrl, papersApi } from "../../api/papers.ts";
import type { Paper } from "../../api/types_papers.ts";
import { moment, t } from "../../i18n/index.ts";
import { offline } from "../../state/link.ts";
import type { Page } from "../../state/page.ts";
import { keepAll, pageOf, wordsOf } from "../../state/paper_pages.ts";
import type { Shelf } from "../../state/papers.ts";
import { useAction } from "../../ui/action.ts";
import { Arrow, Button, LinkButton, Loading, Problem } from "../../ui/parts.tsx";

const ZOOMS: readonly number[] = [1, 1.5, 2, 3];
const STEPS: Readonly<Record<string, number>> = { PageDown: 1, ArrowRight: 1, PageUp: -1, ArrowLeft: -1 };

/** How many pages a key goes on; the arrows go the way their buttons point. */
function stepOf(key: string): number | undefined {
  const step = STEPS[key];
  return step !== undefined && key.startsWith("Arrow") && document.documentElement.dir === "rtl" ? -step : step;
}

interface ViewerProps {
  meeting: string;
  shelf: Shelf;
  paper: Paper;
  version: number;
  page: number;
  mayPresent: boolean;
  onClose: () => void;
}

export function PaperViewer(props: ViewerProps) {
  const { meeting, shelf, paper, version } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const page = useSignal(props.page);
  const zoom = useSignal(0);
  const asWords = useSignal(false);
  const follows = useSignal(true);
  const showing = useAction();
  const found = paper.versions.find((one) => one.version === version);
  const pages = found?.pages ?? 0;
  const shown = shelf.presenting.value;
  const here = shown !== null && shown.paper === paper.paper && shown.version === version;
  useLayoutEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    const stop = new AbortController();
    void keepAll(meeting, paper, version, stop.signal).then(() => shelf.lookKept());
    return () => stop.abort();
  }, [paper.paper, version]);
  useEffect(() => {
    if (here && follows.value) page.value = shown.page;
  }, [here, shown?.page, follows.value]);
  const show = (wanted: number): void => void showing.run(() => papersApi.present(meeting, { paper: paper.paper, version, page: wanted }));
  const go = (to: number): void => {
    const wanted = Math.min(Math.max(to, 1), pages);
    if (wanted === page.peek()) return;
    page.value = wanted;
    if (here && props.mayPresent && follows.peek()) show(wanted);
    else if (here) follows.value = false;
  };
  const onKey = (event: KeyboardEvent): void => {
    const step = stepOf(event.key);
    if (step !== undefined) go(page.peek() + step);
    else if (event.key === "Home") go(1);
    else if (event.key === "End") go(pages);
    else if (event.key === "+") zoom.value = Math.min(zoom.peek() + 1, ZOOMS.length - 1);
    else if (event.key === "-") zoom.value = Math.max(zoom.peek() - 1, 0);
    else return;
    event.preventDefault();
  };
  return (
    <dialog ref={dialog} class="paper-viewer" aria-label={paper.name} data-testid="paper-viewer" data-page={page.value} onClose={props.onClose} onKeyDown={onKey}>
      <header class="paper-head">
        <h2>{paper.name}</h2>
        <Button kind="quiet" testid="viewer-close" onClick={() => dialog.current?.close()}>
          {t("paper.close")}
        </Button>
      </header>
      {offline.value && (
        <p class="paper-offline" role="status" data-testid="viewer-offline">
          {t("paper.offline-page", { time: moment(shelf.at.value) })}
        </p>
      )}
      <Sheet meeting={meeting} paper={paper} version={version} page={page.value} pages={pages} zoom={ZOOMS[zoom.value] ?? 1} asWords={asWords.value} />
      <Problem error={showing.error.value} />
      {here && (
        <div class="paper-follow row">
          <span role="status">{t(follows.value ? "paper.following" : "paper.on-own")}</span>
          {!follows.value && (
            <Button kind="main" testid="viewer-follow" onClick={() => (follows.value = true)}>
              {t("paper.follow")}
            </Button>
          )}
        </div>
      )}
      <div class="paper-tools" role="toolbar" aria-label={t("paper.tools")}>
        <Button testid="viewer-back" label={t("paper.back")} disabled={page.value <= 1} onClick={() => go(page.value - 1)}>
          <Arrow>◀</Arrow>
        </Button>
        <span class="strong" aria-live="polite" data-testid="viewer-place">
          {t("paper.place", { n: page.value, of: pages })}
        </span>
        <Button testid="viewer-next" label={t("paper.next")} disabled={page.value >= pages} onClick={() => go(page.value + 1)}>
          <Arrow>▶</Arrow>
        </Button>
        <Button testid="viewer-smaller" label={t("paper.smaller")} disabled={zoom.value === 0} onClick={() => (zoom.value -= 1)}>
          −
        </Button>
        <Button testid="viewer-larger" label={t("paper.larger")} disabled={zoom.value === ZOOMS.length - 1} onClick={() => (zoom.value += 1)}>
          +
        </Button>
        {found?.type === "pdf" && (
          <Button testid="viewer-words" pressed={asWords.value} onClick={() => (asWords.value = !asWords.value)}>
            {t("paper.as-words")}
          </Button>
        )}
        {props.mayPresent && paper.class !== "restricted" && (
          <Button testid="viewer-present" busy={showing.busy.value} pressed={here} onClick={() => (here ? void showing.run(() => papersApi.present(meeting, { paper: "", version: 0, page: 0 })) : show(page.value))}>
            {t(here ? "paper.stop" : "paper.present")}
          </Button>
        )}
        <LinkButton href={fileUrl(meeting, paper.paper, version)} download testid="viewer-file">
          {t("paper.file")}
        </LinkButton>
      </div>
    </dialog>
  );
}

interface SheetProps {
  meeting: string;
  paper: Paper;
  version: number;
  page: number;
  pages: number;
  zoom: number;
  /** The words of the page in place of its picture. */
  asWords: boolean;
}

function Sheet({ meeting, paper, version, page, pages, zoom, asWords }: SheetProps) {
  const sheet = useSignal<Page | null>(null);
  const error = useSignal<unknown>(null);
  useEffect(() => {
    let stale = false;
    error.value = null;
    pageOf(meeting, paper, version, page).then(
      (found) => {
        if (!stale) sheet.value = found;
      },
      (caught: unknown) => {
        if (stale) return;
        sheet.value = null;
        error.value = caught;
      },
    );
    return () => {
      stale = true;
    };
  }, [paper.paper, version, page]);
  const found = sheet.value;
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
    <div class="paper-sheet" tabIndex={0} role="region" aria-label={t("paper.place", { n: page, of: pages })} data-zoom={zoom}>
      <Problem error={error.value} />
      {!found && error.value === null && <Loading what={t("paper.loading")} />}
      {found?.picture && !asWords && <img class={`paper-page zoom-${zoom * 10}`} src={found.picture} alt={t("paper.alt", { name: paper.name, n: page, of: pages })} data-testid="paper-page" />}
      {found?.picture && <Words meeting={meeting} paper={paper} version={version} page={page} zoom={zoom} shown={asWords} />}
      {found && !found.picture && (
        <pre class={`paper-text zoom-${zoom * 10}`} data-testid="paper-text">
          {found.text}
        </pre>
      )}
    </div>
  );
}

/** What the picture of a page says: for who has it read out beside the picture, for who asks for it in its place. */
function Words({ meeting, paper, version, page, zoom, shown }: { meeting: string; paper: Paper; version: number; page: number; zoom: number; shown: boolean }) {
  const words = useSignal<string | null>(null);
  const error = useSignal<unknown>(null);
  useEffect(() => {
    let stale = false;
    words.value = null;
    error.value = null;
    wordsOf(meeting, paper, version, page).then(
      (found) => {
        if (!stale) words.value = found;
      },
      (caught: unknown) => {
        if (!stale) error.value = caught;
      },
    );
    return () => {
      stale = true;
    };
  }, [paper.paper, version, page]);
  if (words.value === null) {
    if (!shown) return null;
    return error.value === null ? <Loading what={t("paper.loading")} /> : <Problem error={error.value} />;
  }
  return (
    <section class={shown ? undefined : "visually-hidden"} aria-label={t("paper.words", { n: page })} data-testid="paper-words">
      {words.value === "" ? <p class="muted">{t("paper.no-words")}</p> : <pre dir="auto" class={`paper-text paper-words zoom-${zoom * 10}`}>{words.value}</pre>}
    </section>
  );
}
