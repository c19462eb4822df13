/** A motion is put to the vote in one step: who sees the votes and by which majority, nothing else is asked. */
import { useSignal } from "@preact/signals";
import { floor } from "../../api/floor.ts";
import type { MajorityBase, MajorityKind, Meeting, Secrecy } from "../../api/types.ts";
import type { Motion } from "../../api/types_floor.ts";
import { say, t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { openAmendments } from "../../state/motions.ts";
import { useAction } from "../../ui/action.ts";
import { Form, Note, Select } from "../../ui/parts.tsx";

const KINDS: readonly MajorityKind[] = ["simple", "absolute", "two-thirds", "three-quarters"];
const BASES: readonly MajorityBase[] = ["cast", "decided", "present", "roll"];
const SECRECIES: readonly Secrecy[] = ["open", "roll-call", "trustees"];

export function PutToVote({ live, meeting, motion }: { live: LiveMeeting; meeting: Meeting; motion: Motion }) {
  const secrecy = useSignal<Secrecy>("trustees");
  const kind = useSignal<MajorityKind>("simple");
  const of = useSignal<MajorityBase>("cast");
  const acting = useAction();
  const first = openAmendments(meeting, motion);
  const waiting = motion.elections.find((id) => meeting.elections.some((one) => one.election === id && one.state === "draft"));
  if (first.length > 0) return <Note testid="amendments-first">{t("motion.vote.amendments", { names: first.map((one) => one.number).join(", ") })}</Note>;
  const put = async (): Promise<void> => {
    await floor.putToVote(meeting.id, motion.motion, { secrecy: secrecy.value, majority: { kind: kind.value, of: of.value }, tie: "rejected" });
    await live.refresh();
  };
  return (
    <section class="stack-tight" data-testid="put-to-vote" data-election={waiting ?? ""}>
      <h3>{t("motion.vote.title")}</h3>
      {waiting && <Note kind="good">{t("motion.vote.ready")}</Note>}
      <Form action={acting} work={put} submit={t("motion.vote.put")} testid="motion-put" kind={waiting ? "plain" : "main"}>
        <Select label={t("motion.vote.secrecy")} value={secrecy.value} testid="motion-secrecy" choices={SECRECIES.map((value) => ({ value, label: say(`motion.secrecy.${value}`) }))} onChange={(value) => (secrecy.value = value as Secrecy)} />
        <Select label={t("motion.vote.majority")} value={kind.value} testid="motion-majority" choices={KINDS.map((value) => ({ value, label: say(`motion.majority.${value}`) }))} onChange={(value) => (kind.value = value as MajorityKind)} />
        {kind.value !== "simple" && (
          <Select label={t("motion.vote.of")} value={of.value} testid="motion-of" choices={BASES.map((value) => ({ value, label: say(`motion.base.${value}`) }))} onChange={(value) => (of.value = value as MajorityBase)} />
        )}
      </Form>
    </section>
  );
}
