/** What a wall shows, from the meeting's snapshot or from what a room screen without a login is told. Pure. */
import type { ElectionSummary, Meeting, MeetingState, Quorum, TallyCore } from "../api/types.ts";
import type { Turn } from "../api/types_floor.ts";
import type { SiteKind, SiteState } from "../api/types_sites.ts";
import { wallIsOut } from "./closed.ts";
import { hasResult, isRunning } from "./meeting.ts";
import { presentAt } from "./sites.ts";

/** What is needed to say a result. */
export type Voted = Pick<ElectionSummary, "title" | "questions" | "secrecy" | "majority" | "tie" | "weighted" | "electorate_size" | "present_weight" | "roll_weight">;

export interface WallSite {
  site: string;
  name: string;
  kind: SiteKind;
  state: SiteState;
  present: number;
}

export interface WallItem {
  number: string;
  title: string;
}

export interface WallView {
  /** A closed session keeps this wall out. */
  closed: boolean;
  title: string;
  state: MeetingState;
  until: number;
  reason: string;
  time_zone: string;
  item: WallItem | null;
  /** What waits behind it. */
  next: WallItem[];
  speaking: Pick<Turn, "name" | "spoken_s" | "resumed_at" | "state" | "limit_s"> | null;
  floor: string[];
  queue: string[];
  quorum: Quorum;
  vote: Pick<ElectionSummary, "title" | "state" | "cast" | "electorate_size" | "ends_at"> | null;
  result: (Voted & { core: TallyCore }) | null;
  sites: WallSite[];
  /** The page of an open paper that is shown to everybody; null where the wall shows none. */
  presented: { paper: string; version: number; page: number; name: string } | null;
}

const NEXT_MAX = 5;

/** What a wall that is kept out shows of the meeting's matters. */
const NOTHING = { item: null, next: [], speaking: null, floor: [], queue: [], vote: null, result: null } satisfies Partial<WallView>;

export function wallOf(meeting: Meeting): WallView {
  const place = meeting.agenda.findIndex((one) => one.state === "current");
  const item = meeting.agenda[place];
  const next = meeting.agenda.slice(place + 1).filter((one) => one.state === "waiting" && !one.internal);
  const declared = meeting.elections.filter((one) => hasResult(one) && one.agenda_item === item?.id).at(-1);
  const { now, queue } = meeting.speaking;
  const closed = wallIsOut(meeting);
  return {
    closed,
    title: meeting.title,
    state: meeting.state,
    until: meeting.until,
    reason: meeting.reason,
    time_zone: meeting.time_zone,
    item: item ? { number: item.number, title: item.title } : null,
    next: next.slice(0, NEXT_MAX).map(({ number, title }) => ({ number, title })),
    speaking: now,
    floor: meeting.present.filter((person) => person.floor).map((person) => person.name),
    queue: queue.map((turn) => turn.name),
    quorum: meeting.quorum,
    vote: meeting.elections.find(isRunning) ?? null,
    result: declared?.result ? { ...declared, core: declared.result } : null,
    presented: null,
    sites: meeting.sites.map((one) => ({ site: one.site, name: one.name, kind: one.kind, state: one.state, present: presentAt(meeting, one.site) })),
    ...(closed ? NOTHING : {}),
  };
}
