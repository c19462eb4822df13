/** The wire's JSON shapes of states, notice, agenda and chair (docs/spec/conduct.md, sections 1 to 4). */

/** States of a meeting beside draft, convened, checking-in, opened and closed. */
export type ConductState = "recess" | "quorum-lost" | "adjourned" | "cancelled";

export interface ConductItem {
  parent: string;
  position: number;
  /** As in "2.1", without a hole for who does not see internal items. */
  number: string;
  /** Planned; 0 for none. */
  minutes: number;
  internal: boolean;
  /** The title of the meeting that it was carried over from, or empty. */
  carried_from: string;
  version: number;
}

export type Receipt = "delivered" | "read";

export interface OwnNotice {
  state: "sent" | Receipt;
  excused: boolean;
  reason: string;
}

export interface OneMember {
  member: string;
  name: string;
}

/** What a snapshot says beside wire.md. */
export interface ConductMeeting {
  notice_days: number;
  /** Until when convening is in time, or 0 where no notice period is asked for. */
  notice_latest: number;
  waived: boolean;
  binding: boolean;
  /** The announced end of a recess or an adjournment, or 0. */
  until: number;
  /** Why it was cancelled. */
  reason: string;
  presiding: OneMember | null;
  offered_to: OneMember | null;
  /** Whose link was lost while presiding, or empty. */
  lost_chair: string;
  deputies: OneMember[];
}

export interface ConductCard {
  until: number;
  /** What became of my own notice; empty for who was not called. */
  notice: "" | OwnNotice["state"];
  excused: boolean;
}

export interface NoticeLine extends OneMember {
  sent_at: number;
  delivered_at: number;
  read_at: number;
  excused: boolean;
  reason: string;
}

export interface Notices {
  notices: NoticeLine[];
  sent: number;
  delivered: number;
  read: number;
  excused: number;
}

export interface Template {
  id: string;
  name: string;
  items: number;
}

export type Every = "week" | "fortnight" | "month";

export interface ItemText {
  title: string;
  minutes: number;
  internal: boolean;
}

export interface ItemPlace {
  parent: string;
  after: string;
}

interface ItemBody {
  item: string;
}

export type ConductEvent =
  | { type: "MeetingCancelled" | "NoticeWaived"; body: { reason: string } }
  | { type: "MeetingRescheduled"; body: { starts_at: number; time_zone: string } }
  | { type: "MemberExcused" | "ExcuseWithdrawn" | "ChairTaken" | "ChairResumed"; body: OneMember }
  | { type: "RecessBegan"; body: { until: number } }
  | { type: "MeetingResumed" | "MeetingContinued"; body: object }
  | { type: "MeetingAdjourned"; body: { continues_at: number } }
  | { type: "AgendaItemAdded"; body: ItemBody & ItemPlace & ItemText & { carried_from: string } }
  | { type: "AgendaItemChanged"; body: ItemBody & ItemText & { version: number } }
  | { type: "AgendaItemMoved"; body: ItemBody & ItemPlace }
  | { type: "AgendaItemRemoved"; body: ItemBody }
  | { type: "AgendaItemDeferred"; body: ItemBody & { title: string } }
  | { type: "HandoverOffered" | "ChairHandedOver" | "DeputyPresides"; body: { from: string; to: string; name: string } }
  | { type: "ElectionAborted"; body: { election: string; reason: string } }
  | { type: "VoteTimerSet"; body: { election: string; ends_at: number; reason: string } };

export type ConductCommand =
  | { command: "resume" | "resume-chair" }
  | { command: "cancel"; reason: string }
  | { command: "reschedule"; starts_at: number; time_zone: string }
  | { command: "recess"; until: number }
  | { command: "adjourn"; continues_at: number }
  | { command: "defer-item"; item: string };
