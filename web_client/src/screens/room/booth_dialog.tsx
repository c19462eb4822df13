/**
 * The booth inside the room: `booth.html` in a frame over the whole screen.
 *
 * A frame and not a page of its own, because leaving the room's page would end its sound, and a new tab is easily lost
 * on a phone. The frame keeps its own document, its own strict content policy and its own small code; it has no media
 * code and shares nothing with the room but this device's keystore. The microphone button stays in reach above it.
 * The booth also works alone at its address, with a link back.
 */
import { useEffect, useRef } from "preact/hooks";
import { t } from "../../i18n/index.ts";
import type { Meeting } from "../../api/types.ts";
import type { RoomControl } from "../../state/room.ts";
import { useAction } from "../../ui/action.ts";
import { Button } from "../../ui/parts.tsx";
import { MicButton } from "./mic_button.tsx";
import { isMuted } from "./muted.ts";
import "../../ui/booth_dialog.css";

export function BoothDialog({ meeting, address, media, hall, onClose }: { meeting: Meeting; address: string; media: RoomControl | null; hall: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    const back = (event: MessageEvent<unknown>): void => {
      if (event.origin === location.origin && event.data === "booth-close") dialog.current?.close();
    };
    addEventListener("message", back);
    return () => removeEventListener("message", back);
  }, []);
  // The dialog does not hear keys pressed inside the frame. Nothing that was sent is lost by leaving.
  const listen = (frame: HTMLIFrameElement): void =>
    frame.contentWindow?.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") dialog.current?.close();
    });
  const acting = useAction();
  const muted = isMuted(meeting, hall, media?.mutedByChair.value === true);
  const on = media?.microphone.value === "on" && !muted;
  return (
    <dialog ref={dialog} class="booth-dialog" data-testid="booth-dialog" aria-label={t("booth.label")} onClose={onClose}>
      <div class="booth-head">
        {media && <MicButton meeting={meeting} media={media} on={on} muted={muted} acting={acting} hall={hall} />}
        <span class="grow booth-hint">{t("booth.room-goes-on")}</span>
        <Button testid="booth-close" label={t("booth.back-long")} onClick={() => dialog.current?.close()}>
          {t("booth.back")}
        </Button>
      </div>
      <iframe class="booth-frame" data-testid="booth-frame" title={t("booth.label")} src={`/booth.html#${address}`} onLoad={(event) => listen(event.currentTarget)} />
    </dialog>
  );
}
