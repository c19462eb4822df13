/** The teller's page: make the key, compare the code, check ballots, open the box. It always says what it waits for. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ElectionSummary, Meeting } from "../api/types.ts";
import { codeOf, number, t, tn, type Key } from "../i18n/index.ts";
import type { LiveMeeting } from "../state/live.ts";
import { isOver } from "../state/meeting.ts";
import { CountWork, KeyWork } from "../state/teller.ts";
import type { CeremonyState } from "../trustee/teller.ts";
import { useAction } from "../ui/action.ts";
import { Arrow, Button, Card, ConfirmButton, Field, Form, Loading, Note, Problem, Progress, Title } from "../ui/parts.tsx";
import { CosignerKeyTask, CosignerTasks } from "./cosigning.tsx";
import { ShareCard } from "./share_card.tsx";
import { WithMeeting } from "./with_meeting.tsx";

export function TellerScreen({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(live, meeting) => (
        <div class="stack">
          <p>
            <a href={`/meetings/${id}`}><Arrow>←</Arrow> {meeting.title}</a>
          </p>
          <Title>{t("teller.title")}</Title>
          <CosignerTasks live={live} meeting={meeting} />
          <TellerPanel live={live} meeting={meeting} />
        </div>
      )}
    </WithMeeting>
  );
}

/** The same work inside the room, with the smaller task below. */
export function TellerDesk(props: { live: LiveMeeting; meeting: Meeting }) {
  return (
    <>
      <TellerPanel {...props} />
      <CosignerKeyTask {...props} />
    </>
  );
}

