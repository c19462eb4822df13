/** The second officer: new passkeys are in no roll until somebody else than the maker of the link has confirmed them. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api } from "../api/fetch.ts";
import type { UnconfirmedPasskey } from "../api/types.ts";
import { day, say, t, tn } from "../i18n/index.ts";
import { signAction } from "../state/sign.ts";
import { useAction } from "../ui/action.ts";
import { lookAgain } from "../ui/look_again.ts";
import { Button, Note, Problem } from "../ui/parts.tsx";

const AGAIN_MS = 10_000;

/** `onChange` is told when others wait than before, whoever has confirmed them. */
export function ConfirmPasskeys({ unit, onChange }: { unit: string; onChange?: () => void }) {
  const waiting = useSignal<UnconfirmedPasskey[]>([]);
  const left = useSignal<ReadonlySet<string>>(new Set());
  const loading = useAction();
  const confirming = useAction();
  const told = useRef(onChange);
  told.current = onChange;
  const reload = async (first = false): Promise<void> => {
    const now = (await api.unconfirmed(unit)).passkeys;
    const before = new Set(waiting.peek().map((one) => one.passkey));
    loading.error.value = null;
    waiting.value = now;
    const same = now.length === before.size && now.every((one) => before.has(one.passkey));
    if (!same && !first) told.current?.();
  };
  // No event tells of it: another officer, on another device, may confirm the same passkeys.
  useEffect(() => {
    void loading.run(() => reload(true));
    return lookAgain(AGAIN_MS, () => void reload().catch(() => undefined));
  }, [unit]);
  if (waiting.value.length === 0) return <Problem error={loading.error.value} />;
  // Nobody confirms the own passkey or the one whose link was theirs.
  const mine = (one: UnconfirmedPasskey): boolean => !one.can_confirm;
  const possible = waiting.value.filter((one) => !mine(one));
  const chosen = possible.filter((one) => !left.value.has(one.passkey)).map((one) => one.passkey);
  const confirm = async (): Promise<void> => {
    const action = { type: "confirm-passkeys", passkeys: chosen };
    try {
      await api.confirmPasskeys(chosen, action, await signAction(action));
    } catch (error) {
      await reload().catch(() => undefined); // perhaps somebody else was faster
      throw error;
    }
    await reload();
  };
  const turn = (passkey: string): void => {
    const next = new Set(left.value);
    if (!next.delete(passkey)) next.add(passkey);
    left.value = next;
  };
  return (
    <section class="stack-tight" data-testid="unconfirmed" data-count={waiting.value.length}>
      <h3>{tn("confirm.title", waiting.value.length)}</h3>
      <p class="hint">{t("confirm.text")}</p>
      <details open={waiting.value.length <= 12}>
        <summary>{t("confirm.who")}</summary>
        <ul class="list">
          {waiting.value.map((one) => (
            <li key={one.passkey}>
              <label class="check">
                <input type="checkbox" disabled={mine(one)} checked={!mine(one) && !left.value.has(one.passkey)} onChange={() => turn(one.passkey)} data-testid={`confirm-${one.member}`} />
                <span>{one.name}</span>
              </label>
              <p class="hint">
                {t("confirm.line", { method: say(`passkey-method.${one.method}`), officer: one.made_by, day: day(one.at) })} {mine(one) && t("confirm.not-you")}
              </p>
            </li>
          ))}
        </ul>
      </details>
      <Problem error={confirming.error.value} />
      {possible.length === 0 ? (
        <Note>{t("confirm.others")}</Note>
      ) : (
        <Button kind="main" testid="confirm-passkeys" disabled={chosen.length === 0} busy={confirming.busy.value} onClick={() => void confirming.run(confirm)}>
          {tn("confirm.button", chosen.length)}
        </Button>
      )}
    </section>
  );
}
