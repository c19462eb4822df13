/** The booth: choose, review, done. The draft lives only here and is touched by nothing from outside. */
import { useSignal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Question } from "../ballot/manifest.ts";
import { VotingError } from "../ballot/errors.ts";
import { BoothPractice, BoothVote, BoothWorker } from "../ballot/booth.ts";
import { isInTheBox, openVote, send } from "./cast.ts";
import { t, tn } from "./i18n.ts";
import { Button, Problem, StepTitle } from "./parts.tsx";

export type Step = "choose" | "review" | "done";
export type Delivery = "none" | "sending" | "unknown" | "received" | "in-the-box" | "refused";

interface Place {
  meeting: string;
  election: string;
}

const PRACTICE = "practice";
const RETRY_FIRST_MS = 2_000;
const RETRY_LONGEST_MS = 15_000;
const LOOK_FIRST_MS = 1_500;
const LOOK_LONGEST_MS = 15_000;

/** `#practice`, or `#MEETING/ELECTION`. */
export function place(hash: string): Place | typeof PRACTICE | null {
  if (hash === `#${PRACTICE}`) return PRACTICE;
  const [meeting, election, ...rest] = hash.slice(1).split("/");
  return meeting && election && rest.length === 0 ? { meeting, election } : null;
}

const inFrame = (): boolean => window.parent !== window;

function leave(where: Place | typeof PRACTICE | null): void {
  if (inFrame()) window.parent.postMessage("booth-close", location.origin);
  else location.assign(where === null || where === PRACTICE ? "/" : `/meetings/${where.meeting}/room/votes`);
}

export function Booth() {
  const where = place(location.hash);
  const vote = useSignal<BoothVote | BoothPractice | null>(null);
  const error = useSignal<unknown>(null);
  const load = async (): Promise<void> => {
    error.value = null;
    try {
      if (where === null) throw Object.assign(new Error("The address names no vote."), { code: "booth.address" });
      const worker = new BoothWorker();
      vote.value =
        where === PRACTICE
          ? await worker.practice({ questions: [practiceQuestion()], title: t("practice.title") })
          : await openVote(worker, where.meeting, where.election);
    } catch (caught) {
      error.value = caught;
    }
  };
  useEffect(() => void load(), []);
  const opened = vote.value;
  if (opened) return <Steps vote={opened} where={where} />;
  return (
    <main class="booth" data-testid="booth" data-step="loading" data-delivery="none">
      <StepTitle>{t("title")}</StepTitle>
      {error.value === null ? (
        <p class="loading" role="status">
          <span class="spinner" aria-hidden="true" />
          {t("loading")}
        </p>
      ) : (
        <>
          <Problem error={error.value} />
          <div class="actions">
            <Button main testid="booth-reload" onClick={() => void load()}>
              {t("try-again")}
            </Button>
            <Button testid="booth-back" onClick={() => leave(where)}>
              {t("back")}
            </Button>
          </div>
        </>
      )}
    </main>
  );
}

const practiceQuestion = (): Question => ({ type: "yes-no-abstain", text: t("practice.question").normalize("NFC"), options: ["yes", "no", "abstain"] });

export const optionText = (type: Question["type"], option: string): string =>
  type === "yes-no-abstain" && (option === "yes" || option === "no" || option === "abstain") ? t(`option.${option}`) : option;

const MARKS = ["✓", "✕", "○"];
const TONES = ["yes", "no", "abstain"];
const markOf = (question: Question, index: number): string => (question.type === "yes-no-abstain" ? (MARKS[index] ?? "") : "");
const toneOf = (question: Question, index: number): string => (question.type === "yes-no-abstain" ? (TONES[index] ?? "") : "");

interface BoothState {
  vote: BoothVote | BoothPractice;
  where: Place | typeof PRACTICE | null;
  step: Signal<Step>;
  delivery: Signal<Delivery>;
  choices: Signal<readonly number[]>;
  tracker: Signal<string>;
  error: Signal<unknown>;
}

const isCast = (vote: BoothVote | BoothPractice): boolean => vote.stage !== "choosing" && vote.stage !== "sealed";

function firstDelivery(vote: BoothVote | BoothPractice): Delivery {
  if (vote.stage === "sending") return "unknown";
  if (vote.stage === "promised") return "received";
  return vote.stage === "included" ? "in-the-box" : "none";
}

