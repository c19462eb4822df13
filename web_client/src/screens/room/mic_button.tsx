/** The microphone's button: pressed once to open and once to close, or in a hall held while somebody speaks. */
import { useEffect, useId } from "preact/hooks";
import { api } from "../../api/fetch.ts";
import type { Meeting } from "../../api/types.ts";
import { t } from "../../i18n/index.ts";
import type { RoomControl } from "../../state/room.ts";
import type { Action } from "../../ui/action.ts";
import { announce } from "../../ui/announce.ts";
import { BarButton } from "./bar_button.tsx";
import { holdOf, staysOpen } from "./hold.ts";

interface MicProps {
  meeting: Meeting;
  media: RoomControl | null;
  on: boolean;
  muted: boolean;
  acting: Action;
  /** This page is the hall's own seat. */
  hall: boolean;
  silent?: boolean;
}

/** Also shown beside the booth, where the bar itself is covered. */
export function MicButton(props: MicProps) {
  const { media, silent = false } = props;
  const off = !media || media.textOnly.value || silent;
  if (media && props.hall && !staysOpen.value && !props.muted) return <HeldButton media={media} off={off} />;
  return <PressedButton {...props} off={off} />;
}

function PressedButton({ meeting, media, on, muted, acting, off }: MicProps & { off: boolean }) {
  // The chair's mute is a wish of the moment: whoever is muted may speak again by pressing the button.
  const unmute = (): void =>
    void acting.run(async () => {
      await api.command(meeting.id, { command: "unmute", member: meeting.me.member });
      if (media?.microphone.peek() !== "on") await media?.send("microphone");
    });
  return (
    <BarButton
      icon="mic"
      testid="mic-toggle"
      word={t(on ? "bar.mic-on" : muted ? "bar.unmute" : "bar.mic-off")}
      tone={on ? "on" : "off"}
      pressed={on}
      busy={media?.microphone.value === "starting" || (muted && acting.busy.value)}
      disabled={off}
      onClick={() => (muted ? unmute() : void media?.toggle("microphone"))}
    />
  );
}

const HOLDING = new Set([" ", "Enter"]);

/** Neither a menu nor a marked word may come of a long press. */
function HeldButton({ media, off }: { media: RoomControl; off: boolean }) {
  const hint = useId();
  const hold = holdOf(media);
  useEffect(() => hold.guard(), [hold]);
  useEffect(() => {
    if (off) hold.release();
  }, [hold, off]);
  const open = media.microphone.value === "on" && hold.held.value;
  const word = open ? "bar.hold-open" : hold.held.value ? "bar.hold-wait" : "bar.hold";
  return (
    <>
      <BarButton
        icon="mic"
        testid="mic-toggle"
        word={t(word)}
        tone={open ? "on" : "off"}
        pressed={open}
        disabled={off}
        describedBy={hint}
        // A click without anything that is held comes from a reading aid, which cannot hold.
        onClick={(event) => {
          if (event.detail === 0) announce(t("bar.hold-hint"));
        }}
        held={{
          onPointerDown: (event) => {
            if (event.button !== 0 || !event.isPrimary) return;
            event.currentTarget.setPointerCapture(event.pointerId);
            hold.press();
          },
          onPointerUp: () => hold.release(),
          onPointerCancel: () => hold.release(),
          onLostPointerCapture: () => hold.release(),
          onContextMenu: (event) => event.preventDefault(),
          onKeyDown: (event) => {
            if (!HOLDING.has(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
            event.preventDefault();
            if (!event.repeat) hold.press();
          },
          onKeyUp: (event) => {
            if (!HOLDING.has(event.key)) return;
            event.preventDefault();
            hold.release();
          },
          onBlur: () => hold.release(),
        }}
      />
      <span id={hint} class="visually-hidden">
        {t("bar.hold-hint")}
      </span>
      <span class="visually-hidden" role="status" data-testid="mic-word" data-open={String(open)}>
        {t(open ? "bar.hold-heard" : "bar.hold-silent")}
      </span>
    </>
  );
}
