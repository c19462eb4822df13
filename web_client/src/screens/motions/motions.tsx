/** Motions of a meeting: the list, one of them to read and act on, and the way to write one. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Meeting } from "../../api/types.ts";
import type { Motion } from "../../api/types_floor.ts";
import { say, t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { grouped } from "../../state/motions.ts";
import { Arrow, Button, Card, Title } from "../../ui/parts.tsx";
import { WithMeeting } from "../with_meeting.tsx";
import { AmendEditor, MotionEditor } from "./editor.tsx";
import { Reading } from "./reading.tsx";
import "./motions.css";

/** What is shown: the list, a new motion, or one of them in one of three ways. */
export type View = { kind: "list" } | { kind: "new" } | { kind: "read" | "edit" | "amend"; motion: string };

export function MotionsScreen({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(live, meeting) => (
        <div class="stack" data-testid="motions-screen">
          <p>
            <a href={`/meetings/${id}`}><Arrow>←</Arrow> {meeting.title}</a>
          </p>
          <Title>{t("motions.title")}</Title>
          <Motions live={live} meeting={meeting} />
        </div>
      )}
    </WithMeeting>
  );
}

/** Own drafts and what is public, without doubles. */
export const known = (meeting: Meeting): Motion[] => [...meeting.motions, ...meeting.me.drafts];

export function Motions({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const view = useSignal<View>({ kind: "list" });
  const top = useRef<HTMLDivElement>(null);
  const seen = useRef(view.value);
  useEffect(() => {
    if (seen.current !== view.value) top.current?.querySelector<HTMLElement>("h2")?.focus();
    seen.current = view.value;
  }, [view.value]);
  const go = (next: View): void => void (view.value = next);
  const now = view.value;
  const read = (made: string): void => go({ kind: "read", motion: made });
  const find = (id: string): Motion | undefined => known(meeting).find((one) => one.motion === id);
  const motion = "motion" in now ? find(now.motion) : undefined;
  const base = motion?.base ? find(motion.base) : undefined;
  return (
    <div class="stack motions" ref={top} data-testid="motions" data-view={now.kind}>
      {now.kind !== "list" && (
        <div>
          <Button kind="quiet" testid="motions-back" onClick={() => go({ kind: "list" })}>
            <Arrow>←</Arrow> {t("motions.back")}
          </Button>
        </div>
      )}
      {now.kind === "list" && <List meeting={meeting} go={go} />}
      {now.kind === "new" && <MotionEditor live={live} meeting={meeting} motion={null} done={read} />}
      {motion && now.kind === "read" && <Reading live={live} meeting={meeting} motion={motion} go={go} />}
      {motion && now.kind === "edit" && !base && <MotionEditor live={live} meeting={meeting} motion={motion} done={read} />}
      {motion && now.kind === "edit" && base && <AmendEditor live={live} meeting={meeting} base={base} own={motion} done={read} />}
      {motion && now.kind === "amend" && <AmendEditor live={live} meeting={meeting} base={motion} own={null} done={read} />}
    </div>
  );
}

const mayWrite = (meeting: Meeting): boolean =>
  meeting.state !== "closed" && (meeting.me.entitled || meeting.me.roles.includes("chair") || meeting.me.roles.includes("secretary"));

function List({ meeting, go }: { meeting: Meeting; go: (next: View) => void }) {
  const drafts = meeting.me.drafts;
  const current = meeting.agenda.find((item) => item.state === "current")?.id;
  const items = [...meeting.agenda].sort((a, b) => Number(b.id === current) - Number(a.id === current));
  return (
    <>
      {mayWrite(meeting) && (
        <div class="actions">
          <Button kind="main" testid="motion-new" onClick={() => go({ kind: "new" })}>
            {t("motions.new")}
          </Button>
        </div>
      )}
      {drafts.length > 0 && (
        <Group title={t("motions.drafts")} hint={t("motions.drafts-hint")}>
          {drafts.map((one) => (
            <Row key={one.motion} motion={one} go={go} />
          ))}
        </Group>
      )}
      {meeting.motions.length === 0 && drafts.length === 0 && (
        <div class="card" data-testid="motions-empty">
          <p>{t("motions.empty")}</p>
        </div>
      )}
      {items.map((item) => {
        const here = grouped(meeting.motions.filter((one) => one.item === item.id));
        return (
          here.length > 0 && (
            <Group key={item.id} title={item.id === current ? t("motions.item-now", { title: item.title }) : item.title}>
              {here.map((one) => (
                <Row key={one.motion} motion={one} go={go} />
              ))}
            </Group>
          )
        );
      })}
      <p>
        <a href={`/resolutions/${meeting.unit}`} data-testid="go-resolutions">
          {t("resolutions.link")}
        </a>
      </p>
    </>
  );
}

function Group({ title, hint, children }: { title: string; hint?: string; children: ComponentChildren }) {
  return (
    <Card title={title}>
      {hint && <p class="muted small">{hint}</p>}
      <ul class="list">{children}</ul>
    </Card>
  );
}

function Row({ motion, go }: { motion: Motion; go: (next: View) => void }) {
  const name = nameOf(motion);
  return (
    <li class={motion.base ? "motion-row motion-row-amendment" : "motion-row"} data-testid="motion" data-motion={motion.motion} data-number={motion.number} data-state={motion.state}>
      <Button kind="quiet" testid={`motion-open-${motion.motion}`} onClick={() => go({ kind: "read", motion: motion.motion })}>
        <span class="strong">{name}</span> <span class="muted small">{motion.movers.map((one) => one.name).join(", ")}</span>
      </Button>
      <span class="row">
        {(motion.collides || motion.collides_with.length > 0) && <span class="badge badge-warn">{t("motions.collides")}</span>}
        <StateBadge motion={motion} />
      </span>
    </li>
  );
}

const TONES: Readonly<Record<string, string>> = { voting: "badge badge-live", carried: "badge badge-good" };

export function StateBadge({ motion }: { motion: Motion }) {
  return <span class={TONES[motion.state] ?? "badge"}>{say(`motion.state.${motion.state}`)}</span>;
}

/** Number and title, or that it is an amendment without a number yet. */
export const nameOf = (motion: Motion): string => (motion.number ? `${motion.number} ${motion.title}` : motion.title);
