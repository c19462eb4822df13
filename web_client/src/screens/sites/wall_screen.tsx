/** The wall of a hall without a login: its address holds a token in the part that browsers never send. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError } from "../../api/call.ts";
import { clock, t } from "../../i18n/index.ts";
import { type Page, readPage } from "../../state/page.ts";
import type { WallView } from "../../state/wall.ts";
import { Loading, Note, Title } from "../../ui/parts.tsx";
import { Wall } from "../projector.tsx";
import "../projector.css";

const AGAIN_MS = 2_000;
/** Where the relay of a hall says since when it is cut off (docs/spec/relay.md). */
const CUT_HEADER = "Folkmoot-Cut";
const PATIENCE_MS = 40_000;

interface Told extends WallView {
  seq: number;
  site: string;
  /** Since when the hall is cut off and its relay shows what it showed last; 0 when it is not. */
  cut: number;
}

async function ask(token: string, after: number, stop: AbortSignal): Promise<Told> {
  const asking = new AbortController();
  const end = (): void => asking.abort();
  const timer = setTimeout(end, PATIENCE_MS);
  stop.addEventListener("abort", end, { once: true });
  try {
    return await told(token, after, asking.signal);
  } finally {
    clearTimeout(timer);
    stop.removeEventListener("abort", end);
  }
}

async function told(token: string, after: number, signal: AbortSignal): Promise<Told> {
  const answer = await fetch(`/api/screen?after=${after}`, { cache: "no-store", credentials: "omit", headers: { Authorization: `Screen ${token}` }, signal });
  if (answer.status === 401 || answer.status === 403 || answer.status === 404) throw new ApiError("screen.ended", "", answer.status);
  if (!answer.ok) throw new ApiError("network.unreachable", "", answer.status);
  const view = (await answer.json()) as Omit<Told, "cut">;
  return { ...view, cut: Number(answer.headers.get(CUT_HEADER) ?? 0) };
}

/** The page that is shown to everybody, fetched when it turns. */
function usePage(token: string, presented: Told["presented"]): Page | null {
  const page = useSignal<Page | null>(null);
  const what = presented === null ? "" : `${presented.paper}/${presented.version}/${presented.page}`;
  useEffect(() => {
    const stop = new AbortController();
    page.value = null;
    if (what !== "") {
      void fetch("/api/screen/page", { cache: "no-store", credentials: "omit", headers: { Authorization: `Screen ${token}` }, signal: stop.signal })
        .then(async (answer) => {
          if (answer.ok) page.value = await readPage(answer);
        })
        .catch(() => undefined); // the wall goes on without the page
    }
    return () => stop.abort();
  }, [what]);
  return page.value;
}

export function WallScreen() {
  const shown = useSignal<Told | null>(null);
  const page = usePage(location.hash.slice(1), shown.value?.presented ?? null);
  const trouble = useSignal<"" | "away" | "ended">("");
  useEffect(() => {
    document.documentElement.dataset["ready"] = "";
    const stop = new AbortController();
    const token = location.hash.slice(1);
    void (async () => {
      for (let seq = 0; !stop.signal.aborted; ) {
        try {
          shown.value = await ask(token, seq, stop.signal);
          seq = shown.value.seq;
          trouble.value = "";
        } catch (error) {
          if (error instanceof ApiError && error.code === "screen.ended") {
            trouble.value = "ended";
            return;
          }
          trouble.value = "away";
          await new Promise((done) => setTimeout(done, AGAIN_MS));
        }
      }
    })();
    return () => stop.abort();
  }, []);
  if (trouble.value === "ended") {
    return (
      <div class="wall" data-testid="wall-ended">
        <Title>{t("screen.ended")}</Title>
        <p>{t("screen.ended.text")}</p>
      </div>
    );
  }
  if (shown.value === null) {
    return (
      <div class="wall">
        <Loading what={t(trouble.value === "away" ? "screen.away" : "screen.loading")} />
      </div>
    );
  }
  return (
    <Wall view={shown.value} where={shown.value.site} page={page}>
      {trouble.value === "" && shown.value.cut > 0 && (
        <Note kind="warn" testid="wall-cut">
          {t("cut.since", { time: clock(shown.value.cut, shown.value.time_zone) })} {t("screen.cut")}
        </Note>
      )}
      {trouble.value === "away" && <Note kind="warn" testid="wall-away">{t("screen.away")}</Note>}
    </Wall>
  );
}
