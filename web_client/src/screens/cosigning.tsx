/** What a cosigner is asked: name a key before the vote, sign the closed box after it. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ElectionSummary, Meeting } from "../api/types.ts";
import { t, tn } from "../i18n/index.ts";
import type { LiveMeeting } from "../state/live.ts";
import { cosignQuorum } from "../state/meeting.ts";
import { useAction } from "../ui/action.ts";
import { Button, Fold, Note, Problem } from "../ui/parts.tsx";

const load = () => import("../state/cosigner.ts");

const isCosigner = (meeting: Meeting): boolean => meeting.me.cosigner !== "";
const mine = (meeting: Meeting) => meeting.cosigners.find((cosigner) => cosigner.name === meeting.me.cosigner);

/** Names of those whose key or signature is still missing. */
const missing = (meeting: Meeting): string =>
  meeting.cosigners
    .filter((cosigner) => !cosigner.ready)
    .map((cosigner) => t(`cosigner.${cosigner.name.replace(/-\d+$/, "") as "chair"}`))
    .join(", ");

interface Props {
  live: LiveMeeting;
  meeting: Meeting;
}

/** Every task that this meeting has for me as a cosigner. */
export function CosignerTasks(props: Props) {
  return (
    <>
      <CosignTasks {...props} />
      <CosignerKeyTask {...props} />
    </>
  );
}

/** To make the key, until votes have begun. */
export function CosignerKeyTask({ live, meeting }: Props) {
  if (!isCosigner(meeting) || !meeting.roll.frozen || meeting.state === "closed") return null;
  const begun = meeting.elections.some((e) => e.state !== "draft");
  return mine(meeting)?.ready && begun ? null : <CosignerKey live={live} meeting={meeting} />;
}

/** To sign each box that has just been closed; `compact` where the rest of the screen must stay in sight. */
export function CosignTasks({ live, meeting, compact = false }: Props & { compact?: boolean }) {
  if (!isCosigner(meeting)) return null;
  return (
    <>
      {meeting.elections
        .filter((e) => e.state === "closing" || e.state === "closed")
        .map((election) => (
          <Cosign key={election.election} meeting={meeting} live={live} election={election} compact={compact} />
        ))}
    </>
  );
}

function CosignerKey({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const making = useAction();
  const make = async (): Promise<void> => {
    await (await load()).makeCosignerKey(meeting);
    await live.refresh();
  };
  if (mine(meeting)?.ready) {
    const others = missing(meeting);
    return (
      <section class="card task" data-testid="cosigner-ready">
        <p>
          <span class="badge badge-good">✓ {t("cosigner.ready")}</span> {others ? t("cosigner.waits-for", { names: others }) : t("cosigner.all-ready")}
        </p>
      </section>
    );
  }
  return (
    <section class="card task" data-testid="task" data-task="cosigner-key">
      <h2>{t("cosigner.key.title")}</h2>
      <p>{t("cosigner.key.text")}</p>
      <Problem error={making.error.value} />
      <div class="actions">
        <Button kind="main" testid="cosigner-make-key" busy={making.busy.value} onClick={() => void making.run(make)}>
          {t("cosigner.key.button")}
        </Button>
      </div>
    </section>
  );
}

function Cosign({ live, meeting, election, compact }: Props & { election: ElectionSummary; compact: boolean }) {
  const signed = useSignal(false);
  const count = useSignal(0);
  const signing = useAction();
  const needed = cosignQuorum(meeting.cosigners.length);
  useEffect(() => {
    const look = (): void => {
      void load()
        .then(async ({ hasCosigned }) => (signed.value = await hasCosigned(meeting, election.election)))
        .catch(() => undefined);
    };
    look();
    return live.onEvent((event) => {
      if (event.type !== "ClosingCosigned" || event.body.election !== election.election) return;
      count.value = event.body.cosignatures;
    });
  }, [election.state]);
  const sign = async (): Promise<void> => {
    count.value = await (await load()).cosignClosing(meeting, election.election);
    signed.value = true;
    await live.refresh();
  };
  if (signed.value) {
    return (
      <section class="card task" data-testid={`cosigned-${election.election}`}>
        <Note kind="good">
          {t("cosign.done", { title: election.title })} <span data-testid="cosign-count">{count.value > 0 && tn("cosign.count", count.value, { needed })}</span>
        </Note>
      </section>
    );
  }
  const sealed = election.state === "closed";
  const about = (
    <>
      <p>{tn("cosign.text", election.cast)}</p>
      <p class="muted">{t("cosign.needed", { needed, of: meeting.cosigners.length })}</p>
    </>
  );
  return (
    <section class={`card task ${compact ? "task-compact" : ""}`} data-testid="task-cosign" data-election={election.election}>
      <h2>{t("cosign.title", { title: election.title })}</h2>
      {!compact && about}
      {!sealed && <p role="status">{t("cosign.wait-closing")}</p>}
      <Problem error={signing.error.value} />
      <div class="actions">
        <Button kind="main" testid="cosign-button" disabled={!sealed} busy={signing.busy.value} onClick={() => void signing.run(sign)} data={{ "data-election": election.election }}>
          {t("cosign.button")}
        </Button>
      </div>
      {compact && (
        <Fold testid="sign-more" summary={t("cosign.more")}>
          {() => about}
        </Fold>
      )}
    </section>
  );
}
