/** A teller's share once the key is made: keep a copy, take it onto another phone, destroy it when its time has come. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Meeting } from "../api/types.ts";
import { codeOf, dayAndTime, t } from "../i18n/index.ts";
import { destroyableFrom, type ShareState } from "../state/share.ts";
import { useAction } from "../ui/action.ts";
import { Button, ConfirmButton, Field, Form, Note, Problem } from "../ui/parts.tsx";

const load = () => import("../state/share.ts");

export function ShareCard({ meeting, onChange }: { meeting: Meeting; onChange: () => void }) {
  const state = useSignal<ShareState | null>(null);
  const acting = useAction();
  const refresh = async (): Promise<void> => {
    state.value = await (await load()).shareState(meeting);
  };
  useEffect(() => void acting.run(refresh), [meeting.key.code, meeting.state]);
  const act = (work: (share: Awaited<ReturnType<typeof load>>) => Promise<unknown>): void =>
    void acting.run(async () => {
      await work(await load());
      await refresh();
      onChange();
    });
  const now = state.value;
  // Known only once the passkey was asked: then the file is the way.
  const noPrf = acting.error.value !== null && codeOf(acting.error.value) === "passkey.no-prf";
  if (now === null) return <Problem error={acting.error.value} />;
  return (
    <section class="card" data-testid="share" data-held={String(now.held)} data-copied={String(now.copied)} data-destroyed={String(now.destroyed)}>
      <h2>{t("share.title")}</h2>
      <Problem error={acting.error.value} />
      {now.destroyed && <Note kind="good">{t("share.destroyed")}</Note>}
      {!now.destroyed && !now.held && (
        <>
          <Note kind="warn">{t("share.missing")}</Note>
          {now.copied && (
            <Button kind="main" testid="share-restore" busy={acting.busy.value} onClick={() => act((share) => share.restoreByPasskey(meeting))}>
              {t("share.restore")}
            </Button>
          )}
          <RestoreByCode meeting={meeting} done={() => act(async () => undefined)} />
        </>
      )}
      {!now.destroyed && now.held && (
        <>
          <p>{now.copied ? t("share.copied") : t("share.text")}</p>
          {!now.copied && !noPrf && (
            <Button testid="share-copy" busy={acting.busy.value} onClick={() => act((share) => share.keepCopy(meeting))}>
              {t("share.copy")}
            </Button>
          )}
          <CodeCopy meeting={meeting} open={noPrf} />
          <Destroy meeting={meeting} busy={acting.busy.value} destroy={() => act((share) => share.destroyShare(meeting))} />
        </>
      )}
    </section>
  );
}

function CodeCopy({ meeting, open }: { meeting: Meeting; open: boolean }) {
  const made = useSignal<{ code: string; url: string } | null>(null);
  const acting = useAction();
  const make = async (): Promise<void> => {
    const { code, file } = await (await load()).codeCopy(meeting);
    made.value = { code, url: URL.createObjectURL(file) };
  };
  return (
    <details open={open} data-testid="share-file-more">
      <summary>{t("share.file.title")}</summary>
      <div class="stack-tight">
        <p class="hint">{t("share.file.text")}</p>
        <Problem error={acting.error.value} />
        {made.value === null ? (
          <Button testid="share-file" busy={acting.busy.value} onClick={() => void acting.run(make)}>
            {t("share.file.button")}
          </Button>
        ) : (
          <>
            <a class="button button-main" href={made.value.url} download={`folkmoot-share-${meeting.id}.json`} data-testid="share-file-link">
              <span class="button-text">{t("share.file.save")}</span>
            </a>
            <p>{t("share.file.code")}</p>
            <output class="code-block big" data-testid="share-code">
              {made.value.code}
            </output>
          </>
        )}
      </div>
    </details>
  );
}

function RestoreByCode({ meeting, done }: { meeting: Meeting; done: () => void }) {
  const acting = useAction();
  const code = useSignal("");
  const text = useSignal("");
  const work = async (): Promise<void> => {
    await (await load()).restoreByCode(meeting, text.value, code.value);
    done();
  };
  return (
    <details>
      <summary>{t("share.restore-file")}</summary>
      <Form action={acting} work={work} submit={t("share.restore")} testid="share-restore-file" kind="plain">
        <label class="field">
          <span>{t("share.file")}</span>
          <input type="file" accept=".json,application/json" data-testid="share-restore-input" onChange={(event) => void event.currentTarget.files?.[0]?.text().then((read) => (text.value = read))} />
        </label>
        <Field label={t("share.code")} value={code.value} onInput={(value) => (code.value = value)} testid="share-restore-code" required maxLength={40} />
      </Form>
    </details>
  );
}

function Destroy({ meeting, busy, destroy }: { meeting: Meeting; busy: boolean; destroy: () => void }) {
  const from = destroyableFrom(meeting);
  if (from === null) return null;
  if (from > Date.now() / 1000) return <p class="muted" data-testid="share-keep">{t("share.keep-until", { time: dayAndTime(from, meeting.time_zone) })}</p>;
  return (
    <ConfirmButton testid="share-destroy" kind="danger" danger busy={busy} title={t("share.destroy")} text={t("share.destroy.text")} yes={t("share.destroy")} onClick={destroy}>
      {t("share.destroy")}
    </ConfirmButton>
  );
}