function TellerPanel({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  if (meeting.me.trustee === 0) return <Note>{meeting.roll.frozen ? t("teller.not-one") : t("teller.waits-roll")}</Note>;
  return (
    <div class="stack">
      <KeyCard live={live} meeting={meeting} />
      {meeting.key.state === "ready" && <ShareCard meeting={meeting} onChange={() => void live.refresh()} />}
      {meeting.elections
        .filter((election) => election.state !== "draft")
        .reverse()
        .map((election) => (
          <CountCard key={election.election} live={live} election={election} />
        ))}
    </div>
  );
}

const STEPS: readonly { name: Key; steps: readonly CeremonyState["step"][] }[] = [
  { name: "teller.step.register", steps: ["register"] },
  { name: "teller.step.exchange", steps: ["commit", "reveal", "shares", "salt"] },
  { name: "teller.step.compare", steps: ["compare"] },
  { name: "teller.step.certify", steps: ["certify"] },
];

function KeyCard({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const work = useSignal<KeyWork | null>(null);
  const acting = useAction();
  useEffect(() => {
    const started = new KeyWork(live, meeting);
    work.value = started;
    return () => started.close();
  }, [meeting.roll.hash]);
  const state = work.value?.state.value ?? null;
  const failed = work.value?.error.value ?? null;
  // On a device that did not make it, a ready key has no ceremony left; the share's own card says what is missing here.
  const elsewhere = meeting.key.state === "ready" && failed !== null && codeOf(failed) === "voting.no-secrets";
  if (state?.step === "done" || elsewhere) {
    return (
      <section class="card" data-testid="teller" data-step="done">
        <h2>{t("teller.key.title")}</h2>
        <Note kind="good" testid="teller-key-ready">
          {t("teller.key.ready", { code: state?.spokenCode ?? meeting.key.code })}
        </Note>
      </section>
    );
  }
  if (state === null) return <Card title={t("teller.key.title")}>{failed !== null ? <Problem error={failed} /> : <Loading />}</Card>;
  const names = (indices: readonly number[]): string =>
    indices.map((index) => meeting.key.trustees.find((trustee) => trustee.index === index)?.name ?? String(index)).join(", ");
  const mustRegister = state.step === "register" && state.waitingFor.includes(meeting.me.trustee);
  const others = state.waitingFor.filter((index) => index !== meeting.me.trustee);
  if (state.step === "broken") {
    return (
      <section class="card" data-testid="teller" data-step="broken">
        <h2>{t("teller.key.title")}</h2>
        <Note kind="warn" testid="teller-broken">
          {t("teller.broken", { name: names(state.atFault === null ? [] : [state.atFault]) })}
        </Note>
      </section>
    );
  }
  return (
    <section class="card" data-testid="teller" data-step={state.step}>
      <h2>{t("teller.key.title")}</h2>
      <p>{t("teller.key.text")}</p>
      <KeySteps state={state} />
      <Problem error={acting.error.value ?? failed} />
      {mustRegister && (
        <div class="actions">
          <Button kind="main" testid="teller-make-key" busy={acting.busy.value} onClick={() => void acting.run(async () => work.value?.makeKey())}>
            {t("teller.key.button")}
          </Button>
        </div>
      )}
      {state.step === "compare" && (
        <div class="actions">
          <Button kind="main" testid="teller-confirm-code" busy={acting.busy.value} onClick={() => void acting.run(async () => work.value?.confirm())}>
            {t("teller.compare.button")}
          </Button>
        </div>
      )}
      {!mustRegister && state.step !== "compare" && others.length > 0 && (
        <p role="status" data-testid="teller-waiting">
          <span class="spinner" aria-hidden="true" /> {t("teller.waits-for", { names: names(others) })}
        </p>
      )}
    </section>
  );
}

/** Where the ceremony stands, and the code to compare when it is time. */
function KeySteps({ state }: { state: CeremonyState }) {
  const at = STEPS.findIndex(({ steps }) => steps.includes(state.step));
  return (
    <>
      <ol class="steps">
        {STEPS.map(({ name }, index) => (
          <li key={name} data-state={index < at ? "done" : index === at ? "now" : "later"} aria-current={index === at ? "step" : undefined}>
            <span>{t(name)}</span>
          </li>
        ))}
      </ol>
      {state.step === "compare" && state.spokenCode && (
        <div class="stack-tight">
          <p class="strong">{t("teller.compare.text")}</p>
          <output class="code-big" data-testid="teller-code" aria-label={[...state.spokenCode].join(" ")}>
            {state.spokenCode}
          </output>
          <p class="muted">{t("teller.compare.differs")}</p>
        </div>
      )}
    </>
  );
}

function CountCard({ live, election }: { live: LiveMeeting; election: ElectionSummary }) {
  const work = useSignal<CountWork | null>(null);
  const opening = useAction();
  const broken = useSignal(false);
  useEffect(() => {
    const started = new CountWork(live, election.election);
    work.value = started;
    return () => started.close();
  }, [election.election]);
  useEffect(() => void work.value?.refresh(), [election.state]);
  const count = work.value;
  const state = count?.state.value ?? null;
  const wanted = count?.wanted.value ?? false;
  const tooFew = election.result?.outcome[0]?.kind === "too-few";
  return (
    <section class="card" data-testid="teller-election" data-election={election.election} data-step={state?.step ?? "watching"}>
      <h2>{t("teller.count.title", { title: election.title })}</h2>
      {state && (
        <div data-testid="teller-verified">
          <Progress label={tn("teller.count.verified", state.verified)} value={state.verified} of={Math.max(election.cast, state.cast ?? 0)} />
        </div>
      )}
      <Problem error={opening.error.value ?? count?.error.value} />
      {tooFew ? (
        <Note testid="teller-too-few">{t("outcome.too-few")}</Note>
      ) : count?.signed.value || isOver(election) ? (
        <Note kind={election.state === "void" ? "warn" : "good"} testid={count?.signed.value ? "teller-signed" : "teller-over"}>
          {election.state === "void" ? t("outcome.void.text") : isOver(election) ? t("teller.count.over") : t("teller.count.signed")}
        </Note>
      ) : (
        <>
          <p role="status">{waitText(election, wanted)}</p>
          {election.state !== "open" && count && <ShownPromise count={count} onBroken={() => (broken.value = true)} />}
          <OpenBox election={election} wanted={wanted} busy={opening.busy.value} warn={broken.value} open={() => void opening.run(async () => count?.open())} />
        </>
      )}
    </section>
  );
}

/** The button that opens the box; it asks first once this teller has seen a broken promise. */
function OpenBox({ election, wanted, busy, warn, open }: { election: ElectionSummary; wanted: boolean; busy: boolean; warn: boolean; open: () => void }) {
  const shared = { testid: `teller-count-${election.election}`, disabled: election.state !== "counting" || wanted, busy: busy || wanted, onClick: open };
  return (
    <div class="actions">
      {warn ? (
        <ConfirmButton {...shared} kind="danger" danger title={t("promise.open.title")} text={t("promise.open.text")} yes={t("promise.open.yes")}>
          {t("teller.count.button")}
        </ConfirmButton>
      ) : (
        <Button {...shared} kind="main">
          {t("teller.count.button")}
        </Button>
      )}
    </div>
  );
}

/** A voter shows the server's promise for a ballot that is not in the box: this page finds out whether it was broken. */
function ShownPromise({ count, onBroken }: { count: CountWork; onBroken: () => void }) {
  const text = useSignal("");
  const found = useSignal<"" | "kept" | "broken" | "pending">("");
  const acting = useAction();
  const judge = async (): Promise<void> => {
    found.value = await count.judge(text.value);
    if (found.value === "broken") onBroken();
  };
  return (
    <details>
      <summary>{t("promise.title")}</summary>
      <div class="stack">
        <Form action={acting} work={judge} submit={t("promise.check")} testid="promise-check" kind="plain">
          <Field label={t("promise.text")} rows={3} value={text.value} onInput={(value) => (text.value = value)} testid="promise-text" required maxLength={2000} />
        </Form>
        {found.value !== "" && (
          <div data-testid="promise-found" data-found={found.value}>
            <Note kind={found.value === "kept" ? "good" : "warn"}>{t(`promise.${found.value}`)}</Note>
          </div>
        )}
      </div>
    </details>
  );
}

/** One sentence: what happens now, or whose turn it is. */
function waitText(election: ElectionSummary, wanted: boolean): string {
  switch (election.state) {
    case "open":
      return t("teller.wait.open", { cast: number(election.cast), of: number(election.electorate_size) });
    case "closing":
      return t("teller.wait.closing");
    case "closed":
      return t("teller.wait.cosigners");
    case "tied":
      return t("teller.wait.tied");
    case "counting":
      return wanted ? t("teller.wait.others") : t("teller.wait.you");
    default:
      return t(wanted ? "teller.wait.tally" : "teller.wait.not-needed");
  }
}
