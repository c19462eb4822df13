/** A kiosk: one browser for many voters. Each signs in with the own passkey, votes with a fresh key, and is forgotten. */
import { useEffect } from "preact/hooks";
import { ApiError } from "../api/call.ts";
import { useCell } from "./cell.ts";
import { Booth } from "./booth.tsx";
import type { Place } from "./cast.ts";
import { t } from "./i18n.ts";
import { whenIdle } from "./idle.ts";
import { Button, Problem, StepTitle } from "./parts.tsx";

const RETRY_MS = 2_000;
/** Runs the work once when nobody has touched the page for a while. */
function useIdle(on: boolean, work: () => void): void {
  useEffect(() => (on ? whenIdle(globalThis, work) : undefined), [on]);
}

/** How a voter comes in and is forgotten: with a session of the browser, or beside that of the hall's custodian. */
interface Door {
  enter(): Promise<void>;
  leave(): Promise<void>;
}

const DOOR: Door = {
  enter: async () => (await import("../screens/passkeys.ts")).signIn(),
  leave: async () => (await import("../state/session.ts")).signOut(),
};

const hallDoor = ({ meeting, site }: { meeting: string; site: string }): Door => ({
  enter: async () => (await import("../state/kiosk_sign_in.ts")).signInAtKiosk(meeting, site),
  leave: async () => (await import("../state/kiosk_sign_in.ts")).signOutAtKiosk(meeting, site),
});

export function Kiosk({ where }: { where: Place }) {
  const voter = useCell(0);
  const inside = useCell(false);
  const busy = useCell(false);
  const leaving = useCell(false);
  const error = useCell<unknown>(null);
  const door = where.site === "" ? DOOR : hallDoor(where);
  // A page that was loaded anew may have left somebody signed in; in a hall nobody is without the token in memory.
  useEffect(() => {
    if (where.site === "") void DOOR.leave().catch(() => undefined);
  }, []);
  const enter = async (): Promise<void> => {
    error.value = null;
    busy.value = true;
    try {
      await door.enter();
      voter.value += 1;
      inside.value = true;
    } catch (caught) {
      error.value = caught;
    }
    busy.value = false;
  };
  const done = async (): Promise<void> => {
    // The next person must not find a session: until the server has ended it the page shows nothing else.
    for (;;) {
      leaving.value = true;
      try {
        await door.leave();
        break;
      } catch (caught) {
        if (caught instanceof ApiError && caught.status === 401) break; // there is no session any more
        error.value = caught;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    // Nothing of a voter outlives the page: keys and choices are in memory alone.
    location.reload();
  };
  useIdle(inside.value && !leaving.value, () => void done());
  if (leaving.value) {
    return (
      <main class="booth" data-testid="kiosk-leaving">
        <StepTitle>{t("kiosk.leaving")}</StepTitle>
        <Problem error={error.value} />
      </main>
    );
  }
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
