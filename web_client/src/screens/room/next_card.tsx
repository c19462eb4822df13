/** The one next step, bound to the rules of the meeting; it says why it cannot be taken yet. */
import { type Signal, useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { api } from "../../api/fetch.ts";
import type { ElectionPreview, Meeting } from "../../api/types.ts";
import { t, tn } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { type Next, nextStep } from "../../state/next.ts";
import { signAction } from "../../state/sign.ts";
import type { Action } from "../../ui/action.ts";
import { Button, Confirm, Note, Problem } from "../../ui/parts.tsx";
import { useTime } from "../../ui/time.ts";
import { CastingVote } from "./casting_vote.tsx";
import { command, type Console, titleOf, whyText } from "./console.ts";

/** The chair signs which earlier votes this one nearly repeats, having been shown them. */
async function openVote(live: LiveMeeting, election: string, repeats: string[]): Promise<void> {
  const action = { type: "open-election", meeting: live.id, election, repeats };
  await api.openElection(live.id, election, action, await signAction(action));
  await live.refresh();
}

async function closeVote(live: LiveMeeting, election: string): Promise<void> {
  const action = { type: "close-election", meeting: live.id, election };
  await api.closeElection(live.id, election, action, await signAction(action));
  await live.refresh();
}

async function declare(live: LiveMeeting, meeting: Meeting, election: string): Promise<void> {
  const { declareResult } = await import("../../state/cosigner.ts");
  await declareResult(meeting, election);
  await live.refresh();
}

/** Does the step; asks first where there is no way back. */
function take(live: LiveMeeting, meeting: Meeting, next: Next): Promise<void> {
  switch (next.step) {
    case "convene":
    case "begin-check-in":
    case "open":
    case "resume":
    case "close":
      return command(live, { command: next.step });
    case "start-item":
      return command(live, { command: "start-item", item: next.target });
    case "close-vote":
      return closeVote(live, next.target);
    case "declare":
      return declare(live, meeting, next.target);
    default:
      return Promise.resolve();
  }
}

export function NextCard({ live, meeting, acting }: Console) {
  const asking = useSignal(false);
  const why = useId();
  const now = useTime();
  const next = nextStep(meeting, now.value);
  const reason = whyText(meeting, next);
  const election = meeting.elections.find((e) => e.election === next.target);
  const open = election?.state === "open";
  const mustAsk = next.step === "close" || (open && next.step === "close-vote");
  const opening = useOpening(live, acting);
  const go = (): void => (next.step === "open-vote" ? opening.start(next.target) : void acting.run(() => take(live, meeting, next)));
  const casting = next.step === "casting-vote" && election;
  const text = open
    ? t("next.close-vote.text", { cast: election?.cast ?? 0, of: election?.electorate_size ?? 0 })
    : t("next.close.text");
  return (
    <section class="card next-card">
      <h2>{t("next.title")}</h2>
      <Problem error={acting.error.value} />
      {casting && <CastingVote live={live} meeting={meeting} election={casting} />}
      <div class="actions" hidden={Boolean(casting)}>
        <Button
          kind="main"
          testid="chair-next"
          data={{ "data-next": next.step, "data-target": next.target }}
          disabled={reason !== null}
          busy={acting.busy.value}
          describedBy={reason === null ? undefined : why}
          onClick={() => (mustAsk ? (asking.value = true) : go())}
        >
          {t(`next.${next.step}`, { title: titleOf(meeting, next.target) })}
        </Button>
      </div>
      {reason !== null && (
        <p id={why} data-testid="chair-next-why" role="status">
          {reason}
        </p>
      )}
      {!meeting.quorum.met && !meeting.binding && (meeting.state === "checking-in" || meeting.state === "opened") && (
        <Note kind="warn">{t("next.no-quorum", { present: meeting.quorum.present, needed: meeting.quorum.needed })}</Note>
      )}
      <OpenWarning meeting={meeting} opening={opening} />
      <Confirm
        open={asking.value}
        title={t(`next.${next.step}`, { title: titleOf(meeting, next.target) })}
        text={text}
        yes={t(`next.${next.step}`, { title: titleOf(meeting, next.target) })}
        danger
        onNo={() => (asking.value = false)}
        onYes={() => {
          asking.value = false;
          go();
        }}
      />
    </section>
  );
}

interface Asked {
  election: string;
  preview: ElectionPreview;
}

interface Opening {
  asked: Signal<Asked | null>;
  start: (election: string) => void;
  go: () => void;
}

const MINUTE_S = 60;
/** How many minutes the result waits for halls that were cut off; 0 where it is no minute. */
function graceMinutes(meeting: Meeting | null, election: string): number {
  const seconds = meeting?.elections.find((one) => one.election === election)?.grace_s ?? 0;
  return seconds < MINUTE_S ? 0 : Math.ceil(seconds / MINUTE_S);
}

/** Looks at what opening would freeze; asks first where the result could tell how a few people voted. */
export function useOpening(live: LiveMeeting, acting: Action): Opening {
  const asked = useSignal<Asked | null>(null);
  return {
    asked,
    start: (election) =>
      void acting.run(async () => {
        const preview = await api.preview(live.id, election);
        if (preview.small || preview.repeats.length > 0 || graceMinutes(live.meeting.value, election) > 0) asked.value = { election, preview };
        else await openVote(live, election, []);
      }),
    go: () => {
      const now = asked.value;
      asked.value = null;
      if (now) void acting.run(() => openVote(live, now.election, now.preview.repeats));
    },
  };
}

export function OpenWarning({ meeting, opening }: { meeting: Meeting; opening: Opening }) {
  const now = opening.asked.value;
  const names = (now?.preview.repeats ?? []).map((id) => titleOf(meeting, id)).join(", ");
  const grace = graceMinutes(meeting, now?.election ?? "");
  const text = [grace > 0 ? tn("open-vote.grace", grace) : "", now?.preview.small ? t("open-vote.small", { n: now.preview.electorate_size }) : "", names ? t("open-vote.repeats", { names }) : ""].filter(Boolean).join(" ");
  return (
    <Confirm
      open={now !== null}
      title={t("open-vote.warning")}
      text={text}
      yes={t("open-vote.anyway")}
      onNo={() => (opening.asked.value = null)}
      onYes={opening.go}
    />
  );
}
