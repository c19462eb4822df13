/** A kiosk: one browser for many voters. Each signs in with the own passkey, votes with a fresh key, and is forgotten. */
import { useCell } from "./cell.ts";
import { Booth, type Where } from "./booth.tsx";
import { t } from "./i18n.ts";
import { Button, Problem, StepTitle } from "./parts.tsx";

export function Kiosk({ where }: { where: Where }) {
  const voter = useCell(0);
  const inside = useCell(false);
  const busy = useCell(false);
  const error = useCell<unknown>(null);
  const enter = async (): Promise<void> => {
    error.value = null;
    busy.value = true;
    try {
      const { signIn } = await import("../screens/passkeys.ts");
      await signIn();
      voter.value += 1;
      inside.value = true;
    } catch (caught) {
      error.value = caught;
    }
    busy.value = false;
  };
  const done = async (): Promise<void> => {
    const { signOut } = await import("../state/session.ts");
    await signOut().catch(() => undefined);
    // Nothing of a voter outlives the page: keys and choices are in memory alone.
    location.reload();
  };
  if (inside.value) return <Booth key={voter.value} where={where} onLeave={() => void done()} />;
  return (
    <main class="booth" data-testid="kiosk">
      <StepTitle>{t("kiosk.title")}</StepTitle>
      <p>{t("kiosk.text")}</p>
      <p class="note note-warn">{t("rule.kiosk")}</p>
      <Problem error={error.value} />
      <div class="actions">
        <Button main testid="kiosk-enter" busy={busy.value} onClick={() => void enter()}>
          {t("kiosk.button")}
        </Button>
      </div>
    </main>
  );
}
