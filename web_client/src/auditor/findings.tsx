/** What the verification says: the verdict, and the report in words on what the files prove. */
import { useRef } from "preact/hooks";
import type { Results } from "../verifier/results.ts";
import type { Verification } from "../verifier/verify.ts";
import { Card } from "./card.tsx";
import { CheckTable } from "./checks.tsx";
import { ElectionReport } from "./election.tsx";
import type { Chosen, PageDigest } from "./files.ts";
import { language, moment, t, tn } from "./i18n.ts";
import type { Runner } from "./runner.ts";
import { reportPage, save } from "./saving.ts";

type Tone = "good" | "bad" | "warn" | "info";
const SIGNS: Readonly<Record<Tone, string>> = { good: "✓", bad: "!", warn: "!", info: "i" };
const NOT_SHOWN = ["coercion", "malware", "page", "quantum", "unanimous", "departures"] as const;

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

/** The key, the tellers' shares and the annex: what the record says of the whole meeting. */
function meetingNotes({ trustees, destroyed, brokenAttempts, keepUntil }: Results): string[] {
  return [
    ...(trustees > 0 ? [destroyed === trustees ? t("report.destroyed-all", { n: trustees }) : t("report.destroyed", { n: destroyed, all: trustees })] : []),
    ...(brokenAttempts > 0 ? [tn("report.attempts", brokenAttempts)] : []),
    ...(keepUntil > 0 ? [t("report.keep-until", { day: moment(keepUntil) })] : []),
  ];
}

function Proved({ results }: { results: Results }) {
  const notes = meetingNotes(results);
  return (
    <section class="card" data-testid="auditor-results">
      <h2>{t("auditor.results")}</h2>
      <p>
        {results.organisation}, {results.meeting}
      </p>
      {results.rehearsal && <p class="note note-bad strong">{t("report.rehearsal")}</p>}
      <Sentence tone={results.annex ? "good" : "info"} text={t(results.annex ? "auditor.annex-given" : "auditor.annex-missing")} />
      {results.elections.map((election) => (
        <ElectionReport key={election.election} election={election} />
      ))}
      <h3>{t("report.meeting")}</h3>
      <ul class="list">
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
      <p>{t("auditor.fingerprint")}</p>
      <code class="code-block" data-testid="auditor-fingerprint">
        {results.fingerprint}
      </code>
      <h3>{t("auditor.not-shown")}</h3>
      <ul class="list">
        {NOT_SHOWN.map((name) => (
          <li key={name}>{t(`not-shown.${name}`)}</li>
        ))}
      </ul>
    </section>
  );
}

/** Of which files the report speaks, and which page made it. */
function Source({ chosen, page }: { chosen: readonly Chosen[]; page: PageDigest | null }) {
  return (
    <section class="card">
      <h2>{t("report.files")}</h2>
      {chosen
        .filter(({ kind }) => kind !== "identity")
        .map(({ kind, file, sha256 }) => (
          <p key={kind}>
            {file.name} <code class="code-block">{sha256}</code>
          </p>
        ))}
      {page !== null && (
        <p>
          {t("report.page")} <code class="code-block">{page.all}</code>
        </p>
      )}
    </section>
  );
}

export function Findings({ runner, chosen, page }: { runner: Runner; chosen: readonly Chosen[]; page: PageDigest | null }) {
  const report = useRef<HTMLDivElement>(null);
  const state = runner.state.value;
  const found = runner.verification.value;
  const verdict = found === null ? null : verdictOf(found);
  return (
    <>
      <div role="status" class="stack-tight">
        {state === "broken" && <Sentence tone="bad" text={t("auditor.broken")} />}
        {state === "stopped" && <Sentence tone="warn" text={t("auditor.stopped")} />}
      </div>
      <div class="stack" ref={report}>
        <div role="status" class="stack-tight" data-testid="auditor-verdict" data-verdict={found?.report.verdict ?? ""}>
          {verdict !== null && <Sentence {...verdict} />}
        </div>
        {found?.results && <Proved results={found.results} />}
        {found !== null && <CheckTable checks={found.report.checks} />}
        {found !== null && <Source chosen={chosen} page={page} />}
      </div>
      {found !== null && (
        <div class="actions">
          <button
            type="button"
            class="button button-main"
            data-testid="auditor-save"
            onClick={() => {
              if (report.current) save(reportPage(t("report.title"), language.value, report.current.innerHTML), "text/html", "folkmoot-report.html");
            }}
          >
            {t("auditor.save")}
          </button>
          <button
            type="button"
            class="button button-plain"
            data-testid="auditor-save-json"
            onClick={() => save(`${JSON.stringify(found.report, null, 1)}\n`, "application/json", "folkmoot-report.json")}
          >
            {t("auditor.save-json")}
          </button>
        </div>
      )}
    </>
  );
}

/** While it runs, the checks stand here; afterwards they are in the report. */
export function Under({ runner }: { runner: Runner }) {
  if (runner.state.value !== "running") return null;
  return (
    <Card title={t("auditor.checks")}>
      <CheckTable checks={runner.checks.value} running={runner.running.value?.id} bare />
    </Card>
  );
}