function Steps({ vote, where }: { vote: BoothVote | BoothPractice; where: Place | typeof PRACTICE | null }) {
  const state: BoothState = {
    vote,
    where,
    step: useSignal<Step>(isCast(vote) ? "done" : "choose"),
    delivery: useSignal<Delivery>(firstDelivery(vote)),
    choices: useSignal<readonly number[]>(vote.questions.map(() => -1)),
    tracker: useSignal(vote instanceof BoothVote ? (vote.record?.tracker ?? "") : ""),
    error: useSignal<unknown>(null),
  };
  const step = state.step.value;
  return (
    <main class="booth" data-testid="booth" data-step={step} data-delivery={state.delivery.value}>
      <p class="booth-steps">
        {(["choose", "review", "done"] as const).map((name, index) => (
          <span key={name} class={name === step ? "booth-step-now" : ""} aria-current={name === step ? "step" : undefined}>
            {index + 1} {t(`step.${name}`)}
          </span>
        ))}
      </p>
      {where === PRACTICE && <p class="note note-warn">{t("practice.note")}</p>}
      {step === "choose" && <Choose {...state} />}
      {step === "review" && <Review {...state} />}
      {step === "done" && <Done {...state} />}
    </main>
  );
}

function Choose({ vote, where, step, choices, error }: BoothState) {
  const missing = useSignal(false);
  const review = (): void => {
    missing.value = choices.value.includes(-1);
    if (missing.value) return;
    error.value = null;
    step.value = "review";
  };
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        review();
      }}
    >
      <StepTitle>{vote.title}</StepTitle>
      <p class="muted">🔒 {t("secret")}</p>
      {vote.questions.map((question, q) => (
        <fieldset key={q} class="stack-tight">
          <legend class="pre booth-question">{question.text}</legend>
          {question.options.map((option, index) => (
            <label key={option} class={`option tone-${toneOf(question, index)}`}>
              <input
                type="radio"
                name={`question-${q}`}
                checked={choices.value[q] === index}
                data-testid={q === 0 ? `booth-option-${index}` : `booth-option-${q}-${index}`}
                onChange={() => {
                  choices.value = choices.value.map((chosen, at) => (at === q ? index : chosen));
                  missing.value = false;
                }}
              />
              <span class="option-mark" aria-hidden="true">
                {markOf(question, index)}
              </span>
              <span>{optionText(question.type, option)}</span>
            </label>
          ))}
        </fieldset>
      ))}
      {missing.value && (
        <p class="note note-bad" role="alert">
          {t("choose.missing")}
        </p>
      )}
      <Problem error={error.value} />
      <div class="actions booth-actions">
        <Button main submit testid="booth-review">
          {t("choose.button")}
        </Button>
        {!inFrame() && (
          <Button testid="booth-back" onClick={() => leave(where)}>
            {t("back")}
          </Button>
        )}
      </div>
    </form>
  );
}

function Review(state: BoothState) {
  const { vote, step, delivery, choices, tracker, error } = state;
  const sealed = useSignal(false);
  const casting = useSignal(false);
  const seal = async (): Promise<void> => {
    error.value = null;
    try {
      tracker.value = (await vote.prepare(choices.value)).tracker;
      sealed.value = true;
    } catch (caught) {
      error.value = caught;
    }
  };
  useEffect(() => void seal(), []);
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
  return (
    <div class="stack">
      <StepTitle>{t("review.title")}</StepTitle>
      <Chosen questions={vote.questions} choices={choices.value} />
      <p>{t("review.secret")}</p>
      <p role="status" class="muted">
        {sealed.value ? `✓ ${t("review.sealed")}` : error.value === null ? t("review.sealing") : ""}
      </p>
      <Problem error={error.value} />
      <div class="actions booth-actions">
        {error.value !== null && !sealed.value ? (
          <Button main testid="booth-seal-again" onClick={() => void seal()}>
            {t("try-again")}
          </Button>
        ) : (
          <Button main testid="booth-cast" disabled={!sealed.value} busy={casting.value} onClick={() => void cast()}>
            {t(state.where === PRACTICE ? "review.cast-practice" : "review.cast")}
          </Button>
        )}
        {!casting.value && (
          <Button testid="booth-change" onClick={() => void change()}>
            {t("review.change")}
          </Button>
        )}
      </div>
    </div>
  );
}

