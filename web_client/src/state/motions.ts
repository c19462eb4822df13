/** Motions from events. Pure; what an event does not say comes with the next snapshot. */
import type { Meeting } from "../api/types.ts";
import type { FloorEvent, Motion, MotionState } from "../api/types_floor.ts";

type BodyOf<T extends FloorEvent["type"], E = FloorEvent> = E extends { type: infer U; body: infer B } ? (T extends U ? B : never) : never;
type Names =
  | "MotionSubmitted"
  | "MotionChanged"
  | "MotionSeconded"
  | "MotionAdmitted"
  | "MotionWithdrawn"
  | "MotionReferred"
  | "AmendmentSetBack"
  | "MotionRulesSet"
  | "MotionPutToVote"
  | "MotionDecided"
  | "TextAmended"
  | "ConflictDeclared"
  | "ResolutionAdopted";
type Handlers = { [T in Names]: (meeting: Meeting, body: BodyOf<T>) => Meeting };

/** Events after which paragraphs, collisions or versions are other ones. */
export const MOTIONS_INCOMPLETE: readonly Names[] = ["MotionSubmitted", "MotionChanged", "AmendmentSetBack", "TextAmended", "MotionDecided", "MotionWithdrawn", "MotionReferred"];

function set(meeting: Meeting, motion: string, fields: (one: Motion) => Partial<Motion>): Meeting {
  return { ...meeting, motions: meeting.motions.map((one) => (one.motion === motion ? { ...one, ...fields(one) } : one)) };
}

const inState = (meeting: Meeting, motion: string, state: MotionState): Meeting => set(meeting, motion, () => ({ state }));

function second(one: Motion, body: { member: string; name: string }): Partial<Motion> {
  const seconders = [...one.seconders.filter(({ member }) => member !== body.member), { member: body.member, name: body.name }];
  const enough = one.state === "submitted" && !one.collides && seconders.length >= Math.max(1, one.seconders_needed);
  return { seconders, version: one.version + 1, ...(enough ? { state: "seconded" } : {}) };
}

export const MOTIONS: Handlers = {
  MotionSubmitted: (m) => m,
  MotionChanged: (m, body) => set(m, body.motion, () => ({ title: body.title, hash: body.hash, version: body.version })),
  MotionSeconded: (m, body) => set(m, body.motion, (one) => second(one, body)),
  MotionAdmitted: (m, body) => inState(m, body.motion, "admitted"),
  MotionWithdrawn: (m, body) => inState(m, body.motion, "withdrawn"),
  MotionReferred: (m, body) => inState(m, body.motion, "referred"),
  AmendmentSetBack: (m, body) => set(m, body.motion, () => ({ state: "submitted", collides: true })),
  MotionRulesSet: (m, body) => ({ ...m, motion_rules: body }),
  MotionPutToVote: (m, body) => inState(m, body.motion, "voting"),
  MotionDecided: (m, body) => inState(m, body.motion, body.outcome === "undecided" ? "admitted" : body.outcome),
  TextAmended: (m, body) => set(m, body.motion, () => ({ hash: body.hash })),
  ConflictDeclared: (m, body) =>
    set(m, body.motion, (one) => ({ conflicts: [...one.conflicts.filter((member) => member !== body.member), ...(body.declared ? [body.member] : [])] })),
  ResolutionAdopted: (m, body) => set(m, body.motion, () => ({ resolution: body.resolution })),
};

const LIVE: ReadonlySet<MotionState> = new Set<MotionState>(["submitted", "seconded", "admitted", "voting"]);

/** Public and not decided. */
export const isLive = (motion: Motion): boolean => LIVE.has(motion.state);

/** Motions in the order of an agenda item's debate: each with its amendments behind it. */
export function grouped(motions: readonly Motion[]): Motion[] {
  const mains = motions.filter((one) => one.base === "");
  return mains.flatMap((main) => [main, ...motions.filter((one) => one.base === main.motion)]);
}

/** The undecided amendments that come before a motion. */
export const openAmendments = (meeting: Meeting, motion: Motion): Motion[] => meeting.motions.filter((one) => one.base === motion.motion && isLive(one));

/** Whether the member is a mover. */
export const movedBy = (motion: Motion, member: string): boolean => motion.movers.some((one) => one.member === member);
