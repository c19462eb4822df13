/**
 * The auditor's page beside the application: digests of downloaded files and the command that checks them.
 * It needs no session and sends nothing; the check itself is `folkmoot-verify`, on the auditor's own computer.
 */
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { number, t } from "../i18n/index.ts";
import { useAction } from "../ui/action.ts";
import { Card, Copy, Loading, Problem, Title } from "../ui/parts.tsx";

interface Digest {
  name: string;
  size: number;
  sha256: string;
}

async function digestOf(file: File): Promise<Digest> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  const sha256 = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { name: file.name, size: file.size, sha256 };
}

/** Names with other characters than these are quoted for a shell. */
const quoted = (name: string): string => (/^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);

/** The command for the chosen files: a bundle, and an annex when its name says so. */
export function commandFor(names: readonly string[]): string {
  const annex = names.find((name) => /annex/i.test(name));
  const bundle = names.find((name) => name !== annex) ?? "bundle.zip";
  return `folkmoot-verify ${quoted(bundle)}${annex === undefined ? "" : ` --annex ${quoted(annex)}`}`;
}

export function Files() {
  const digests = useSignal<Digest[]>([]);
  const reading = useAction();
  const input = useId();
  const read = async (files: readonly File[]): Promise<void> => {
    digests.value = [];
    digests.value = await Promise.all(files.map(digestOf));
  };
  const command = commandFor(digests.value.map(({ name }) => name));
  return (
    <main class="main" data-testid="auditor">
      <Title>{t("auditor.title")}</Title>
      <p>{t("auditor.text")}</p>
      <Card title={t("auditor.files")}>
        <div class="field">
          <label for={input}>{t("auditor.choose")}</label>
          <input
            id={input}
            type="file"
            multiple
            accept=".zip"
            data-testid="auditor-files"
            onChange={(event) => {
              const files = [...(event.currentTarget.files ?? [])];
              void reading.run(() => read(files));
            }}
          />
        </div>
        {reading.busy.value && <Loading />}
        <Problem error={reading.error.value} />
        {digests.value.map((digest) => (
          <div key={digest.name} class="stack-tight" data-testid="auditor-digest">
            <p>
              <strong>{digest.name}</strong> <span class="muted">{t("auditor.bytes", { n: number(digest.size) })}</span>
            </p>
            <code class="code-block">{digest.sha256}</code>
          </div>
        ))}
      </Card>
      <Card title={t("audit.verify.title")}>
        <p>{t("audit.verify.text")}</p>
        <code class="code-block" data-testid="verify-command">
          {command}
        </code>
        <div class="actions">
          <Copy text={command} label={t("audit.verify.copy")} />
        </div>
        <p class="muted">{t("audit.verify.offline")}</p>
      </Card>
    </main>
  );
}
