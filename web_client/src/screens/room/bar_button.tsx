/** A button of the room's bar: a picture with a word under it. */
import type { ButtonHTMLAttributes } from "preact";

const ICONS = {
  mic: "M12 3a3 3 0 0 1 3 3v6a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3M6 11h2v1a4 4 0 0 0 8 0v-1h2v1a6 6 0 0 1-5 5.9V21h-2v-3.1A6 6 0 0 1 6 12z",
  cam: "M4 6h11v4l5-3v10l-5-3v4H4z",
  hand: "M8 11V5a1.5 1.5 0 0 1 3 0v5V4a1.5 1.5 0 0 1 3 0v6V6a1.5 1.5 0 0 1 3 0v9a6 6 0 0 1-6 6c-3 0-4-1-6-4l-2-4a1.4 1.4 0 0 1 2.4-1.3z",
  share: "M3 5h18v12h-7v2h3v2H7v-2h3v-2H3zm9 2-4 4h3v4h2v-4h3z",
  sound: "M4 9h4l5-4v14l-5-4H4zm11 0a4 4 0 0 1 0 6zm0-3a7 7 0 0 1 0 12z",
  leave: "M5 4h9v4h-2V6H7v12h5v-2h2v4H5zm11 4 5 4-5 4v-3h-5v-2h5z",
} as const;

interface BarButtonProps {
  icon: keyof typeof ICONS;
  word: string;
  testid: string;
  pressed?: boolean;
  tone?: "on" | "off" | "alert";
  busy?: boolean;
  disabled?: boolean;
  describedBy?: string;
  /** What else the button hears, where it is held. */
  held?: ButtonHTMLAttributes<HTMLButtonElement>;
  onClick: (event: MouseEvent) => void;
}

/** One button of the room's bar. */
export function BarButton(props: BarButtonProps) {
  return (
    <button
      type="button"
      class={`bar-button bar-${props.tone ?? "plain"} ${props.held ? "bar-held" : ""}`}
      data-testid={props.testid}
      aria-pressed={props.pressed}
      aria-busy={props.busy ?? false}
      aria-describedby={props.describedBy}
      disabled={props.disabled}
      onClick={(event) => {
        if (!props.busy) props.onClick(event);
      }}
      {...props.held}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <path d={ICONS[props.icon]} fill="currentColor" />
        {props.tone === "off" && <path d="M4 4l16 16" stroke="currentColor" stroke-width="2.5" />}
      </svg>
      <span>{props.word}</span>
    </button>
  );
}
