/** All votes of the meeting: what comes, what runs, what came out. */
import type { ElectionSummary, Meeting } from "../../api/types.ts";
import { t, tn } from "../../i18n/index.ts";
import { isOver, isRunning } from "../../state/meeting.ts";
import { ResultCard } from "../result.tsx";
import { QuestionLines } from "../question_lines.tsx";
import { Practice } from "./practice.tsx";

export function Votes({ meeting, onPractice }: { meeting: Meeting; onPractice: () => void }) {
  if (meeting.elections.length === 0) {
    return (
      <>
        <div class="card">
          <p>{t("votes.empty")}</p>
        </div>
        <Practice onPractice={onPractice} />
      </>
    );
  }
  const current = meeting.agenda.find((item) => item.state === "current")?.id;
  // The vote of now and the result of now first; then what came before, the latest first; then what is to come.
  const over = meeting.elections.filter(isOver).reverse();
  const results = [...over.filter((election) => election.agenda_item === current), ...over.filter((election) => election.agenda_item !== current)];
  return (
    <>
      {meeting.elections.filter(isRunning).map((election) => (
        <Running key={election.election} election={election} />
      ))}
      {results.map((election) => (
        <div key={election.election} data-testid="election" data-election={election.election} data-state={election.state}>
          <ResultCard election={election} meeting={meeting.id} />
        </div>
      ))}
      {meeting.elections
        .filter((election) => election.state === "draft")
        .map((election) => (
          <Running key={election.election} election={election} />
        ))}
      {meeting.state !== "closed" && <Practice onPractice={onPractice} />}
    </>
  );
}

function Running({ election }: { election: ElectionSummary }) {
  return (
    <section class="card" data-testid="election" data-election={election.election} data-state={election.state}>
      <div class="row-between">
        <h2>{election.title}</h2>
        <span class={election.state === "open" ? "badge badge-live" : "badge"}>{t(`election.state.${election.state}`)}</span>
      </div>
      <p>
        <span class="badge">{t(`secrecy.badge.${election.secrecy}`)}</span>
      </p>
      <QuestionLines election={election} />
      {election.state !== "draft" && <p>{tn("vote.cast", election.cast, { of: election.electorate_size })}</p>}
    </section>
  );
}