function Chosen({ questions, choices }: { questions: readonly Question[]; choices: readonly number[] }) {
  return (
    <>
      {questions.map((question, q) => {
        const index = choices[q] ?? -1;
        return (
          <div key={q} class="stack-tight">
            {questions.length > 1 && <p class="pre muted">{question.text}</p>}
            <p class={`chosen tone-${toneOf(question, index)}`} data-testid={`booth-chosen-${q}`}>
              <span class="option-mark" aria-hidden="true">
                {markOf(question, index)}
              </span>
              <span>{optionText(question.type, question.options[index] ?? "")}</span>
            </p>
          </div>
        );
      })}
    </>
  );
}

/** One try; false when the ballot was refused and the voter must choose again. */
async function castOnce({ vote, where, delivery, error }: BoothState): Promise<boolean> {
  error.value = null;
  if (!(vote instanceof BoothVote)) {
    await vote.cast();
    delivery.value = "received";
    return true;
  }
  if (where === null || where === PRACTICE) return false;
  try {
    const record = await vote.cast((ballot) => send(where.meeting, where.election, ballot));
    delivery.value = record.state === "included" ? "in-the-box" : "received";
    return true;
  } catch (caught) {
    error.value = caught;
    const refused = caught instanceof VotingError && caught.code === "voting.ballot-refused";
    delivery.value = refused ? "refused" : "unknown";
    return !refused;
  }
}

function Done(state: BoothState) {
  const { vote, where, delivery, tracker, error } = state;
  const retrying = useSignal(false);
  const retry = async (): Promise<void> => {
    if (retrying.peek()) return;
    retrying.value = true;
    if (!(await castOnce(state))) state.step.value = "choose";
    if (vote instanceof BoothVote && vote.record) tracker.value = vote.record.tracker;
    retrying.value = false;
  };
  useAgain(delivery.value === "unknown", RETRY_FIRST_MS, RETRY_LONGEST_MS, retry);
  useAgain(delivery.value === "received" && vote instanceof BoothVote, LOOK_FIRST_MS, LOOK_LONGEST_MS, async () => {
    if (!(vote instanceof BoothVote)) return;
    try {
      if (await isInTheBox(vote)) delivery.value = "in-the-box";
    } catch (caught) {
      error.value = caught;
    }
  });
  const shown = delivery.value === "received" || delivery.value === "in-the-box" ? delivery.value : "unknown";
  const known = shown !== "unknown";
  return (
    <div class="stack" data-testid={known ? "booth-done" : "booth-pending"}>
      <StepTitle key={String(known)}>{where === PRACTICE ? t("done.practice") : t(`done.${shown}`)}</StepTitle>
      {where !== PRACTICE && (
        <p role="status" class={`note ${known ? "note-good" : "note-warn"}`}>
          {t(`done.${shown}.text`)}
        </p>
      )}
      <Problem error={error.value} />
      {vote instanceof BoothPractice && <PracticeBox vote={vote} />}
      {known && tracker.value && (
        <div class="stack-tight">
          <p>{t("done.code")}</p>
          <output class="code-block big" data-testid="tracker">
            {tracker.value}
          </output>
          <p class="muted">{t(where === PRACTICE ? "done.code-practice" : "done.code-hint")}</p>
        </div>
      )}
      <div class="actions booth-actions">
        {delivery.value === "unknown" && (
          <Button main testid="booth-retry" busy={retrying.value} onClick={() => void retry()}>
            {t("done.retry")}
          </Button>
        )}
        <Button main={known} testid="booth-back" onClick={() => leave(where)}>
          {t(inFrame() ? "back-room" : "back")}
        </Button>
      </div>
    </div>
  );
}

/** Runs the work again and again, ever more slowly, while `on`; and at once when the network is back. */
function useAgain(on: boolean, first: number, longest: number, work: () => Promise<void>): void {
  useEffect(() => {
    if (!on) return;
    let wait = first;
    let timer: ReturnType<typeof setTimeout>;
    const round = async (): Promise<void> => {
      await work();
      wait = Math.min(wait * 1.5, longest);
      timer = setTimeout(() => void round(), wait);
    };
    const now = (): void => void work();
    timer = setTimeout(() => void round(), wait);
    addEventListener("online", now);
    return () => {
      clearTimeout(timer);
      removeEventListener("online", now);
    };
  }, [on]);
}

/** The practice box can be opened by the voter alone: its key was made on this page. */
function PracticeBox({ vote }: { vote: BoothPractice }) {
  const counts = useSignal<number[] | null>(null);
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
