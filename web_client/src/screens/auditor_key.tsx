/** The auditor's own key: the annex leaves the server only encrypted to it. The secret half is a file in the auditor's hands. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import { day, t } from "../i18n/index.ts";
import { signAction } from "../state/sign.ts";
import { useAction } from "../ui/action.ts";
import { Button, ConfirmButton, Field, Form, Note, Problem } from "../ui/parts.tsx";

interface Key {
  recipient: string;
  at: number;
}

export function AuditorKey() {
  const known = useSignal<Key | null | undefined>(undefined);
  const made = useSignal("");
  const recipient = useSignal("");
  const acting = useAction();
  const reload = async (): Promise<void> => {
    known.value = await api.auditorKey();
  };
  useEffect(() => void acting.run(reload), []);
  const register = async (key: string): Promise<void> => {
    const action = { type: "set-auditor-key", recipient: key };
    await api.setAuditorKey(key, action, await signAction(action));
    await reload();
  };
  const make = async (): Promise<void> => {
    const age = await import("age-encryption");
    const identity = await age.generateX25519Identity();
    // Saved before it is registered: a key whose secret half is nowhere would lock the annex for ever.
    made.value = URL.createObjectURL(new Blob([`# Folkmoot auditor key\n${identity}\n`], { type: "text/plain" }));
    recipient.value = await age.identityToRecipient(identity);
  };
  return (
    <div class="stack-tight" data-testid="auditor-key" data-state={known.value ? "known" : "none"}>
      <Problem error={acting.error.value} />
      {known.value && (
        <>
          <p>{t("auditor-key.known", { day: day(known.value.at) })}</p>
          <code class="code-block small">{known.value.recipient}</code>
        </>
      )}
      {known.value === null && <Note kind="warn">{t("auditor-key.none")}</Note>}
      {made.value === "" ? (
        <>
          {known.value ? (
            <ConfirmButton testid="auditor-key-make" busy={acting.busy.value} title={t("auditor-key.again")} text={t("auditor-key.again.text")} yes={t("auditor-key.again")} onClick={() => void acting.run(make)}>
              {t("auditor-key.again")}
            </ConfirmButton>
          ) : (
            <Button kind="main" testid="auditor-key-make" busy={acting.busy.value} onClick={() => void acting.run(make)}>
              {t("auditor-key.make")}
            </Button>
          )}
          <details>
            <summary>{t("auditor-key.own")}</summary>
            <Form action={acting} work={() => register(recipient.value.trim())} submit={t("auditor-key.register")} testid="auditor-key-register" kind="plain">
              <Field label={t("auditor-key.recipient")} value={recipient.value} onInput={(value) => (recipient.value = value)} testid="auditor-key-recipient" required maxLength={80} />
            </Form>
          </details>
        </>
      ) : (
        <>
          <p>{t("auditor-key.save-first")}</p>
          <a class="button button-main" href={made.value} download="auditor-key.txt" data-testid="auditor-key-file">
            <span class="button-text">{t("auditor-key.save")}</span>
          </a>
          <Button testid="auditor-key-use" busy={acting.busy.value} onClick={() => void acting.run(async () => register(recipient.value).then(() => void (made.value = "")))}>
            {t("auditor-key.saved")}
          </Button>
        </>
      )}
    </div>
  );
}
