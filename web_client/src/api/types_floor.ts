/** The wire's JSON shapes of speakers and motions (docs/spec/conduct.md, sections 5 and 6). */
import type { MajorityBase, MajorityKind, Secrecy } from "./types.ts";

export type TurnKind = "contribution" | "pro" | "contra" | "point-of-order" | "reply";

export interface Turn {
  turn: string;
  person: string;
  name: string;
  kind: TurnKind;
  /** Of a point of order, 0 the most urgent. */
  category: number;
  group: string;
  state: "queued" | "speaking" | "paused" | "done" | "withdrawn";
  asked_at: number;
  begun_at: number;
  /** 0 for none. */
  limit_s: number;
  /** Spoken before the clock was started last. */
  spoken_s: number;
  /** Since when the clock runs, or 0. */
  resumed_at: number;
}

export interface SpeakingRules {
  turn_s: number;
  group_s: number;
  order_s: number;
}

export interface GroupTime {
  group: string;
  name: string;
  spoken_s: number;
}

export interface Speaking extends SpeakingRules {
  open: boolean;
  /** In the order in which it is called. */
  queue: Turn[];
  now: Turn | null;
  groups: GroupTime[];
  /** How many turns for and against have begun in this item. */
  pro: number;
  contra: number;
}

export type MotionState = "draft" | "submitted" | "seconded" | "admitted" | "voting" | "carried" | "rejected" | "withdrawn" | "referred";

export interface Backer {
  member: string;
  name: string;
}

export interface Motion {
  motion: string;
  /** Empty until it is submitted. */
  number: string;
  base: string;
  item: string;
  title: string;
  hash: string;
  /** Paragraphs that an amendment replaces, counted from 0, without `to`. */
  from: number;
  to: number;
  base_hash: string;
  movers: Backer[];
  seconders: Backer[];
  seconders_needed: number;
  state: MotionState;
  collides: boolean;
  collides_with: string[];
  conflicts: string[];
  elections: string[];
  resolution: string;
  version: number;
}

export interface MotionText extends Motion {
  text: string;
}

export type DiffOp = "keep" | "delete" | "insert";

export interface DiffLine {
  op: DiffOp | "change";
  paragraph: number;
  text: string;
  words: { op: DiffOp; text: string }[];
}

export interface Resolution {
  id: string;
  resolution: string;
  unit: string;
  title: string;
  hash: string;
  meeting: string;
  election: string;
  adopted_at: number;
}

export type MotionAct = "submit" | "second" | "withdraw" | "admit" | "refer" | "rebase";

export interface MotionVote {
  secrecy: Secrecy;
  majority: { kind: MajorityKind; of: MajorityBase };
  tie: string;
}

/** Paragraphs of a base, as they stand in the text with this hash. */
export interface MotionPlace {
  base_hash: string;
  from: number;
  to: number;
}

/** What a snapshot says beside wire.md. */
export interface FloorMeeting {
  speaking: Speaking;
  motions: Motion[];
  motion_rules: { seconders: number };
}

interface OfMotion {
  motion: string;
}

interface OfTurn {
  member: string;
  turn: string;
}

export type FloorEvent =
  | { type: "HandRaised"; body: OfTurn & { kind: TurnKind; category: number; name: string; group: string } }
  | { type: "HandLowered"; body: OfTurn }
  | { type: "FloorGranted"; body: OfTurn & { kind: TurnKind; limit_s: number; name: string; group: string } }
  | { type: "FloorWithdrawn"; body: OfTurn & { spoken_s: number } }
  | { type: "SpeakingRulesSet"; body: SpeakingRules }
  | { type: "TurnPaused"; body: { turn: string; spoken_s: number } }
  | { type: "TurnResumed"; body: { turn: string } }
  | { type: "TurnExtended"; body: { turn: string; seconds: number } }
  | { type: "QueueClosed" | "QueueOpened"; body: object }
  | {
      type: "MotionSubmitted";
      body: OfMotion & { number: string; base: string; item: string; title: string; hash: string; movers: Backer[]; seconders_needed: number };
    }
  | { type: "MotionChanged"; body: OfMotion & { title: string; hash: string; version: number } }
  | { type: "MotionSeconded"; body: OfMotion & Backer }
  | { type: "MotionAdmitted" | "MotionWithdrawn" | "MotionReferred" | "AmendmentSetBack"; body: OfMotion }
  | { type: "MotionRulesSet"; body: { seconders: number } }
  | { type: "MotionPutToVote"; body: OfMotion & { election: string } }
  | { type: "MotionDecided"; body: OfMotion & { outcome: "carried" | "rejected" | "undecided"; election: string } }
  | { type: "TextAmended"; body: OfMotion & { hash: string; by: string } }
  | { type: "ConflictDeclared"; body: OfMotion & Backer & { declared: boolean } }
  | { type: "ResolutionAdopted"; body: OfMotion & { resolution: string; title: string; hash: string } };

export type FloorCommand =
  | { command: "raise-hand"; kind: TurnKind; category: number }
  | { command: "yield-floor" | "next-speaker" | "pause-turn" | "resume-turn" | "close-queue" | "open-queue" }
  | { command: "extend-turn"; seconds: number };
