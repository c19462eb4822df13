/** After casting: received, on the board, confirmed in the closed box, or missing from it; and the proof of a broken promise. */
import { useCell } from "./cell.ts";
import { useEffect } from "preact/hooks";
import { BoothPractice, BoothVote } from "../ballot/booth.ts";
import { ApiError } from "../api/call.ts";
import { VotingError } from "../ballot/errors.ts";
import { type BoothState, type Delivery, deliveryOf, inFrame, type Where } from "./booth.tsx";
import { send, whereIs } from "./cast.ts";
import { t, tn } from "./i18n.ts";
import { Button, Problem, StepTitle } from "./parts.tsx";
import { optionText } from "./question.tsx";

const RETRY_FIRST_MS = 2_000;
const RETRY_LONGEST_MS = 15_000;
const LOOK_FIRST_MS = 1_500;
const LOOK_LONGEST_MS = 15_000;
/** Once the ballot is on the board, what is waited for is the end of the vote; it is looked for at once when the page is seen again. */
const END_FIRST_MS = 10_000;
const END_LONGEST_MS = 120_000;
/** What is known of a ballot that has arrived, and what is wrong with it. */
const KNOWN: readonly Delivery[] = ["received", "on-the-board", "confirmed", "missing", "disputed"];
const WRONG: readonly Delivery[] = ["missing", "disputed"];

/** At a kiosk nobody can sign in again in the middle: what the server no longer knows cannot go on. */
export const isOver = (where: Where, error: unknown): boolean =>
  where !== null && where !== "practice" && where.kiosk && error instanceof ApiError && error.status === 401;

/** One try; false when the ballot was refused and the voter must choose again. */
export async function castOnce({ vote, where, delivery, tracker, error }: BoothState): Promise<boolean> {
  error.value = null;
  if (!(vote instanceof BoothVote)) {
    await vote.cast();
    tracker.value = vote.tracker;
    delivery.value = "received";
    return true;
  }
  if (where === null || where === "practice") return false;
  try {
    const record = await vote.cast((ballot) => send(where, ballot));
    tracker.value = record.tracker;
    delivery.value = deliveryOf(record.state, record);
    return true;
  } catch (caught) {
    error.value = caught;
    const refused = caught instanceof VotingError && caught.code === "voting.ballot-refused";
    delivery.value = refused ? "refused" : vote.record?.queued ? "queued" : "unknown";
    return !refused;
  }
}

export function Done(state: BoothState) {
  const { vote, where, delivery, error } = state;
  const retrying = useCell(false);
  const over = useCell(isOver(where, error.value));
  const retry = async (): Promise<void> => {
    if (retrying.value) return;
    retrying.value = true;
    if (!(await castOnce(state))) state.step.value = "choose";
    over.value = isOver(where, error.value);
    retrying.value = false;
  };
  useAgain(delivery.value === "unknown" && !over.value, RETRY_FIRST_MS, RETRY_LONGEST_MS, retry);
  // The relay keeps the ballot; the same bytes again bring the main room's promise once the line is back.
  useAgain(delivery.value === "queued" && !over.value, LOOK_LONGEST_MS, LOOK_LONGEST_MS, retry);
  const look = async (): Promise<void> => {
    if (!(vote instanceof BoothVote)) return;
    try {
      const now = await whereIs(vote);
      if (now !== "pending") delivery.value = now;
      error.value = null;
    } catch (caught) {
      over.value = isOver(where, caught);
      if (caught instanceof ApiError) return; // not answered: asked again, unless it never will be
      delivery.value = "disputed";
      error.value = caught;
    }
  };
  const cast = vote instanceof BoothVote;
  useAgain(cast && delivery.value === "received" && !over.value, LOOK_FIRST_MS, LOOK_LONGEST_MS, look);
  useAgain(cast && ["on-the-board", ...WRONG].includes(delivery.value) && !over.value, END_FIRST_MS, END_LONGEST_MS, look);
  const known = KNOWN.includes(delivery.value);
  const wrong = WRONG.includes(delivery.value);
  const queued = delivery.value === "queued";
  // What is kept in the hall needs nobody any more; of what is not known to have arrived the voter is told.
  const lost = over.value && !known && !queued;
  const shown = known || queued ? (delivery.value as "received") : "unknown";
  const tone = wrong ? "note-bad" : known ? "note-good" : "note-warn";
  return (
    <div class="stack" data-testid={known ? "booth-done" : queued ? "booth-queued" : "booth-pending"}>
      <StepTitle key={shown}>{where === "practice" ? t("done.practice") : t(`done.${shown}`)}</StepTitle>
      {where !== "practice" && (
        <p role={wrong ? "alert" : "status"} class={`note ${tone}`}>
          {t(lost ? "done.over.text" : queued && where?.kiosk ? "done.queued.kiosk" : `done.${shown}.text`)}
        </p>
      )}
      <Problem error={over.value && queued ? null : error.value} />
      {vote instanceof BoothPractice && <PracticeBox vote={vote} />}
      {wrong && cast && <Evidence vote={vote} />}
      {(known || queued) && <Receipt {...state} />}
      <NextSteps state={state} known={known || queued || lost} lost={lost} retrying={retrying.value} retry={retry} />
    </div>
  );
}

