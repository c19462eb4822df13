/** The test of the sealing on the voter's device: the vote is void from here on; a second device opens it. */
import { useCell } from "./cell.ts";
import { useEffect } from "preact/hooks";
import { votes as api } from "../api/votes.ts";
import { BoothVote } from "../ballot/booth.ts";
import type { Audit as Given } from "../ballot/voter.ts";
import type { BoothState } from "./booth.tsx";
import { Qr } from "../ui/qr.tsx";
import { t } from "./i18n.ts";
import { Button, Problem, StepTitle } from "./parts.tsx";

export function Audit({ vote, where, step, error }: BoothState) {
  const given = useCell<Given | null>(null);
  const recorded = useCell(false);
  const copied = useCell(false);
  const start = async (): Promise<void> => {
    error.value = null;
    try {
      if (!(vote instanceof BoothVote) || where === null || where === "practice") return;
      given.value ??= await vote.audit();
      await api.voidSealed(where.meeting, where.election, given.value.entry);
      // The opening is shown only when the server has taken the void: an opened vote must not be castable.
      recorded.value = true;
    } catch (caught) {
      error.value = caught;
    }
  };
  useEffect(() => void start(), []);
  const address = given.value && recorded.value ? `${location.origin}/booth.html${given.value.fragment}` : "";
  return (
    <div class="stack">
      <StepTitle>{t("audit.title")}</StepTitle>
      <Problem error={error.value} />
      {error.value !== null && !recorded.value && (
        <Button main testid="booth-audit-again" onClick={() => void start()}>
          {t("try-again")}
        </Button>
      )}
      {address !== "" && given.value && (
        <>
          <p>{t("audit.code")}</p>
          <output class="code-block big" data-testid="seal-code">
            {given.value.code}
          </output>
          <p>{t("audit.scan")}</p>
          <Qr text={address} label={t("audit.qr")} testid="audit-qr" />
          <details>
            <summary>{t("audit.link")}</summary>
            <code class="code-block" data-testid="audit-address">
              {address}
            </code>
            <Button testid="audit-copy" onClick={() => void navigator.clipboard.writeText(address).then(() => (copied.value = true))}>
              {t("audit.copy")}
            </Button>
            {copied.value && <p role="status">{t("audit.copied")}</p>}
          </details>
        </>
      )}
      <div class="actions booth-actions">
        <Button main testid="booth-audit-next" onClick={() => (step.value = "choose")}>
          {t("audit.next")}
        </Button>
      </div>
    </div>
  );
}

