/** My receipts: what was cast from this device, and where it is. The choice is never kept. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../i18n/index.ts";
import type { CastRecord } from "../identity/keystore.ts";
import { checkBallot, whereabouts } from "../state/board.ts";
import { keystore } from "../state/keys.ts";
import { useAction } from "../ui/action.ts";
import { Button, Copy, Loading, Note, Problem, Title } from "../ui/parts.tsx";

export function Receipts() {
  const records = useSignal<CastRecord[] | null>(null);
  const loading = useAction();
  useEffect(
    () =>
      void loading.run(async () => {
        records.value = await (await keystore()).castBallots();
      }),
    [],
  );
  return (
    <div class="stack">
      <Title>{t("receipts.title")}</Title>
      <p>{t("receipts.text")}</p>
      <Problem error={loading.error.value} />
      {loading.busy.value && <Loading />}
      {records.value?.length === 0 && (
        <div class="card">
          <p>{t("receipts.empty")}</p>
        </div>
      )}
      {records.value?.map((record) => (
        <Receipt key={record.manifest} record={record} />
      ))}
      {(records.value?.length ?? 0) > 0 && (
        <div class="actions">
          <Button testid="receipts-print" onClick={() => print()}>
            {t("receipts.print")}
          </Button>
        </div>
      )}
    </div>
  );
}

function Receipt({ record }: { record: CastRecord }) {
  const now = useSignal(record);
  const checking = useAction();
  const state = whereabouts(now.value);
  const check = async (): Promise<void> => {
    now.value = await checkBallot(now.value);
  };
  return (
    <section class="card" data-testid="receipt" data-election={record.election} data-state={state}>
      <h2>{record.title}</h2>
      <p>{t("receipts.code")}</p>
      <output class="code-block" data-testid="receipt-tracker">
        {record.tracker}
      </output>
      <Note kind={state === "in-the-box" ? "good" : "info"}>{t(`receipts.state.${state}`)}</Note>
      <Problem error={checking.error.value} />
      <div class="actions">
        <Button testid="receipt-check" busy={checking.busy.value} onClick={() => void checking.run(check)}>
          {t("counted.check")}
        </Button>
        <Copy text={now.value.tracker} label={t("receipts.copy")} testid="receipt-copy" />
        <a href={`/meetings/${record.meeting}`}>{t("receipts.meeting")}</a>
      </div>
    </section>
  );
}
