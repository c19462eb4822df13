/** The chair's view of the motions: what waits for a decision, each with its one next step. */
import { useSignal } from "@preact/signals";
import { floor } from "../../api/floor.ts";
import type { Meeting } from "../../api/types.ts";
import type { Motion } from "../../api/types_floor.ts";
import { t } from "../../i18n/index.ts";
import { navigate } from "../../router.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { grouped, isLive, openAmendments } from "../../state/motions.ts";
import { type Action, useAction } from "../../ui/action.ts";
import { Button, Card, Field, Form } from "../../ui/parts.tsx";
import { nameOf, StateBadge } from "./motions.tsx";
import { PutToVote } from "./vote.tsx";

export function MotionsCard({ live, meeting, acting }: { live: LiveMeeting; meeting: Meeting; acting: Action }) {
  const waiting = grouped(meeting.motions).filter(isLive);
  const putting = useSignal("");
  const admit = (motion: string): void =>
    void acting.run(async () => {
      await floor.act(meeting.id, motion, "admit");
      await live.refresh();
    });
  return (
    <Card title={t("motions.title")}>
      {waiting.length === 0 && <p class="muted">{t("motions.none-waits")}</p>}
      <ul class="list" data-testid="motions-card">
        {waiting.map((motion) => (
          <li key={motion.motion} class="stack-tight" data-testid="motion-waits" data-motion={motion.motion} data-state={motion.state}>
            <div class="row-between">
              <span class="strong">{nameOf(motion)}</span>
              <StateBadge motion={motion} />
            </div>
            <Step meeting={meeting} motion={motion} admit={admit} put={() => (putting.value = putting.value === motion.motion ? "" : motion.motion)} open={putting.value === motion.motion} />
            {putting.value === motion.motion && motion.state === "admitted" && <PutToVote live={live} meeting={meeting} motion={motion} />}
          </li>
        ))}
      </ul>
      <div class="actions">
        <Button testid="motions-all" onClick={() => navigate(`/meetings/${meeting.id}/room/motions`, true)}>
          {t("motions.all")}
        </Button>
      </div>
      <Seconders live={live} meeting={meeting} />
    </Card>
  );
}

function Step(props: { meeting: Meeting; motion: Motion; admit: (motion: string) => void; put: () => void; open: boolean }) {
  const { meeting, motion } = props;
  const missing = motion.seconders_needed - motion.seconders.length;
  if (motion.collides) return <p class="small">{t("motion.step.mover")}</p>;
  if (motion.state === "voting") return null;
  if (motion.state !== "admitted" && missing > 0) return <p class="small">{t("motion.step.seconders", { n: missing })}</p>;
  if (motion.state !== "admitted") {
    return (
      <div class="actions">
        <Button testid={`admit-${motion.motion}`} label={t("motion.admit-name", { name: nameOf(motion) })} onClick={() => props.admit(motion.motion)}>
          {t("motion.act.admit")}
        </Button>
      </div>
    );
  }
  if (openAmendments(meeting, motion).length > 0) return <p class="small">{t("motion.amendments-first")}</p>;
  return (
    <div class="actions">
      <Button testid={`put-${motion.motion}`} pressed={props.open} label={t("motion.put-name", { name: nameOf(motion) })} onClick={props.put}>
        {t("motion.vote.title")}
      </Button>
    </div>
  );
}

function Seconders({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const number = useSignal(String(meeting.motion_rules.seconders));
  const saving = useAction();
  return (
    <details>
      <summary>{t("motions.rules")}</summary>
      <Form
        action={saving}
        work={async () => {
          await floor.setSeconders(meeting.id, Number(number.value));
          await live.refresh();
        }}
        submit={t("motions.rules-save")}
        testid="seconders-save"
        kind="plain"
      >
        <Field label={t("motions.seconders")} hint={t("motions.seconders-hint")} type="number" min={0} value={number.value} onInput={(value) => (number.value = value)} testid="seconders-needed" required />
      </Form>
    </details>
  );
}
