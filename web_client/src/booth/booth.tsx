/** The booth: choose, review, done. The draft lives only here and is touched by nothing from outside. */
import { type Cell, useCell } from "./cell.ts";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { BoothPractice, BoothVote, BoothWorker } from "../ballot/booth.ts";
import type { Question } from "../ballot/manifest.ts";
import type { CastRecord } from "../identity/keystore.ts";
import { type Marks, cellsOf, lackOf } from "./choice.ts";
import { type Opened, type Place, openVote, replaceKey } from "./cast.ts";
import { say, t, tn } from "./i18n.ts";
import { Later } from "./later.tsx";
import { Button, Problem, StepTitle } from "./parts.tsx";
import { QuestionField } from "./question.tsx";
import { ruleSentences } from "../ui/rule_words.ts";

export type Step = "choose" | "review" | "audit" | "done";
/** `queued`: kept in a hall that has no answer from the main room; `disputed`: the server's proof does not hold. */
export type Delivery = "none" | "sending" | "unknown" | "queued" | "received" | "on-the-board" | "confirmed" | "missing" | "disputed" | "refused";
export type AnyVote = BoothVote | BoothPractice;
export type Where = Place | "practice" | null;

const PRACTICE = "practice";
/** Under so many voters the page says that a result can tell something. */
const SMALL = 10;

/** `#practice`, `#MEETING/ELECTION`, `#kiosk/MEETING/ELECTION`, or `#kiosk/MEETING/ELECTION/SITE` at a hall's page. */
export function place(hash: string): Where {
  if (hash === `#${PRACTICE}`) return PRACTICE;
  const parts = hash.slice(1).split("/");
  const kiosk = parts[0] === "kiosk" && (parts.length === 3 || parts.length === 4);
  const [meeting, election, site = "", ...rest] = kiosk ? parts.slice(1) : parts;
  return meeting && election && rest.length === 0 && (kiosk || site === "") ? { meeting, election, kiosk, site } : null;
}

export const inFrame = (): boolean => window.parent !== window;

export function leave(where: Where): void {
  if (inFrame()) window.parent.postMessage("booth-close", location.origin);
  else location.assign(where === null || where === PRACTICE ? "/" : `/meetings/${where.meeting}/room/votes`);
}

export interface BoothState {
  vote: AnyVote;
  where: Where;
  step: Cell<Step>;
  delivery: Cell<Delivery>;
  marks: Cell<readonly Marks[]>;
  tracker: Cell<string>;
  error: Cell<unknown>;
  /** Goes back to whoever comes next at a kiosk, or to the meeting. */
  back: () => void;
}

export function Booth({ where, onLeave }: { where: Where; onLeave?: () => void }) {
  const opened = useCell<{ vote: AnyVote; replaces: string } | null>(null);
  const error = useCell<unknown>(null);
  const back = (): void => (onLeave ? onLeave() : leave(where));
  const load = async (): Promise<void> => {
    error.value = null;
    try {
      if (where === null) throw Object.assign(new Error("The address names no vote."), { code: "booth.address" });
      const worker = new BoothWorker();
      opened.value =
        where === PRACTICE
          ? { vote: await worker.practice({ questions: [practiceQuestion()], title: t("practice.title") }), replaces: "" }
          : await openVote(worker, where);
    } catch (caught) {
      error.value = caught;
    }
  };
  useEffect(() => void load(), []);
  const now = opened.value;
  if (now && now.replaces === "") return <Steps vote={now.vote} where={where} back={back} />;
  const kiosk = where !== null && where !== PRACTICE && where.kiosk;
  const take = async (): Promise<void> => {
    if (!now || !(now.vote instanceof BoothVote) || where === null || where === PRACTICE) return;
    error.value = null;
    try {
      await replaceKey(now as Opened, where);
      opened.value = { vote: now.vote, replaces: "" };
    } catch (caught) {
      error.value = caught;
    }
  };
  return (
    <main class="booth" data-testid="booth" data-step={now ? "replace" : "loading"} data-delivery="none">
      <StepTitle key={String(now !== null)}>{now ? t(kiosk ? "replace.kiosk" : "replace.title") : t("title")}</StepTitle>
      {now && <p>{t(kiosk ? "replace.kiosk.text" : "replace.text")}</p>}
      {!now && error.value === null && (
        <p class="loading" role="status">
          <span class="spinner" aria-hidden="true" />
          {t("loading")}
        </p>
      )}
      <Problem error={error.value} />
      {kiosk && (error.value as { code?: string } | null)?.code === "relay.cut" && <p class="note note-warn" data-testid="kiosk-cut">{t("kiosk.cut")}</p>}
      <div class="actions">
        {now ? (
          <Button main testid="booth-replace" onClick={() => void take()}>
            {t("replace.button")}
          </Button>
        ) : (
          error.value !== null && (
            <Button main testid="booth-reload" onClick={() => void load()}>
              {t("try-again")}
            </Button>
          )
        )}
        {(now || error.value !== null) && (
          <Button testid="booth-back" onClick={back}>
            {t("back")}
          </Button>
        )}
      </div>
    </main>
  );
}

const practiceQuestion = (): Question => ({
  type: "yes-no-abstain", text: t("practice.question").normalize("NFC"), options: ["yes", "no", "abstain"], min: 1, max: 1, blank: false, score: 1, ranks: 0, seats: 1,
});

const isCast = (vote: AnyVote): boolean => vote.stage !== "choosing" && vote.stage !== "sealed";

