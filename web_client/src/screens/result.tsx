/** The result card: outcome, bars with words and numbers, what was needed, and the voter's own check. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ElectionSummary, Question, TallyCore } from "../api/types.ts";
import { number, t, tn } from "../i18n/index.ts";
import type { CastRecord } from "../identity/keystore.ts";
import type { Voted } from "../state/wall.ts";
import { useAction } from "../ui/action.ts";
import { Button, LinkButton, Note, Problem } from "../ui/parts.tsx";
import { usesPoints } from "./question_draft.ts";
import { neededText, optionMark, optionText, optionTone, outcomeText, tiedText } from "./words.ts";

const PERCENT = 100;
/** Outcomes in which the motion or a person won. */
const POSITIVE = new Set(["carried", "elected"]);
/** Votes that stand in the record with the voter's code or name. */
const PLAIN = new Set(["open", "roll-call"]);

export function ResultCard({ election, meeting }: { election: ElectionSummary; meeting: string }) {
  const core = election.result;
  if (election.state === "void") return <VoidCard election={election} />;
  if (!core) return null;
  return (
    <article class="card" data-testid={`result-${election.election}`}>
      <h3>{election.title}</h3>
      <QuestionResults election={election} core={core} />
      <p class="muted" data-testid="result-quorum">
        {quorumWords(core)}
      </p>
      {core.rejected.length > 0 && <Note kind="warn">{t("result.rejected", { tellers: core.rejected.map(({ trustee }) => trustee).join(", ") })}</Note>}
      {core.halls.map(({ site, name, ballots }) => (
        <p key={site} class="muted" data-testid={`result-hall-${site}`}>
          {ballots > 0 ? tn("result.hall-late", ballots, { hall: name || site }) : t("result.hall-unreachable", { hall: name || site })}
        </p>
      ))}
      {core.kiosk > 0 && <p class="muted">{tn("result.kiosk", core.kiosk)}</p>}
      {PLAIN.has(election.secrecy) && <p class="muted">{t(election.secrecy === "open" ? "result.open" : "result.roll-call")}</p>}
      <OwnVote election={election} />
      <div class="actions">
        <LinkButton href={`/meetings/${meeting}/audit`} testid="audit-file">
          {t("result.audit-file")}
        </LinkButton>
      </div>
    </article>
  );
}

/** Outcome, bars and what was needed, question by question. */
export function QuestionResults({ election, core }: { election: Voted; core: TallyCore }) {
  return (
    <>
      {election.questions.map((question, at) => {
        const outcome = core.outcome[at];
        if (!outcome) return null;
        const tied = tiedText(question, outcome);
        return (
          <section key={at} class="stack-tight" data-testid={at === 0 ? "result-question" : `result-question-${at}`}>
            {election.questions.length > 1 && (
              <p class="pre strong" dir="auto">
                {question.text}
              </p>
            )}
            <p class={`outcome ${POSITIVE.has(outcome.kind) ? "outcome-good" : "outcome-other"}`} data-testid={at === 0 ? "result-outcome" : `result-outcome-${at}`} data-kind={outcome.kind} data-options={outcome.options.join(" ")} dir="auto">
              {outcomeText(question, outcome)}
            </p>
            {tied && <p>{tied}</p>}
            {outcome.votes.length > 0 && <Bars question={question} votes={outcome.votes} elected={outcome.options} at={at} />}
            <p data-testid={at === 0 ? "result-needed" : `result-needed-${at}`}>{neededText(election, core, at)}</p>
          </section>
        );
      })}
    </>
  );
}

/** A vote that was not counted in time: its box stays shut for ever. */
function VoidCard({ election }: { election: ElectionSummary }) {
  return (
    <article class="card" data-testid={`result-${election.election}`}>
      <h3>{election.title}</h3>
      <p class="outcome outcome-other" data-testid="result-outcome" data-kind="void">
        {t("outcome.void")}
      </p>
      <p>{t("outcome.void.text")}</p>
    </article>
  );
}

function quorumWords({ quorum, cast }: TallyCore): string {
  return `${tn("result.cast", cast)} ${t(quorum.met ? "result.quorum-met" : "result.quorum-missed", { present: quorum.count, roll: quorum.base })}`;
}

function Bars({ question, votes, elected, at }: { question: Question; votes: readonly number[]; elected: readonly number[]; at: number }) {
  const points = usesPoints(question.type);
  const most = Math.max(...votes, 1);
  const total = votes.reduce((sum, each) => sum + each, 0);
  const single = question.type === "yes-no-abstain" || question.type === "one-of-n";
  return (
    <table class="bars">
      <caption class="visually-hidden">{t(points ? "result.points" : "result.votes")}</caption>
      <tbody>
        {question.options.map((option, index) => {
          const own = votes[index] ?? 0;
          const share = total === 0 ? 0 : Math.round((own / total) * PERCENT);
          const length = single ? share : Math.round((own / most) * PERCENT);
          const won = elected.includes(index) && question.type !== "yes-no-abstain";
          return (
            <tr key={option} data-testid={at === 0 ? `result-count-${index}` : `result-count-${at}-${index}`} data-count={own}>
              <th scope="row" dir="auto">
                <span aria-hidden="true">{won ? "★" : optionMark(question.type, index)}</span> {optionText(question.type, option)}
                {won && <span class="visually-hidden"> ({t("result.won")})</span>}
              </th>
              <td class="bar-cell" aria-hidden="true">
                <svg class={`bar bar-${optionTone(question.type, index)}`} viewBox="0 0 100 10" preserveAspectRatio="none">
                  <rect class="bar-ground" width="100" height="10" />
                  <rect class="bar-fill" width={length} height="10" />
                </svg>
              </td>
              <td class="bar-number">
                <strong>{number(own)}</strong> {single && <span class="muted">{t("result.percent", { n: share })}</span>}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

type Found = { record: CastRecord | null } | null;

/** Whether the vote cast on this device is counted: checked by this page, not only said by the server. */
export function OwnVote({ election }: { election: ElectionSummary }) {
  const found = useSignal<Found>(null);
  const confirmed = useSignal(false);
  const checking = useAction();
  useEffect(() => {
    void import("../state/board.ts").then(async ({ ownBallot }) => (found.value = { record: await ownBallot(election.election) })).catch(() => undefined);
  }, [election.election]);
  if (!election.voted && !found.value?.record) return <p class="muted">{t("counted.not-voted")}</p>;
  if (found.value && !found.value.record) return <p class="muted">{t("counted.other-device")}</p>;
  const check = async (): Promise<void> => {
    confirmed.value = false;
    const { ownBallot, requireCounted } = await import("../state/board.ts");
    // Looked up anew: a tap before the first look has ended must not be lost.
    const record = await ownBallot(election.election);
    found.value = { record };
    if (!record) return;
    await requireCounted(record);
    confirmed.value = true;
  };
  return (
    <div class="stack-tight">
      {confirmed.value && (
        <div data-testid="counted" data-status="confirmed">
          <Note kind="good">{t("counted.yes")}</Note>
        </div>
      )}
      <Problem error={checking.error.value} />
      <div class="actions">
        <Button testid="check-counted" busy={checking.busy.value} onClick={() => void checking.run(check)}>
          {t("counted.check")}
        </Button>
      </div>
    </div>
  );
}
