/** What an amendment changes: paragraphs, and in them the words. Not by colour alone. */
import type { DiffLine, DiffOp } from "../../api/types_floor.ts";
import { t } from "../../i18n/index.ts";

/** How many unchanged paragraphs stay visible around a change. */
const AROUND = 1;

export function Diff({ lines }: { lines: readonly DiffLine[] }) {
  const near = lines.map((_, at) => lines.slice(Math.max(0, at - AROUND), at + AROUND + 1).some((line) => line.op !== "keep"));
  return (
    <div class="diff" data-testid="diff">
      <p class="muted small">
        <del>{t("motion.diff.gone")}</del> · <ins>{t("motion.diff.come")}</ins>
      </p>
      {lines.map((line, at) => (near[at] ? <Line key={at} line={line} /> : near[at - 1] || at === 0 ? <p key={at} class="muted" aria-label={t("motion.diff.same")}>…</p> : null))}
    </div>
  );
}

function Line({ line }: { line: DiffLine }) {
  return (
    <div class={`diff-line diff-${line.op}`} data-testid="diff-line" data-op={line.op}>
      <span class="diff-number muted small" aria-hidden="true">
        {line.paragraph + 1}
      </span>
      <p>{line.op === "change" ? line.words.map((run, at) => <Run key={at} op={run.op} text={run.text} />) : <Run op={line.op} text={line.text} />}</p>
    </div>
  );
}

function Run({ op, text }: { op: DiffOp; text: string }) {
  if (op === "keep") return <>{text}</>;
  const Mark = op === "delete" ? "del" : "ins";
  return (
    <Mark>
      <span class="visually-hidden">{t(op === "delete" ? "motion.diff.begin-gone" : "motion.diff.begin-come")} </span>
      {text}
      <span class="visually-hidden"> {t("motion.diff.end")}</span>
    </Mark>
  );
}

/** A text by its numbered paragraphs. */
export function Paragraphs({ text }: { text: string }) {
  const lines = text === "" ? [] : text.split("\n\n");
  return (
    <ol class="paragraphs" data-testid="motion-text">
      {lines.map((line, at) => (
        <li key={at}>
          <p>{line}</p>
        </li>
      ))}
    </ol>
  );
}
