/** The kiosk's booth over the hall's page, so that the hall stays connected while members vote one after another. */
import { useEffect, useRef } from "preact/hooks";
import { t } from "../../i18n/index.ts";
import { Button } from "../../ui/parts.tsx";
import "../../ui/booth_dialog.css";

export function KioskFrame({ address, onClose }: { address: string; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="booth-dialog" data-testid="kiosk-dialog" aria-label={t("hall.kiosk")} onClose={onClose}>
      <div class="booth-head">
        <span class="grow booth-hint">{t("hall.kiosk.frame")}</span>
        <Button testid="kiosk-close" onClick={() => dialog.current?.close()}>
          {t("hall.kiosk.close")}
        </Button>
      </div>
      <iframe class="booth-frame" data-testid="booth-frame" title={t("hall.kiosk")} src={`/booth.html#kiosk/${address}`} allow="publickey-credentials-get 'self'" />
    </dialog>
  );
}
