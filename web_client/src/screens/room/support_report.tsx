/** A button that copies the support report, or saves it where the browser lets nothing be copied. */
import { useSignal } from "@preact/signals";
import { save } from "../../auditor/saving.ts";
import { t } from "../../i18n/index.ts";
import type { RoomControl } from "../../state/room.ts";
import { Button } from "../../ui/parts.tsx";

export function SupportReport({ media }: { media: RoomControl }) {
  const done = useSignal<"copied" | "saved" | null>(null);
  const hand = async (): Promise<void> => {
    done.value = null;
    const text = await media.support();
    try {
      await navigator.clipboard.writeText(text);
      done.value = "copied";
    } catch {
      // Refused by the browser, or an address without https.
      save(text, "application/json", "folkmoot-support.json");
      done.value = "saved";
    }
  };
  return (
    <>
      <Button kind="quiet" testid="support-report" onClick={() => void hand()}>
        {t("ladder.support")}
      </Button>
      <p role="status" class="small" data-testid="support-done" data-done={done.value ?? ""}>
        {done.value !== null && t(`ladder.support.${done.value}`)}
      </p>
    </>
  );
}
