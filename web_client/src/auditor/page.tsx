/**
 * The auditor's page: chooses files, runs the verifier beside them, and says in words what it found.
 * It needs no session and sends nothing; once loaded it needs no network.
 */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { LANGUAGES } from "../i18n/core.ts";
import { CHECK_IDS } from "../verifier/report.ts";
import { Card } from "./card.tsx";
import { type Chosen, type PageDigest, choose, commandFor, pageDigest } from "./files.ts";
import { language, number, t, useLanguage } from "./i18n.ts";
import { Findings, Under } from "./findings.tsx";
import type { Runner } from "./runner.ts";

function LanguageChoice() {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{t("auditor.language")}</label>
      <select
        id={id}
        data-testid="auditor-language"
        value={language.value}
        onChange={(event) => {
          const found = LANGUAGES.find(({ code }) => code === event.currentTarget.value);
          if (found) void useLanguage(found.code, true);
        }}
      >
        {LANGUAGES.map(({ code, name }) => (
          <option key={code} value={code} lang={code}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}

function FileChoice({ busy, onFiles }: { busy: boolean; onFiles: (files: File[]) => void }) {
  const input = useId();
  const over = useSignal(false);
  return (
    <div
      class="auditor-drop"
      data-over={over.value}
      data-testid="auditor-drop"
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => (over.value = false)}
      onDrop={(event) => {
        event.preventDefault();
        over.value = false;
        if (!busy) onFiles([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      <div class="field">
        <label for={input}>{t("auditor.choose")}</label>
        <input
          id={input}
          type="file"
          multiple
          accept=".zip,.age,.txt"
          disabled={busy}
          data-testid="auditor-files"
          onChange={(event) => onFiles([...(event.currentTarget.files ?? [])])}
        />
      </div>
      <p class="hint">{t("auditor.drop")}</p>
    </div>
  );
}

function ChosenFiles({ chosen }: { chosen: readonly Chosen[] }) {
  return (
    <>
      {chosen.map(({ kind, file, sha256 }) => (
        <div key={kind} class="stack-tight" data-testid="auditor-digest" data-kind={kind}>
          <p>
            <span class="badge">{t(`auditor.is.${kind}`)}</span> <strong>{file.name}</strong>{" "}
            {kind !== "identity" && <span class="muted">{t("auditor.bytes", { n: number(file.size) })}</span>}
          </p>
          {kind === "identity" ? <p class="hint">{t("auditor.identity")}</p> : <code class="code-block">{sha256}</code>}
        </div>
      ))}
    </>
  );
}

/** Checks that read the ballots of all boards. */
const BALLOT_CHECKS = new Set(["V01", "V10", "V11"]);

function Progress({ runner }: { runner: Runner }) {
  const id = useId();
  const running = runner.running.value;
  if (running === null) return null;
  const at = CHECK_IDS.indexOf(running.id);
  const part = running.total === 0 ? 0 : running.done / running.total;
  return (
    <div class="progress" data-testid="auditor-progress">
      <label for={id}>
        {t("auditor.progress", { at: at + 1, of: CHECK_IDS.length })}
        {running.total > 0 && ` · ${t(BALLOT_CHECKS.has(running.id) ? "auditor.progress-ballots" : "auditor.progress-steps", { done: number(running.done), of: number(running.total) })}`}
      </label>
      <progress id={id} max={CHECK_IDS.length} value={at + part} />
    </div>
  );
}

function Command({ chosen }: { chosen: readonly Chosen[] }) {
  const copied = useSignal(false);
  const nameOf = (kind: Chosen["kind"]): string | null => chosen.find((one) => one.kind === kind)?.file.name ?? null;
  const text = commandFor(nameOf("bundle") ?? "bundle.zip", nameOf("annex"), nameOf("identity"));
  return (
    <Card title={t("auditor.command.title")}>
      <p>{t("auditor.command.text")}</p>
      <code class="code-block" data-testid="verify-command">
        {text}
      </code>
      <div class="actions">
        <button
          type="button"
          class="button button-plain"
          onClick={() => {
            void navigator.clipboard.writeText(text).then(() => (copied.value = true), () => undefined);
          }}
        >
          {t("auditor.command.copy")}
        </button>
        <span role="status">{copied.value && t("auditor.command.copied")}</span>
      </div>
    </Card>
  );
}

/** What prints the same digest from one's own copy of the program. */
const COMPARE = "python3 tools/web_build.py && tail -n 1 server/folkmoot_server/web_dist/auditor-digest.txt";

function PageItself({ digest }: { digest: PageDigest | null | "failed" }) {
  return (
    <Card title={t("auditor.digest.title")}>
      <p>{t("auditor.digest.text")}</p>
      {digest === "failed" && <p class="muted">{t("auditor.digest.failed")}</p>}
      {digest !== null && digest !== "failed" && (
        <>
          <p>{t("auditor.digest.combined")}</p>
          <code class="code-block" data-testid="page-digest" data-as-built={String(digest.asBuilt)}>
            {digest.all}
          </code>
          {!digest.asBuilt && <p class="note note-bad">{t("auditor.digest.differs")}</p>}
          <p>{t("auditor.digest.compare")}</p>
          <code class="code-block">{COMPARE}</code>
          <details>
            <summary>{t("auditor.digest.list")}</summary>
            <ul class="list small">
              {digest.files.map(({ name, sha256 }) => (
                <li key={name}>
                  <code>
                    {sha256} {name}
                  </code>
                </li>
              ))}
            </ul>
          </details>
        </>
      )}
    </Card>
  );
}

/** Reads the page's own files once, while the network is surely there. */
function useOwnDigest(): Signal<PageDigest | null | "failed"> {
  const digest = useSignal<PageDigest | null | "failed">(null);
  useEffect(() => {
    pageDigest()
      .then((found) => (digest.value = found))
      .catch(() => (digest.value = "failed"));
  }, []);
  return digest;
}

async function startWith(runner: Runner, bundle: File, annex: File | null, identity: File | null): Promise<void> {
  runner.start(bundle, annex, identity === null ? "" : await identity.text());
}

export function AuditorPage({ runner }: { runner: Runner }) {
  const chosen = useSignal<readonly Chosen[]>([]);
  /** Files being read: until they are known, the older ones must not be checked in their place. */
  const reading = useSignal(0);
  const digest = useOwnDigest();
  const state = runner.state.value;
  const busy = state === "running";
  const find = (kind: Chosen["kind"]): File | null => chosen.value.find((one) => one.kind === kind)?.file ?? null;
  const bundle = find("bundle");
  useEffect(() => {
    document.title = `${t("auditor.title")} · Folkmoot`;
  }, [language.value]);
  const take = async (files: File[]): Promise<void> => {
    if (files.length === 0) return;
    runner.clear();
    reading.value += 1;
    try {
      chosen.value = await choose([...chosen.value.map(({ file }) => file), ...files]);
    } finally {
      reading.value -= 1;
    }
  };
  return (
    <main class="main" data-testid="auditor" data-state={state}>
      <div class="row-between">
        <h1>{t("auditor.title")}</h1>
        <LanguageChoice />
      </div>
      <p>{t("auditor.text")}</p>
      <Card title={t("auditor.files")}>
        <FileChoice busy={busy} onFiles={(files) => void take(files)} />
        <ChosenFiles chosen={chosen.value} />
        <Progress runner={runner} />
        <div class="actions">
          {busy ? (
            <button type="button" class="button button-danger" data-testid="auditor-stop" onClick={() => runner.stop()}>
              {t("auditor.stop")}
            </button>
          ) : (
            <button
              type="button"
              class="button button-main"
              data-testid="auditor-check"
              disabled={bundle === null || reading.value > 0}
              onClick={() => {
                if (bundle) void startWith(runner, bundle, find("annex"), find("identity"));
              }}
            >
              {t("auditor.check")}
            </button>
          )}
        </div>
      </Card>
      <Findings runner={runner} chosen={chosen.value} page={digest.value === "failed" ? null : digest.value} />
      <Under runner={runner} />
      <Command chosen={chosen.value} />
      <PageItself digest={digest.value} />
    </main>
  );
}
