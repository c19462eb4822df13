/** What the verification says: the verdict, then the results that the files prove. */
import type { QuestionResult, Results } from "../verifier/results.ts";
import type { Verification } from "../verifier/verify.ts";
import type { Chosen, PageDigest } from "./files.ts";
import { lookup, number, t, tn } from "./i18n.ts";
import { Card } from "./card.tsx";
import type { Runner } from "./runner.ts";

type Tone = "good" | "bad" | "warn" | "info";
const SIGNS: Readonly<Record<Tone, string>> = { good: "✓", bad: "!", warn: "!", info: "i" };

function Sentence({ tone, text }: { tone: Tone; text: string }) {
  return (
    <div class={`note note-${tone}`}>
      <span class="note-mark" aria-hidden="true">
        {SIGNS[tone]}
      </span>
      <p>{text}</p>
    </div>
  );
}

function verdictOf({ report }: Verification): { tone: Tone; text: string } {
  if (report.verdict === "unreadable") return { tone: "bad", text: t("auditor.unreadable") };
  if (report.verdict === "ok") return { tone: "good", text: tn("auditor.ok", report.checks.filter(({ ok }) => ok === true).length) };
  return { tone: "bad", text: t("auditor.failed", { id: report.checks.find(({ ok }) => ok === false)?.id ?? "" }) };
}

/** The fixed options in the reader's language, all others as they were put. */
const optionText = (question: QuestionResult, option: string): string =>
  (question.type === "yes-no-abstain" ? lookup(`option.${option}`) : null) ?? option;

function Question({ question }: { question: QuestionResult }) {
  const { text, options, counts, kind, option } = question;
  const good = kind === "carried" || kind === "elected";
  return (
    <div class="stack-tight">
      <p class="pre strong">{text}</p>
      <p class={`outcome outcome-${good ? "good" : "other"}`} data-testid="auditor-outcome" data-kind={kind}>
        {lookup(`outcome.${kind}`, { name: options[option] ?? "" }) ?? kind}
      </p>
      {counts.length > 0 && (
        <table>
          <tbody>
            {options.map((name, i) => (
              <tr key={name} data-testid={`auditor-count-${i}`} data-count={counts[i]}>
                <th scope="row">{optionText(question, name)}</th>
                <td class="bar-number">{number(counts[i] ?? 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

function Proved({ results }: { results: Results }) {
  return (
    <Card title={t("auditor.results")} testid="auditor-results">
      <p>
        {results.organisation}, {results.meeting}
      </p>
      {results.elections.map(({ id, title, cast, electorate, questions }) => (
        <article key={id} class="stack-tight" data-testid={`auditor-election-${id}`}>
          <h3>{title}</h3>
          <p class="muted">{t("auditor.box", { cast, electorate })}</p>
          {questions.map((question) => (
            <Question key={question.text} question={question} />
          ))}
        </article>
      ))}
      <p>{t("auditor.fingerprint")}</p>
      <code class="code-block" data-testid="auditor-fingerprint">
        {results.fingerprint}
      </code>
      <p class="muted">{t("auditor.not-shown")}</p>
    </Card>
  );
}

/** The report as a file: the verifier's JSON, and of which files and which page it speaks. */
export function reportFile({ report }: Verification, chosen: readonly Chosen[], page: PageDigest | null): string {
  const files = chosen.map(({ kind, file, sha256 }) => ({ kind, name: file.name, sha256 }));
  return `${JSON.stringify({ ...report, files, page: page?.all ?? "" }, null, 1)}\n`;
}

function save(text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "folkmoot-report.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function Findings({ runner, chosen, page }: { runner: Runner; chosen: readonly Chosen[]; page: PageDigest | null }) {
  const state = runner.state.value;
  const found = runner.verification.value;
  const verdict = found === null ? null : verdictOf(found);
  return (
    <>
      <div role="status" class="stack-tight" data-testid="auditor-verdict" data-verdict={found?.report.verdict ?? ""}>
        {state === "broken" && <Sentence tone="bad" text={t("auditor.broken")} />}
        {state === "stopped" && <Sentence tone="warn" text={t("auditor.stopped")} />}
        {verdict !== null && <Sentence {...verdict} />}
        {found?.results && (
          <Sentence tone={found.results.annex ? "good" : "info"} text={t(found.results.annex ? "auditor.annex-given" : "auditor.annex-missing")} />
        )}
      </div>
      {found !== null && (
        <div class="actions">
          <button type="button" class="button button-plain" data-testid="auditor-save" onClick={() => save(reportFile(found, chosen, page))}>
            {t("auditor.save")}
          </button>
        </div>
      )}
      {found?.results && <Proved results={found.results} />}
    </>
  );
}
