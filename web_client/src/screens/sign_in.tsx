/** Sign-in: one button, no user name. The passkey code is loaded while the person reads. */
import { useEffect } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { navigate, route } from "../router.ts";
import { info } from "../state/session.ts";
import { useAction } from "../ui/action.ts";
import { Button, Note, Problem, Title } from "../ui/parts.tsx";

const loadPasskeys = () => import("./passkeys.ts");

export function SignIn() {
  const signing = useAction();
  useEffect(() => void loadPasskeys().catch(() => undefined), []);

  const start = async (): Promise<void> => {
    const { signIn } = await loadPasskeys();
    await signIn();
    if (route.peek().name === "signIn") navigate("/", true);
  };
  return (
    <div class="hero">
      <img src="/icon.svg" alt="" />
      <Title>{t("sign-in.title", { organisation: info.value?.organisation.name ?? "Folkmoot" })}</Title>
      <p>{t("sign-in.text")}</p>
      <Problem error={signing.error.value} />
      <div class="actions">
        <Button kind="main" testid="sign-in-button" busy={signing.busy.value} onClick={() => void signing.run(start)}>
          {t("sign-in.button")}
        </Button>
      </div>
      {signing.error.value !== null && (
        <div class="card">
          <h2>{t("sign-in.try")}</h2>
          <ol class="steps">
            <li>{t("sign-in.try-device")}</li>
            <li>{t("sign-in.try-lock")}</li>
            <li>{t("sign-in.try-secretary")}</li>
          </ol>
        </div>
      )}
      {info.value?.demo && <Note>{t("sign-in.demo")}</Note>}
    </div>
  );
}
