/** One election of the report, in words: what was asked, of whom, how it is decided, and what came out. */
import type { Question as Asked } from "../ballot/cells.ts";
import { votesOf } from "../ballot/rules.ts";
import { type VoteRules, pickText, ruleSentences } from "../ui/rule_words.ts";
import type { ElectionDetails } from "../verifier/results.ts";
import { lookup, moment, number, say, t, tn } from "./i18n.ts";

/** The fixed options in the reader's language, all others as they were put. */
const optionText = (question: Asked, option: string): string => (question.type === "yes-no-abstain" ? lookup(`option.${option}`) : null) ?? option;

function outcomeText(question: Asked, kind: string, options: readonly number[]): string {
  const names = options.map((o) => question.options[o] ?? "").join(", ");
  return lookup(`outcome.${kind}`, { name: names }) ?? kind;
}

function Question({ election, index }: { election: ElectionDetails; index: number }) {
  const question = election.questions[index] as Asked | undefined;
  const outcome = election.outcome[index];
  if (question === undefined || outcome === undefined) return null;
  const { kind, options, tied } = outcome;
  const counts = election.counts[index] ?? [];
  const votes = outcome.votes.length > 0 ? outcome.votes : counts.length > 0 ? votesOf(question, counts) : [];
  const good = kind === "carried" || kind === "elected";
  const casting = election.castings.find((one) => one.question === index);
  const rules = election.rules as VoteRules;
  return (
    <div class="stack-tight">
      <h4 class="pre">{question.text}</h4>
      <p class="muted">{pickText(say, question)}</p>
      <p class={`outcome outcome-${good ? "good" : "other"}`} data-testid="auditor-outcome" data-kind={kind}>
        {outcomeText(question, kind, options)}
      </p>
      {tied.length > 0 && <p>{t(casting ? "report.tie-cast" : "report.tie", { names: tied.map((o) => optionText(question, question.options[o] ?? "")).join(", ") })}</p>}
      {votes.length > 0 && (
        <table>
          <caption class="visually-hidden">{t("report.votes")}</caption>
          <tbody>
            {question.options.map((name, o) => (
              <tr key={name} data-testid={`auditor-count-${o}`} data-count={votes[o]}>
                <th scope="row">{optionText(question, name)}</th>
                <td class="bar-number">{number(votes[o] ?? 0)}</td>
              </tr>
            ))}
            {question.blank && (
              <tr>
                <th scope="row">{t("report.blank")}</th>
                <td class="bar-number">{number(counts[question.options.length] ?? 0)}</td>
              </tr>
            )}
          </tbody>
        </table>
      )}
      <p class="small">{ruleSentences(say, question, rules).join(" ")}</p>
    </div>
  );
}

/** What an auditor should know besides the counts; only what is not nothing. */
function notesOf(e: ElectionDetails): string[] {
  const some = (n: number, key: "report.excluded" | "report.exceptions" | "report.replacements" | "report.kiosk" | "report.voids"): string[] => (n > 0 ? [tn(key, n)] : []);
  return [
    ...some(e.exceptions, "report.exceptions"),
    ...some(e.excluded, "report.excluded"),
    ...some(e.replacements, "report.replacements"),
    ...some(e.kiosk, "report.kiosk"),
    ...some(e.voids, "report.voids"),
    ...e.rejected.map(({ trustee }) => t("report.rejected", { trustee })),
    ...e.halls.map(({ site, name, ballots }) => (ballots > 0 ? tn("report.hall-late", ballots, { hall: name || site }) : t("report.hall-unreachable", { hall: name || site }))),
    ...(e.repeats.length > 0 ? [t("report.repeats", { names: e.repeats.join(", ") })] : []),
    ...(e.ballots > e.cast ? [tn("report.again", e.ballots - e.cast)] : []),
    ...(e.secrecy === "trustees" && e.electorate_size < 10 ? [t("report.small")] : []),
  ];
}

/** Who may have voted, and who did. */
function Turnout({ election: e }: { election: ElectionDetails }) {
  const rows: [string, string][] = [
    [t("report.roll"), weighed(e.roll_size, e.rollWeight)],
    [t("report.present"), weighed(e.present, e.presentWeight)],
    ...(e.at_closing === null ? [] : [[t("report.present-closing"), closingText(e, e.at_closing)] as [string, string]]),
    [t("report.electorate"), weighed(e.electorate_size, e.electorateWeight)],
    [t("report.cast"), weighed(e.cast, e.cast_weight)],
    [t("report.quorum"), t(e.quorum.met ? "report.quorum-met" : "report.quorum-missed", { count: number(e.quorum.count), base: number(e.quorum.base) })],
    [t("report.opened-at"), moment(e.openedAt)],
    [t("report.counted-at"), moment(e.countedAt)],
    ...(e.trustees > 0 ? ([[t("report.trustees"), t("report.of", { n: e.threshold, all: e.trustees })]] as [string, string][]) : []),
    [t("report.cosigners"), t("report.of", { n: e.cosignQuorum, all: e.cosigners.length })],
  ];
  return (
    <table>
      <caption class="visually-hidden">{t("report.turnout")}</caption>
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** People, and their votes where they have more than one each. */
const weighed = (people: number, votes: number): string => (people === votes ? number(people) : t("report.weighed", { people: number(people), votes: number(votes) }));

/** Who was present at the closing, and whether that is a quorum where one is asked for. */
function closingText({ rules }: ElectionDetails, { met, present, present_weight: weight }: NonNullable<ElectionDetails["at_closing"]>): string {
  const people = weighed(present, weight);
  return rules.quorum.num === 0 ? people : t(met ? "report.present-closing-met" : "report.present-closing-missed", { present: people });
}

export function ElectionReport({ election }: { election: ElectionDetails }) {
  const { secrecy, votingAgain, rehearsal } = election;
  const notes = notesOf(election);
  return (
    <article class="stack-tight" data-testid={`auditor-election-${election.election}`}>
      <h3>{election.title}</h3>
      {rehearsal && <p class="note note-bad strong">{t("rule.rehearsal")}</p>}
      <p>
        {t(`report.secrecy.${secrecy}`)} {t(votingAgain === "once" ? "report.once" : "report.last-counts")}
      </p>
      <Turnout election={election} />
      {election.questions.map((question, index) => (
        <Question key={question.text} election={election} index={index} />
      ))}
      {notes.length > 0 && (
        <>
          <h4>{t("report.notes")}</h4>
          <ul class="list" data-testid="auditor-notes">
            {notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </>
      )}
    </article>
  );
}
