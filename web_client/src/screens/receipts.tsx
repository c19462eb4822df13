/** My receipts: what was cast from this device, and where it is. The choice is never kept. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../i18n/index.ts";
import type { JsonObject } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import type { CastRecord } from "../identity/keystore.ts";
import { type Whereabouts, checkBallot, whereabouts } from "../state/board.ts";
import { cutSince } from "../state/cut.ts";
import { keystore } from "../state/keys.ts";
import { useAction } from "../ui/action.ts";
import { Button, Copy, LinkButton, Loading, Note, Problem, Title } from "../ui/parts.tsx";

/** `disputed`: what the server shows does not hold. */
type Shown = Whereabouts | "disputed";

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

const TONES: Record<Shown, "good" | "info" | "warn"> = { sending: "info", queued: "info", pending: "info", "on-the-board": "info", confirmed: "good", missing: "warn", disputed: "warn" };

/** Looks again by itself when the page is opened, unless nothing can change any more. */
function Receipt({ record }: { record: CastRecord }) {
  const now = useSignal<Shown>(whereabouts(record));
  const checking = useAction();
  const check = async (): Promise<void> => {
    try {
      now.value = (await checkBallot(record)).where;
    } catch (error) {
      if (error instanceof VotingError) now.value = "disputed";
      throw error;
    }
  };
  const linked = cutSince.value === 0;
  useEffect(() => {
    if (linked && now.peek() !== "confirmed") void checking.run(check);
  }, [linked]);
  const state = now.value;
  return (
    <section class="card" data-testid="receipt" data-election={record.election} data-state={state} aria-busy={checking.busy.value}>
      <h2>{record.title}</h2>
      <p>{t("receipts.code")}</p>
      <output class="code-block" data-testid="receipt-tracker">
        {record.tracker}
      </output>
      <Note kind={TONES[state]}>{t(`receipts.state.${state}`)}</Note>
      <Problem error={checking.error.value} />
      {state === "queued" && record.queued && <HallReceipt receipt={record.queued} />}
      {TONES[state] === "warn" && record.promise && <Evidence promise={record.promise} />}
      <div class="actions">
        <Button testid="receipt-check" busy={checking.busy.value} onClick={() => void checking.run(check)}>
          {t(state === "confirmed" ? "receipts.check-again" : "receipts.check")}
        </Button>
        <Copy text={record.tracker} label={t("receipts.copy")} testid="receipt-copy" />
        <LinkButton kind="quiet" href={`/meetings/${record.meeting}`}>
          {t("receipts.meeting")}
        </LinkButton>
      </div>
    </section>
  );
}

/** What the hall's relay has signed: that it keeps the ballot. */
function HallReceipt({ receipt }: { receipt: JsonObject }) {
  return (
    <details>
      <summary>{t("receipts.queue")}</summary>
      <code class="code-block" data-testid="receipt-queue">
        {JSON.stringify(receipt)}
      </code>
    </details>
  );
}

/** The server's signed promise, for a teller's page to hold against the box that it has checked. */
function Evidence({ promise }: { promise: JsonObject }) {
  const text = JSON.stringify(promise);
  return (
    <div class="stack-tight">
      <code class="code-block" data-testid="receipt-evidence">
        {text}
      </code>
      <Copy text={text} label={t("receipts.copy-proof")} testid="receipt-evidence-copy" />
    </div>
  );
}
