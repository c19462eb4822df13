/** Whose turn it is and how long they have spoken, large enough to be read across a hall. */
import type { Meeting } from "../../api/types.ts";
import type { Turn } from "../../api/types_floor.ts";
import { say, t } from "../../i18n/index.ts";
import { spokenAt } from "../../state/speaking.ts";
import { Arrow } from "../../ui/parts.tsx";
import { useServerTime } from "../../ui/server_time.ts";
import "./speakers.css";

/** Minutes and seconds as a clock shows them. */
export function asClock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

const WARN_S = 15;

/** How a turn stands against its limit: it is shown, never cut. */
export function standing(turn: Turn, spoken: number): "free" | "in-time" | "soon" | "over" {
  if (turn.limit_s === 0) return "free";
  if (spoken > turn.limit_s) return "over";
  return turn.limit_s - spoken <= WARN_S ? "soon" : "in-time";
}

/** "2:10 of 3:00", and in words what that means; a picture of it beside. */
export function TurnClock({ turn, large }: { turn: Turn; large?: boolean }) {
  const now = useServerTime();
  const spoken = spokenAt(turn, now.value);
  const how = standing(turn, spoken);
  const share = turn.limit_s ? Math.min(1, spoken / turn.limit_s) : 0;
  return (
    <div class={`turn-clock turn-${how} ${large ? "turn-large" : ""}`} data-testid="turn-clock" data-spoken={spoken} data-limit={turn.limit_s} data-standing={how}>
      <span class="turn-time" role="timer" aria-live="off">
        {turn.limit_s ? t("speak.clock", { spoken: asClock(spoken), limit: asClock(turn.limit_s) }) : asClock(spoken)}
      </span>
      {turn.limit_s > 0 && (
        <span class="turn-bar" aria-hidden="true">
          <span style={{ inlineSize: `${share * 100}%` }} />
        </span>
      )}
      <span class="small">{turn.state === "paused" ? t("speak.paused") : t(`speak.standing.${how}`, { over: asClock(spoken - turn.limit_s), left: asClock(turn.limit_s - spoken) })}</span>
    </div>
  );
}

/** The turn on the floor, for everybody and for the hall's screen. */
export function SpeakerTimer({ meeting }: { meeting: Meeting }) {
  const { now } = meeting.speaking;
  if (!now) return null;
  return (
    <section class="speaker-timer" data-testid="speaker-timer" data-turn={now.turn} aria-label={t("speak.now")}>
      <p class="speaker-name">
        <Arrow>▶</Arrow> <span class="strong">{now.name}</span> <span class="badge">{kindText(now)}</span>
      </p>
      <TurnClock turn={now} large />
    </section>
  );
}

/** What somebody speaks for, in words. */
export const kindText = (turn: Pick<Turn, "kind" | "category">): string =>
  turn.kind === "point-of-order" && turn.category > 0 ? t("speak.order", { n: turn.category }) : say(`speak.kind.${turn.kind}`);
