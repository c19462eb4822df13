/** The wire's JSON shapes of papers, visitors and messages (docs/spec/conduct.md, sections 7 and 8). */

export type PaperClass = "open" | "members" | "restricted";
export const PAPER_CLASSES: readonly PaperClass[] = ["open", "members", "restricted"];
export type PaperState = "rendering" | "ready" | "refused";

export interface PaperVersion {
  version: number;
  sha256: string;
  size: number;
  type: "pdf" | "png" | "jpeg" | "webp" | "text";
  pages: number;
  at: number;
  by: string;
  state: PaperState;
  refusal: string;
}

export interface Paper {
  paper: string;
  item: string;
  name: string;
  class: PaperClass;
  version: number;
  versions: PaperVersion[];
  state: PaperState;
  refusal: string;
}

/** A page that is shown to everybody; `paper` is empty when none is, or when it is not for this person (not `open`). */
export interface Shown {
  paper: string;
  version: number;
  page: number;
  open?: boolean;
}

export interface Papers {
  papers: Paper[];
  presenting: Shown | null;
}

export interface PaperRead {
  member: string;
  name: string;
  at: number;
  version: number;
}

export type VisitorKind = "guest" | "observer";
export type VisitorState = "waiting" | "admitted" | "refused" | "left" | "removed";

export interface Visitor {
  visitor: string;
  name: string;
  kind: VisitorKind;
}

export interface LobbyLine extends Visitor {
  invited: string;
  state: VisitorState;
  at: number;
}

/** What a session says beside a member's own when it is a guest's. */
export interface GuestPart {
  guest?: string;
  meeting?: string;
  state?: VisitorState;
}

export type MessageKind = "chat" | "question" | "answer";

export interface Message {
  id: number;
  person: string;
  name: string;
  kind: MessageKind;
  to: number;
  text: string;
  at: number;
  hidden: boolean;
  reason: string;
  votes: number;
}

export interface Support {
  id: number;
  votes: number;
  mine: boolean;
}

export interface MessageRules {
  chat: boolean;
  questions: boolean;
  visitors: boolean;
}

/** What a snapshot says of visitors and messages; absent from one that was kept by an earlier version. */
export interface RoomPart {
  visitors?: Visitor[];
  messages?: MessageRules & { last: number };
}

export type RoomEvent =
  | { type: "PaperAdded"; body: { paper: string; item: string; name: string; version: number; sha256: string } }
  | { type: "PaperChanged"; body: { paper: string; item: string; name: string } }
  | { type: "PaperRemoved"; body: { paper: string } }
  | { type: "PagePresented"; body: Shown }
  | { type: "LobbyEntered"; body: { visitor: string; kind: VisitorKind } }
  | { type: "VisitorAdmitted"; body: Visitor }
  | { type: "VisitorRefused"; body: { visitor: string } }
  | { type: "VisitorLeft" | "VisitorRemoved"; body: { visitor: string; name: string } }
  | { type: "MessagePosted"; body: { id: number; kind: MessageKind } }
  | { type: "MessageHidden"; body: { id: number; reason: string } }
  | { type: "MessageRulesSet"; body: MessageRules };