function Receipt({ tracker, where }: BoothState) {
  if (tracker.value === "") return null;
  const hint = where === "practice" ? "done.code-practice" : where?.kiosk ? "done.code-kiosk" : "done.code-hint";
  return (
    <div class="stack-tight">
      <p>{t("done.code")}</p>
      <output class="code-block big" data-testid="tracker">
        {tracker.value}
      </output>
      <p class="muted">{t(hint)}</p>
    </div>
  );
}

function NextSteps({ state, known, lost, retrying, retry }: { state: BoothState; known: boolean; lost: boolean; retrying: boolean; retry: () => Promise<void> }) {
  const { vote, where, delivery, marks, step, error } = state;
  const kiosk = where !== null && where !== "practice" && where.kiosk;
  const again = async (): Promise<void> => {
    if (!(vote instanceof BoothVote)) return;
    try {
      await vote.again();
      marks.value = vote.questions.map(() => null);
      step.value = "choose";
    } catch (caught) {
      error.value = caught;
    }
  };
  const mayAgain = known && !kiosk && vote instanceof BoothVote && vote.terms.votingAgain === "last-counts" && ["received", "on-the-board"].includes(delivery.value);
  return (
    <div class="actions booth-actions">
      {delivery.value === "unknown" && !lost && (
        <Button main testid="booth-retry" busy={retrying} onClick={() => void retry()}>
          {t("done.retry")}
        </Button>
      )}
      <Button main={known} testid="booth-back" onClick={state.back}>
        {kiosk ? t("kiosk.next") : t(inFrame() ? "back-room" : "back")}
      </Button>
      {mayAgain && (
        <Button testid="booth-again" onClick={() => void again()}>
          {t("done.again")}
        </Button>
      )}
    </div>
  );
}

/** The signed promise, for a teller's page to check against the closed board. */
function Evidence({ vote }: { vote: BoothVote }) {
  const text = JSON.stringify(vote.record?.promise ?? {});
  const copied = useCell(false);
  return (
    <div class="stack-tight">
      <code class="code-block" data-testid="booth-evidence">
        {text}
      </code>
      <Button testid="booth-evidence-copy" onClick={() => void navigator.clipboard.writeText(text).then(() => (copied.value = true))}>
        {t("done.copy-proof")}
      </Button>
      {copied.value && <p role="status">{t("audit.copied")}</p>}
    </div>
  );
}

/** Runs the work again and again, ever more slowly, while `on`; and at once when the network is back or the page is seen again. */
function useAgain(on: boolean, first: number, longest: number, work: () => Promise<void>): void {
  useEffect(() => {
    if (!on) return;
    let wait = first;
    let ended = false;
    let timer: ReturnType<typeof setTimeout>;
    const round = async (): Promise<void> => {
      await work();
      if (ended) return;
      wait = Math.min(wait * 1.5, longest);
      timer = setTimeout(() => void round(), wait);
    };
    const now = (): void => void (document.visibilityState === "visible" && work());
    timer = setTimeout(() => void round(), wait);
    addEventListener("online", now);
    document.addEventListener("visibilitychange", now);
    return () => {
      ended = true;
      clearTimeout(timer);
      removeEventListener("online", now);
      document.removeEventListener("visibilitychange", now);
    };
  }, [on]);
}

/** The practice box can be opened by the voter alone: its key was made on this page. */
function PracticeBox({ vote }: { vote: BoothPractice }) {
  const counts = useCell<number[] | null>(null);
  const question = vote.questions[0];
  return (
    <div class="stack-tight">
      <p>{t("practice.box")}</p>
      {counts.value === null ? (
        <Button testid="booth-open-practice" onClick={() => void vote.open().then((opened) => (counts.value = opened[0] ?? []))}>
          {t("practice.open")}
        </Button>
      ) : (
        <ul class="list" data-testid="practice-counts">
          {question?.options.map((option, index) => (
            <li key={option} data-count={counts.value?.[index]}>
              {optionText(question.type, option)}: <strong>{tn("practice.votes", counts.value?.[index] ?? 0)}</strong>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
