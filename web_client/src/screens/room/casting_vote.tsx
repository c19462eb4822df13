/** The chair decides a tie in public; the decision is signed and stands on the board. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ElectionSummary, Meeting } from "../../api/types.ts";
import type { Tie } from "../../ballot/rules.ts";
import { t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { useAction } from "../../ui/action.ts";
import { Form, Loading, Problem } from "../../ui/parts.tsx";
import { optionText } from "../words.ts";

export function CastingVote({ live, meeting, election }: { live: LiveMeeting; meeting: Meeting; election: ElectionSummary }) {
  const acting = useAction();
  const picked = useSignal<Record<number, readonly number[]>>({});
  const found = useSignal<[number, Tie][] | null>(null);
  const looking = useAction();
  useEffect(
    () =>
      void looking.run(async () => {
        const { tiesOf } = await import("../../state/cosigner.ts");
        found.value = [...(await tiesOf(meeting, election.election))];
      }),
    [election.election],
  );
  // yes-no: in favour or not at all; otherwise as many as there are seats left.
  const tied = (found.value ?? []).flatMap(([at, tie]) => {
    const question = election.questions[at];
    return question ? [{ at, question, options: question.type === "yes-no-abstain" ? [0] : tie.tied, most: tie.room }] : [];
  });
  const work = async (): Promise<void> => {
    const { decideTie } = await import("../../state/cosigner.ts");
    for (const { at } of tied) await decideTie(meeting, election.election, at, [...(picked.value[at] ?? [])].sort((a, b) => a - b));
    await live.refresh();
  };
  const toggle = (at: number, option: number): void => {
    const now = picked.value[at] ?? [];
    picked.value = { ...picked.value, [at]: now.includes(option) ? now.filter((one) => one !== option) : [...now, option] };
  };
  const wrong = tied.some(({ at, most }) => ![0, most].includes(picked.value[at]?.length ?? 0));
  if (found.value === null) return looking.error.value ? <Problem error={looking.error.value} /> : <Loading />;
  return (
    <Form action={acting} work={work} submit={t("casting.button")} testid="casting-save" disabled={wrong}>
      <p>{t("casting.text")}</p>
      {tied.map(({ at, question, options, most }) => (
        <fieldset key={at} class="stack-tight" data-testid={`casting-${at}`}>
          <legend dir="auto">{question.text}</legend>
          <p class="hint">{t("casting.hint", { n: most })}</p>
          {options.map((option) => (
            <label key={option} class="check">
              <input type="checkbox" checked={picked.value[at]?.includes(option) ?? false} data-testid={`casting-option-${option}`} onChange={() => toggle(at, option)} />
              <span dir="auto">{optionText(question.type, question.options[option] ?? "")}</span>
            </label>
          ))}
        </fieldset>
      ))}
    </Form>
  );
}
