/** The member's switch: five named steps, before joining and live. */
import { useId, useRef } from "preact/hooks";
import { say, t } from "../../i18n/index.ts";
import { EVERYTHING, firstLook, STEP_KBIT, STEPS, type Step } from "../../media/profiles.ts";
import { ceiling, chooseCeiling } from "../../state/link.ts";
import "./link_card.css";

/** Five named steps, each with what it needs of the link; `onStep` takes the choice. */
export function LinkSwitch({ onStep }: { onStep: (step: Step) => void }) {
  const id = useId();
  return (
    <fieldset class="steps" data-testid="link-switch" data-step={ceiling.value}>
      <legend>{t("ladder.switch")}</legend>
      {[...STEPS].reverse().map((step) => (
        <div key={step} class="step">
          <input id={`${id}-${step}`} type="radio" name={id} value={step} checked={ceiling.value === step} data-testid={`link-step-${step}`} onChange={() => onStep(step)} />
          <label for={`${id}-${step}`}>
            {say(`ladder.step.${step}`)}
            <span class="hint">{t("ladder.needs", { kbit: STEP_KBIT[step] })}</span>
          </label>
        </div>
      ))}
    </fieldset>
  );
}

/** The same switch before joining, with what the device itself says of its connection; folded while all is well. */
export function LinkChoice() {
  const hint = suggested();
  const weak = hint !== null && ceiling.value > hint;
  // Closed by hand it stays closed, whatever is chosen.
  const open = useRef(weak || ceiling.peek() < EVERYTHING);
  return (
    <section class="card" data-testid="link-choice">
      <details open={open.current}>
        <summary data-testid="link-choice-open">{t("ladder.chosen", { step: say(`ladder.step.${ceiling.value}`) })}</summary>
        <div class="stack-tight">
          {weak && <p data-testid="link-hint">{t("ladder.suggest", { step: say(`ladder.step.${hint}`) })}</p>}
          <LinkSwitch onStep={chooseCeiling} />
        </div>
      </details>
    </section>
  );
}

/** The step that fits what the device says of its connection, or null when it says nothing or all is well. */
function suggested(): Step | null {
  if ((navigator as { connection?: { saveData?: boolean } }).connection?.saveData === true) return 1;
  const kbit = firstLook()?.kbps ?? Infinity;
  const fitting = STEPS.filter((step) => step > 0 && STEP_KBIT[step] <= kbit).at(-1) ?? 1;
  return fitting < 4 ? fitting : null;
}
