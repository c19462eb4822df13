/** The review: the sealed vote is fixed at the server by its hash; only then the voter casts it or tests it. */
import { type Cell, useCell } from "./cell.ts";
import { useEffect, useRef } from "preact/hooks";
import { ApiError } from "../api/call.ts";
import { BoothVote } from "../ballot/booth.ts";
import type { Sealed } from "../ballot/voter.ts";
import { type BoothState, cellsNow } from "./booth.tsx";
import { type Place, announce } from "./cast.ts";
import { castOnce, isOver } from "./done.tsx";
import { t } from "./i18n.ts";
import { Button, Problem, StepTitle } from "./parts.tsx";
import { Chosen } from "./chosen.tsx";

const RETRY_MS = 2_000;

/** One try; false when the server was not reached, which is said and tried again by itself. */
async function announced(vote: BoothVote, where: Place, sealed: Sealed, error: Cell<unknown>): Promise<boolean> {
  try {
    await announce(vote, where, sealed);
    return true;
  } catch (caught) {
    if (!(caught instanceof ApiError) || !caught.unknown) throw caught;
    error.value = caught;
    return false;
  }
}

export function Review(state: BoothState) {
  const { vote, where, step, delivery, marks, error, back } = state;
  const code = useCell("");
  const casting = useCell(false);
  const secret = vote.terms.secrecy === "trustees";
  const again = vote instanceof BoothVote && vote.record !== null;
  // Counts the tries; a later one, or leaving the step, ends those before it.
  const tries = useRef(0);
  const seal = async (): Promise<void> => {
    const own = ++tries.current;
    error.value = null;
    try {
      const sealed = await vote.prepare(cellsNow(state));
      if (secret && vote instanceof BoothVote && where !== null && where !== "practice") {
        while (!(await announced(vote, where, sealed, error))) {
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
          if (own !== tries.current) return;
        }
      }
      error.value = null;
      code.value = sealed.code;
    } catch (caught) {
      error.value = caught;
    }
  };
  useEffect(() => {
    void seal();
    return () => void (tries.current += 1);
  }, []);
  const change = async (): Promise<void> => {
    error.value = null;
    try {
      await vote.change();
      step.value = "choose";
    } catch (caught) {
      error.value = caught;
    }
  };
  const cast = async (): Promise<void> => {
    casting.value = true;
    // Shown before the answer is known: from here on the page says whether the vote was sent, received or is in the box.
    delivery.value = "sending";
    const sent = await castOnce(state);
    casting.value = false;
    step.value = sent ? "done" : "choose";
  };
  const sealed = code.value !== "";
  const stuck = error.value !== null && !sealed;
  const kiosk = where !== null && where !== "practice" && where.kiosk;
  return (
    <div class="stack">
      <StepTitle>{t("review.title")}</StepTitle>
      {vote.questions.map((question, at) => (
        <div key={at} class="stack-tight">
          {vote.questions.length > 1 && (
            <p class="pre muted" dir="auto">
              {question.text}
            </p>
          )}
          <Chosen question={question} at={at} marks={marks.value[at] ?? null} />
        </div>
      ))}
      <p>{t(secret ? "review.secret" : "review.open")}</p>
      {again && <p class="note note-warn">{t("review.again")}</p>}
      <p role="status" class="muted">
        {sealed ? `✓ ${t("review.sealed")}` : error.value === null ? t("review.sealing") : ""}
      </p>
      <Problem error={error.value} />
      <div class="actions booth-actions">
        {stuck ? (
          !isOver(where, error.value) && (
            <Button main testid="booth-seal-again" onClick={() => void seal()}>
              {t("try-again")}
            </Button>
          )
        ) : (
          <Button main testid="booth-cast" disabled={!sealed} busy={casting.value} onClick={() => void cast()}>
            {t(where === "practice" ? "review.cast-practice" : "review.cast")}
          </Button>
        )}
        {!casting.value && (
          <Button testid="booth-change" onClick={() => void change()}>
            {t("review.change")}
          </Button>
        )}
        {stuck && kiosk && (
          <Button main={isOver(where, error.value)} testid="booth-back" onClick={back}>
            {t("kiosk.next")}
          </Button>
        )}
      </div>
      {sealed && secret && vote instanceof BoothVote && (
        <details>
          <summary data-testid="booth-audit-more">{t("audit.button")}</summary>
          <div class="stack-tight">
            <p>{t("audit.code")}</p>
            <output class="code-block big" data-testid="seal-code">
              {code.value}
            </output>
            <p class="muted">{t("audit.code-hint")}</p>
            <p>{t("audit.confirm")}</p>
            <Button testid="booth-audit" onClick={() => (step.value = "audit")}>
              {t("audit.yes")}
            </Button>
          </div>
        </details>
      )}
    </div>
  );
}
