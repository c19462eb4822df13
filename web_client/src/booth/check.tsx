/** The second device: builds a sealed vote anew from its opening and shows what it holds. */
import { useCell } from "./cell.ts";
import { useEffect } from "preact/hooks";
import { votes as api } from "../api/votes.ts";
import { BoothWorker } from "../ballot/booth.ts";
import type { AuditView } from "../ballot/booth_service.ts";
import { t } from "./i18n.ts";
import { Button, Problem, StepTitle } from "./parts.tsx";
import { Chosen } from "./chosen.tsx";

interface Found {
  view: AuditView;
  recorded: boolean;
}

export function Check({ fragment }: { fragment: string }) {
  const found = useCell<Found | null>(null);
  const error = useCell<unknown>(null);
  const load = async (): Promise<void> => {
    error.value = null;
    try {
      const worker = new BoothWorker();
      const opening = await worker.readOpening(fragment);
      const { manifest } = await api.manifestByHash(opening.manifest);
      const view = await worker.rebuild(opening, manifest as never);
      const { recorded } = await api.voidRecorded(opening.manifest, view.sealed);
      found.value = { view, recorded };
    } catch (caught) {
      error.value = caught;
    }
  };
  useEffect(() => void load(), []);
  const now = found.value;
  return (
    <main class="booth" data-testid="audit-check" data-state={now ? "opened" : error.value === null ? "loading" : "failed"}>
      <StepTitle key={String(now !== null)}>{t("check.title")}</StepTitle>
      {!now && error.value === null && (
        <p class="loading" role="status">
          <span class="spinner" aria-hidden="true" />
          {t("check.loading")}
        </p>
      )}
      {error.value !== null && (
        <>
          <Problem error={error.value} />
          <p class="note note-bad">{t("check.bad")}</p>
          <Button main testid="check-again" onClick={() => void load()}>
            {t("try-again")}
          </Button>
        </>
      )}
      {now && (
        <>
          <h2 dir="auto">{now.view.title}</h2>
          <p>{t("check.choice")}</p>
          {now.view.questions.map((question, at) => (
            <div key={at} class="stack-tight">
              <p class="pre muted" dir="auto">
                {question.text}
              </p>
              <Chosen question={question} at={at} marks={now.view.choices[at] ?? null} />
            </div>
          ))}
          <p>{t("check.code")}</p>
          <output class="code-block big" data-testid="seal-code">
            {now.view.code}
          </output>
          <p>{t("check.compare")}</p>
          <p class={`note ${now.recorded ? "note-good" : "note-warn"}`} data-testid="check-void" data-recorded={String(now.recorded)}>
            {t(now.recorded ? "check.recorded" : "check.unrecorded")}
          </p>
        </>
      )}
    </main>
  );
}
