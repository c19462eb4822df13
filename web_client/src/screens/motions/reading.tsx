/** One motion to read, with everything that I may do about it. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { floor } from "../../api/floor.ts";
import type { Meeting, MeetingState } from "../../api/types.ts";
import type { DiffLine, Motion, MotionAct, MotionText } from "../../api/types_floor.ts";
import { t, tn } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { isLive, movedBy, openAmendments } from "../../state/motions.ts";
import { type Action, useAction } from "../../ui/action.ts";
import { Button, Check, ConfirmButton, Loading, Note, Problem } from "../../ui/parts.tsx";
import { Diff, Paragraphs } from "./diff.tsx";
import { known, nameOf, StateBadge, type View } from "./motions.tsx";
import { PutToVote } from "./vote.tsx";

interface Props {
  live: LiveMeeting;
  meeting: Meeting;
  motion: Motion;
  go: (next: View) => void;
}

/** The text, and for an amendment the difference; fetched again when the motion or its base has changed. */
function useText(meeting: Meeting, motion: Motion): { text: Signal<MotionText | null>; lines: Signal<DiffLine[] | null>; error: Signal<unknown> } {
  const text = useSignal<MotionText | null>(null);
  const lines = useSignal<DiffLine[] | null>(null);
  const error = useSignal<unknown>(null);
  useEffect(() => {
    let gone = false;
    const load = async (): Promise<void> => {
      const [found, diff] = await Promise.all([floor.motion(meeting.id, motion.motion), motion.base ? floor.diff(meeting.id, motion.motion) : null]);
      if (gone) return;
      text.value = found;
      lines.value = diff?.lines ?? null;
    };
    load().catch((caught: unknown) => (error.value = caught));
    return () => {
      gone = true;
    };
  }, [motion.motion, motion.hash, motion.base_hash, motion.version, motion.collides]);
  return { text, lines, error };
}

export function Reading({ live, meeting, motion, go }: Props) {
  const { text, lines, error } = useText(meeting, motion);
  const acting = useAction();
  const base = motion.base ? known(meeting).find((one) => one.motion === motion.base) : undefined;
  return (
    <article class="card stack" data-testid="motion-reading" data-motion={motion.motion} data-state={motion.state} data-hash={motion.hash}>
      <div class="row-between">
        <h2 tabIndex={-1}>{nameOf(motion)}</h2>
        <StateBadge motion={motion} />
      </div>
      <Facts motion={motion} />
      {base && (
        <p>
          {t("motion.amends")}{" "}
          <Button kind="quiet" onClick={() => go({ kind: "read", motion: base.motion })}>
            {nameOf(base)}
          </Button>
        </p>
      )}
      <Collisions meeting={meeting} motion={motion} />
      <Problem error={error.value} />
      {text.value === null && error.value === null && <Loading />}
      {lines.value ? <Diff lines={lines.value} /> : text.value && <Paragraphs text={text.value.text} />}
      <Problem error={acting.error.value} />
      <Next live={live} meeting={meeting} motion={motion} go={go} acting={acting} />
      <Amendments meeting={meeting} motion={motion} go={go} />
      <details>
        <summary>{t("motion.hash")}</summary>
        <code class="code-block" lang="en" data-testid="motion-hash">
          {motion.hash}
        </code>
      </details>
    </article>
  );
}

function Facts({ motion }: { motion: Motion }) {
  const names = motion.seconders.map((one) => one.name).join(", ");
  const missing = motion.seconders_needed - motion.seconders.length;
  return (
    <dl class="facts">
      <dt>{t("motion.mover")}</dt>
      <dd>{motion.movers.map((one) => one.name).join(", ")}</dd>
      {motion.number && (
        <>
          <dt>{t("motion.seconders")}</dt>
          <dd data-testid="seconders" data-count={motion.seconders.length} data-needed={motion.seconders_needed}>
            {names || t("motion.no-seconder")} {missing > 0 && <span class="muted small">{tn("motion.needed", missing)}</span>}
          </dd>
        </>
      )}
      {motion.resolution && (
        <>
          <dt>{t("motion.resolution")}</dt>
          <dd data-testid="motion-resolution" class="strong">
            {motion.resolution}
          </dd>
        </>
      )}
    </dl>
  );
}

function Collisions({ meeting, motion }: { meeting: Meeting; motion: Motion }) {
  const names = motion.collides_with.map((id) => known(meeting).find((one) => one.motion === id)?.number ?? "").join(", ");
  return (
    <>
      {motion.collides && <Note kind="warn" testid="motion-collides">{t("motion.collides")}</Note>}
      {names && <Note kind="warn" testid="motion-collisions">{t("motion.collides-with", { names })}</Note>}
    </>
  );
}

/** Where nobody refers a motion: interrupted, or without the quorum. */
const NOT_SITTING: ReadonlySet<MeetingState> = new Set<MeetingState>(["recess", "quorum-lost", "adjourned"]);

