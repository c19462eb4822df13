/** Enrolment from a one-time link: says what a passkey is and makes one. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { EnrolBegin } from "../api/types.ts";
import { t } from "../i18n/index.ts";
import { navigate } from "../router.ts";
import { info } from "../state/session.ts";
import { useAction } from "../ui/action.ts";
import { Button, Note, Problem, Title } from "../ui/parts.tsx";
import { enrol, readLink } from "./passkeys.ts";

export function Enrol() {
  const token = useSignal(location.hash.slice(1));
  const begun = useSignal<EnrolBegin | null>(null);
  const done = useSignal(false);
  const reading = useAction();
  const making = useAction();

  const read = async (): Promise<void> => {
    begun.value = await readLink(token.value);
  };
  const first = useRef<Promise<unknown>>(Promise.resolve());
  useEffect(() => {
    if (token.value) first.current = reading.run(read);
    // Another link opened on this same page changes only what follows the #.
    const another = (): void => location.reload();
    addEventListener("hashchange", another);
    return () => removeEventListener("hashchange", another);
  }, []);

  const make = async (): Promise<void> => {
    // A tap before the link is read waits for it.
    await first.current;
    if (reading.error.peek() !== null) return;
    // A nonce is good for one try; a second try asks for a new one.
    const use = begun.value ?? (await readLink(token.value));
    begun.value = null;
    await enrol(token.value, use);
    history.replaceState(null, "", "/enrol");
    done.value = true;
  };
  const name = useSignal("");
  if (begun.value) name.value = begun.value.user.display_name;

  if (done.value) {
    return (
      <div class="hero" data-testid="enrol-done">
        <Title>{t("enrol.done.title")}</Title>
        <Note kind="good">{t("enrol.done.text", { name: name.value })}</Note>
        <div class="actions">
          <Button kind="main" testid="enrol-home" onClick={() => navigate("/", true)}>
            {t("enrol.done.button")}
          </Button>
        </div>
      </div>
    );
  }
  if (!token.value) {
    return (
      <div class="hero">
        <Title>{t("enrol.title")}</Title>
        <Note kind="warn">{t("enrol.no-token")}</Note>
        <a href="/">{t("enrol.have-passkey")}</a>
      </div>
    );
  }
  return (
    <div class="hero">
      <img src="/icon.svg" alt="" />
      <Title>{name.value ? t("enrol.hello", { name: name.value }) : t("enrol.title")}</Title>
      <p>{t("enrol.organisation", { organisation: info.value?.organisation.name ?? "Folkmoot" })}</p>
      <div class="card">
        <h2>{t("enrol.what.title")}</h2>
        <p>{t("enrol.what.text")}</p>
      </div>
      <Problem error={reading.error.value ?? making.error.value} />
      {reading.error.value === null && (
        <div class="actions actions-bottom">
          <Button kind="main" testid="enrol-button" busy={making.busy.value} onClick={() => void making.run(make)}>
            {t("enrol.button")}
          </Button>
        </div>
      )}
      <p class="muted small">{t("enrol.once")}</p>
    </div>
  );
}
