/** The result card: outcome, bars with words and numbers, what was needed, and the voter's own check. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ElectionSummary, TallyCore } from "../api/types.ts";
import { number, t, tn } from "../i18n/index.ts";
import type { CastRecord } from "../identity/keystore.ts";
import { useAction } from "../ui/action.ts";
import { Button, LinkButton, Note, Problem } from "../ui/parts.tsx";
import { neededText, optionMark, optionText, optionTone, outcomeText } from "./words.ts";

const PERCENT = 100;
/** Outcomes in which the motion or a person won. */
const POSITIVE = new Set(["carried", "elected"]);

export function ResultCard({ election, meeting }: { election: ElectionSummary; meeting: string }) {
  const core = election.result;
  const outcome = core?.outcome[0];
  if (election.state === "void") return <VoidCard election={election} />;
  if (!core || !outcome) return null;
  return (
    <article class="card" data-testid={`result-${election.election}`}>
      <h3>{election.title}</h3>
      <p class={`outcome ${POSITIVE.has(outcome.kind) ? "outcome-good" : "outcome-other"}`} data-testid="result-outcome" data-kind={outcome.kind} data-option={outcome.option}>
        {outcomeText(election, outcome)}
      </p>
      {core.counts.length > 0 && <Bars election={election} counts={core.counts[0] ?? []} />}
      <p data-testid="result-needed">{neededText(election, core)}</p>
      <p class="muted" data-testid="result-quorum">
        {quorumText(core)}
      </p>
      <OwnVote election={election} />
      <div class="actions">
        <LinkButton href={`/meetings/${meeting}/audit`} testid="audit-file">
          {t("result.audit-file")}
        </LinkButton>
      </div>
    </article>
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

function quorumText({ quorum, cast }: TallyCore): string {
  const cast_ = tn("result.cast", cast);
  const met = t(quorum.met ? "result.quorum-met" : "result.quorum-missed", { present: quorum.present, roll: quorum.roll });
  return `${cast_} ${met}`;
}

function Bars({ election, counts }: { election: ElectionSummary; counts: readonly number[] }) {
  const total = counts.reduce((sum, votes) => sum + votes, 0);
  return (
    <table class="bars">
      <caption class="visually-hidden">{t("result.votes")}</caption>
      <tbody>
        {election.options.map((option, index) => {
          const votes = counts[index] ?? 0;
          const share = total === 0 ? 0 : Math.round((votes / total) * PERCENT);
          return (
            <tr key={option} data-testid={`result-count-${index}`} data-count={votes}>
              <th scope="row">
                <span aria-hidden="true">{optionMark(election.type, index)}</span> {optionText(election.type, option)}
              </th>
              <td class="bar-cell" aria-hidden="true">
                <svg class={`bar bar-${optionTone(election.type, index)}`} viewBox="0 0 100 10" preserveAspectRatio="none">
                  <rect class="bar-ground" width="100" height="10" />
                  <rect class="bar-fill" width={share} height="10" />
                </svg>
              </td>
              <td class="bar-number">
                <strong>{number(votes)}</strong> <span class="muted">{t("result.percent", { n: share })}</span>
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
  const status = useSignal<"" | "promised" | "in-the-box">("");
  const checking = useAction();
  useEffect(() => {
    void import("../state/board.ts").then(async ({ ownBallot }) => (found.value = { record: await ownBallot(election.election) })).catch(() => undefined);
  }, [election.election]);
  if (!election.voted && !found.value?.record) return <p class="muted">{t("counted.not-voted")}</p>;
  if (found.value && !found.value.record) return <p class="muted">{t("counted.other-device")}</p>;
  const check = async (): Promise<void> => {
    const { checkBallot, ownBallot, whereabouts } = await import("../state/board.ts");
    // Looked up anew: a tap before the first look has ended must not be lost.
    const record = await ownBallot(election.election);
    found.value = { record };
    if (!record) return;
    const now = whereabouts(await checkBallot(record));
    status.value = now === "in-the-box" ? "in-the-box" : "promised";
  };
  return (
    <div class="stack-tight">
      {status.value === "in-the-box" && (
        <div data-testid="counted" data-status="in-the-box">
          <Note kind="good">{t("counted.yes")}</Note>
        </div>
      )}
      {status.value === "promised" && (
        <div data-testid="counted" data-status="promised">
          <Note>{t("counted.promised")}</Note>
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