const DELIVERIES: Partial<Record<AnyVote["stage"], Delivery>> = { sending: "unknown", promised: "received", included: "on-the-board", confirmed: "confirmed" };
export const deliveryOf = (stage: AnyVote["stage"], record: CastRecord | null): Delivery =>
  stage === "sending" && record?.queued ? "queued" : (DELIVERIES[stage] ?? "none");

function Steps({ vote, where, back }: { vote: AnyVote; where: Where; back: () => void }) {
  const state: BoothState = {
    vote,
    where,
    back,
    step: useCell<Step>(isCast(vote) ? "done" : "choose"),
    delivery: useCell<Delivery>(deliveryOf(vote.stage, vote instanceof BoothVote ? vote.record : null)),
    marks: useCell<readonly Marks[]>(vote.questions.map(() => null)),
    tracker: useCell(vote instanceof BoothVote ? (vote.record?.tracker ?? "") : ""),
    error: useCell<unknown>(null),
  };
  const step = state.step.value;
  return (
    <main class="booth" data-testid="booth" data-step={step} data-delivery={state.delivery.value}>
      {step !== "audit" && (
        <p class="booth-steps">
          {(["choose", "review", "done"] as const).map((name, index) => (
            <span key={name} class={name === step ? "booth-step-now" : ""} aria-current={name === step ? "step" : undefined}>
              {index + 1} {t(`step.${name}`)}
            </span>
          ))}
        </p>
      )}
      {where === PRACTICE && <p class="note note-warn">{t("practice.note")}</p>}
      {where !== PRACTICE && vote.terms.rehearsal && <p class="note note-warn">{t("rule.rehearsal")}</p>}
      {step === "choose" && <Choose {...state} />}
      {step !== "choose" && <Later key={step} load={STEPS[step]} props={state} />}
    </main>
  );
}

/** The later steps' code; fetched while the voter reads the question, so that it is there when the link is not. */
const STEPS: Record<Exclude<Step, "choose">, () => Promise<ComponentType<BoothState>>> = {
  review: () => import("./review.tsx").then(({ Review }) => Review),
  audit: () => import("./audit.tsx").then(({ Audit }) => Audit),
  done: () => import("./done.tsx").then(({ Done }) => Done),
};

const MINUTE_S = 60;
const graceText = (seconds: number): string => (seconds < MINUTE_S ? tn("rule.grace-seconds", seconds) : tn("rule.grace-minutes", Math.ceil(seconds / MINUTE_S)));

/** What kind of vote it is and what follows from it, before anything is chosen. */
function Terms({ vote, where }: { vote: AnyVote; where: Where }) {
  const { terms, questions } = vote;
  const weight = vote instanceof BoothVote ? vote.weight : 1;
  const rules = [...new Set(questions.flatMap((question) => ruleSentences(say, question, terms.rules)))];
  const secret = terms.secrecy === "trustees";
  return (
    <>
      <p class={secret ? "muted" : "note note-warn"} data-testid="booth-secrecy" data-secrecy={terms.secrecy}>
        {secret ? `🔒 ${t("rule.secret")}` : t(terms.secrecy === "open" ? "rule.open" : "rule.roll-call")}
      </p>
      {weight > 1 && <p data-testid="booth-weight">{t("rule.weight", { n: weight })}</p>}
      {where !== PRACTICE && secret && terms.electorateSize < SMALL && <p class="note note-warn">{t("rule.small")}</p>}
      {where !== PRACTICE && secret && terms.repeats.length > 0 && <p class="note note-warn">{t("rule.repeats")}</p>}
      {where !== PRACTICE && (
        <details data-testid="booth-rules">
          <summary>{t("rules")}</summary>
          {rules.map((rule) => (
            <p key={rule}>{rule}</p>
          ))}
          <p>{t(terms.votingAgain === "last-counts" ? "rule.again" : "rule.once")}</p>
          {terms.graceS > 0 && <p data-testid="booth-grace">{graceText(terms.graceS)}</p>}
          {terms.kiosk && <p>{t("rule.kiosk")}</p>}
        </details>
      )}
    </>
  );
}

function Choose({ vote, where, step, marks, error, back }: BoothState) {
  useEffect(() => void Promise.all([STEPS.review(), STEPS.done()]).catch(() => undefined), []);
  const tried = useCell(false);
  const lacks = vote.questions.map((question, at) => lackOf(question, marks.value[at] ?? null));
  const review = (): void => {
    tried.value = true;
    const first = lacks.findIndex((lack) => lack !== null);
    if (first >= 0) return document.querySelector<HTMLElement>(`[data-testid="booth-question-${first}"] :is(input, button)`)?.focus();
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
      <Terms vote={vote} where={where} />
      {vote.questions.map((question, at) => (
        <QuestionField
          key={at}
          question={question}
          at={at}
          marks={marks.value[at] ?? null}
          // Too many is said at once, what is missing only when the voter wants to go on.
          lack={tried.value || lacks[at] === "more" ? (lacks[at] ?? null) : null}
          set={(next) => (marks.value = marks.value.map((old, index) => (index === at ? next : old)))}
        />
      ))}
      <Problem error={error.value} />
      <div class="actions booth-actions">
        <Button main submit testid="booth-review">
          {t("choose.button")}
        </Button>
        {!inFrame() && (
          <Button testid="booth-back" onClick={back}>
            {t("back")}
          </Button>
        )}
      </div>
    </form>
  );
}

/** The values of every question's cells, to be sealed. */
export const cellsNow = ({ vote, marks }: BoothState): number[][] => vote.questions.map((question, at) => cellsOf(question, marks.value[at] ?? null));
