/** The member's own passkeys: which there are, how they came, adding and removing one. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { MyPasskey } from "../api/types.ts";
import { day, say, t } from "../i18n/index.ts";
import { signAction } from "../state/sign.ts";
import { useAction } from "../ui/action.ts";
import { Button, Card, ConfirmButton, Loading, Note, Problem, Title } from "../ui/parts.tsx";

export function MyPasskeysScreen() {
  const keys = useSignal<MyPasskey[] | null>(null);
  const acting = useAction();
  const reload = async (): Promise<void> => {
    keys.value = (await api.myPasskeys()).passkeys;
  };
  useEffect(() => void acting.run(reload), []);
  const remove = async (passkey: string): Promise<void> => {
    const action = { type: "remove-passkey", passkey };
    await api.removePasskey(passkey, action, await signAction(action));
    await reload();
  };
  const add = async (): Promise<void> => {
    const { addPasskey } = await import("./passkeys.ts");
    await addPasskey();
    await reload();
  };
  return (
    <div class="stack">
      <Title>{t("passkeys.title")}</Title>
      <p>{t("passkeys.text")}</p>
      <Problem error={acting.error.value} />
      {keys.value === null && acting.busy.value && <Loading />}
      {keys.value !== null && (
        <Card title={t("passkeys.list")}>
          <ul class="list">
            {keys.value.map((key) => (
              <li key={key.id} class="row-between" data-testid="passkey" data-passkey={key.id} data-in-roll={String(key.in_roll)}>
                <span>
                  <span class="mono">{key.id.slice(0, 12)}…</span>
                  <span class="hint">
                    {t("passkeys.line", { method: say(`passkey-method.${key.method}`), day: day(key.added_at) })} {t(key.in_roll ? "passkeys.in-roll" : "passkeys.not-in-roll")}
                  </span>
                </span>
                {(keys.value?.length ?? 0) > 1 && (
                  <ConfirmButton testid={`passkey-remove-${key.id}`} kind="danger" danger title={t("passkeys.remove")} text={t("passkeys.remove.text")} yes={t("passkeys.remove")} onClick={() => void acting.run(() => remove(key.id))}>
                    {t("passkeys.remove")}
                  </ConfirmButton>
                )}
              </li>
            ))}
          </ul>
          <Note>{t("passkeys.foreign")}</Note>
          <div class="actions">
            <Button testid="passkey-add" busy={acting.busy.value} onClick={() => void acting.run(add)}>
              {t("passkeys.add")}
            </Button>
          </div>
        </Card>
      )}
    </div>
  );
}
