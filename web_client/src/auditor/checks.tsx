/** Every check as a line: mark, number, what it means, and the verifier's own words where it has any. */
import { CHECK_IDS, type Check, type CheckId } from "../verifier/report.ts";
import { t } from "./i18n.ts";

type Mark = { sign: string; words: "passed" | "failed" | "open" | "running" | null };

function markOf(check: Check | undefined, running: boolean): Mark {
  if (check === undefined) return running ? { sign: "…", words: "running" } : { sign: "", words: null };
  if (check.ok === null) return { sign: "–", words: "open" };
  return check.ok ? { sign: "✓", words: "passed" } : { sign: "✗", words: "failed" };
}

/** Why a check was not run, in the reader's language; what failed, in the verifier's own words. */
function Detail({ check }: { check: Check }) {
  if (check.detail === undefined) return null;
  const voided = /^not checked: (V\d\d) failed$/.exec(check.detail)?.[1];
  if (voided !== undefined) return <span class="hint">{t("auditor.open.voided", { id: voided })}</span>;
  if (check.detail === "not checked: no annex given") return <span class="hint">{t("auditor.open.annex")}</span>;
  if (check.detail.startsWith("not applicable: ")) return <span class="hint">{t("auditor.open.attendance")}</span>;
  return (
    <span class="hint" lang="en">
      {check.detail}
    </span>
  );
}

function Line({ id, check, running }: { id: CheckId; check: Check | undefined; running: boolean }) {
  const { sign, words } = markOf(check, running);
  return (
    <li data-testid={`check-${id}`} data-ok={check === undefined ? "later" : String(check.ok)}>
      <span class="auditor-mark" aria-hidden="true">
        {sign}
      </span>
      <span class="mono">{id}</span>
      <span>
        {words !== null && <span class="visually-hidden">{t(`auditor.mark.${words}`)}: </span>}
        {t(`check.${id}`)}
        {check && <Detail check={check} />}
      </span>
    </li>
  );
}

/** All checks; `bare` without a heading of its own. */
export function CheckTable({ checks, running, bare = false }: { checks: readonly Check[]; running?: CheckId | undefined; bare?: boolean }) {
  const byId = new Map(checks.map((check) => [check.id, check]));
  const list = (
    <ol class="auditor-checks" data-testid="auditor-checks">
      {CHECK_IDS.map((id) => (
        <Line key={id} id={id} check={byId.get(id)} running={id === running} />
      ))}
    </ol>
  );
  if (bare) return list;
  return (
    <section class="card">
      <h2>{t("auditor.checks")}</h2>
      {list}
    </section>
  );
}