function Next({ live, meeting, motion, go, acting }: Props & { acting: Action }) {
  const { me } = meeting;
  const over = meeting.state === "closed";
  const mine = movedBy(motion, me.member);
  const seconded = motion.seconders.some((one) => one.member === me.member);
  const act = (what: MotionAct): void =>
    void acting.run(async () => {
      await floor.act(meeting.id, motion.motion, what);
      await live.refresh();
      if (what === "withdraw" && motion.number === "") go({ kind: "list" });
    });
  const button = (what: MotionAct, kind: "main" | "plain" = "plain") => (
    <Button kind={kind} testid={`motion-${what}`} busy={acting.busy.value} onClick={() => act(what)}>
      {t(`motion.act.${what}`)}
    </Button>
  );
  if (over) return null;
  const open = motion.state === "submitted" || motion.state === "seconded";
  const early = motion.state === "draft" || motion.state === "submitted";
  const enough = motion.seconders.length >= motion.seconders_needed;
  return (
    <>
      {mine && motion.state === "draft" && <Note>{t("motion.draft-hint")}</Note>}
      <div class="actions">
        {mine && motion.state === "draft" && !motion.collides && button("submit", "main")}
        {mine && motion.base !== "" && motion.collides && early && button("rebase", "main")}
        {!mine && me.entitled && open && !seconded && button("second", "main")}
        {me.roles.includes("chair") && open && enough && !motion.collides && button("admit", "main")}
        {mine && early && (
          <Button testid="motion-edit" onClick={() => go({ kind: "edit", motion: motion.motion })}>
            {t("motion.edit")}
          </Button>
        )}
        {motion.base === "" && isLive(motion) && motion.state !== "voting" && me.entitled && (
          <Button testid="motion-amend" onClick={() => go({ kind: "amend", motion: motion.motion })}>
            {t("motion.amend")}
          </Button>
        )}
        {me.roles.includes("chair") && isLive(motion) && motion.state !== "voting" && !NOT_SITTING.has(meeting.state) && (
          <ConfirmButton testid="motion-refer" title={t("motion.act.refer")} text={t("motion.refer-text")} yes={t("motion.act.refer")} busy={acting.busy.value} onClick={() => act("refer")}>
            {t("motion.act.refer")}
          </ConfirmButton>
        )}
        {mine && (motion.state === "draft" || (isLive(motion) && motion.state !== "voting")) && (
          <ConfirmButton kind="danger" testid="motion-withdraw" title={t("motion.act.withdraw")} text={t("motion.withdraw-text")} yes={t("motion.act.withdraw")} danger busy={acting.busy.value} onClick={() => act("withdraw")}>
            {t("motion.act.withdraw")}
          </ConfirmButton>
        )}
      </div>
      {me.roles.includes("chair") && motion.state === "submitted" && !enough && <p class="muted small">{t("motion.waits-for-seconders")}</p>}
      <Conflict live={live} meeting={meeting} motion={motion} acting={acting} />
      {motion.state === "admitted" && (me.roles.includes("chair") || me.roles.includes("secretary")) && <PutToVote live={live} meeting={meeting} motion={motion} />}
    </>
  );
}

/** Whoever has an interest of their own says so here and does not vote. */
function Conflict({ live, meeting, motion, acting }: { live: LiveMeeting; meeting: Meeting; motion: Motion; acting: Action }) {
  const { me } = meeting;
  const names = motion.conflicts.map((member) => meeting.present.find((one) => one.member === member)?.name ?? t("motion.somebody"));
  if (!isLive(motion)) return null;
  return (
    <>
      {names.length > 0 && (
        <p class="small" data-testid="conflicts">
          {t("motion.conflicts", { names: names.join(", ") })}
        </p>
      )}
      {me.entitled && (
        <Check
          label={t("motion.conflict")}
          hint={t("motion.conflict-hint")}
          checked={motion.conflicts.includes(me.member)}
          testid="motion-conflict"
          onChange={(declared) =>
            void acting.run(async () => {
              await floor.declare(meeting.id, motion.motion, declared);
              await live.refresh();
            })
          }
        />
      )}
    </>
  );
}

function Amendments({ meeting, motion, go }: { meeting: Meeting; motion: Motion; go: (next: View) => void }) {
  const all = meeting.motions.filter((one) => one.base === motion.motion);
  const open = openAmendments(meeting, motion);
  if (motion.base !== "" || all.length === 0) return null;
  return (
    <section class="stack-tight">
      <h3>{t("motion.amendments")}</h3>
      {open.length > 0 && motion.state === "admitted" && <p class="small">{t("motion.amendments-first")}</p>}
      <ul class="list">
        {all.map((one) => (
          <li key={one.motion} class="row-between">
            <Button kind="quiet" testid={`motion-open-${one.motion}`} onClick={() => go({ kind: "read", motion: one.motion })}>
              {nameOf(one)}
            </Button>
            <StateBadge motion={one} />
          </li>
        ))}
      </ul>
    </section>
  );
}
