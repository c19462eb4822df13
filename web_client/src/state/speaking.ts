/** The queue and the turn on the floor, from events. Pure; the order is that of domain/speaking.py, on the same cases. */
import type { Meeting } from "../api/types.ts";
import type { FloorEvent, Speaking, Turn, TurnKind } from "../api/types_floor.ts";

type BodyOf<T extends FloorEvent["type"], E = FloorEvent> = E extends { type: infer U; body: infer B } ? (T extends U ? B : never) : never;
type Names = "HandRaised" | "HandLowered" | "FloorGranted" | "FloorWithdrawn" | "SpeakingRulesSet" | "TurnPaused" | "TurnResumed" | "TurnExtended" | "QueueClosed" | "QueueOpened";
type Handlers = { [T in Names]: (meeting: Meeting, body: BodyOf<T>, at: number) => Meeting };

export const KINDS: readonly TurnKind[] = ["contribution", "pro", "contra", "point-of-order", "reply"];
const isSide = (turn: Turn): boolean => turn.kind === "pro" || turn.kind === "contra";

/** What the order of the queue depends on beside the queue itself. */
export interface Spent {
  group_s: number;
  groups: readonly { group: string; spoken_s: number }[];
  pro: number;
  contra: number;
}

const byNumber = (a: Turn, b: Turn): number => Number(a.turn) - Number(b.turn);

/** The queue in the order in which it is called (conduct.md, section 5). */
export function order(queue: readonly Turn[], spent: Spent): Turn[] {
  const waiting = [...queue].sort(byNumber);
  const urgent = waiting.filter((turn) => turn.kind === "point-of-order").sort((a, b) => a.category - b.category || byNumber(a, b));
  const rest = waiting.filter((turn) => turn.kind !== "point-of-order");
  const spoken = new Map(spent.groups.map(({ group, spoken_s }) => [group, spoken_s]));
  const hasTime = (turn: Turn): boolean => !spent.group_s || turn.group === "" || (spoken.get(turn.group) ?? 0) < spent.group_s;
  return [...urgent, ...inTurn(rest.filter(hasTime), spent), ...inTurn(rest.filter((turn) => !hasTime(turn)), spent)];
}

function inTurn(waiting: readonly Turn[], spent: Spent): Turn[] {
  const pro = waiting.filter((turn) => turn.kind === "pro");
  const contra = waiting.filter((turn) => turn.kind === "contra");
  const [firstPro, firstContra] = [pro[0], contra[0]];
  if (!firstPro || !firstContra) return [...waiting];
  const proFirst = spent.pro === spent.contra ? byNumber(firstPro, firstContra) < 0 : spent.pro < spent.contra;
  const [first, second] = proFirst ? [pro, contra] : [contra, pro];
  const called: Turn[] = [];
  for (let at = 0; at < Math.max(first.length, second.length); at += 1) called.push(...first.slice(at, at + 1), ...second.slice(at, at + 1));
  let next = 0;
  return waiting.map((turn) => (isSide(turn) ? (called[next++] ?? turn) : turn));
}

/** Seconds spoken until `now` (server time), pauses left out. */
export const spokenAt = (turn: Pick<Turn, "spoken_s" | "state" | "resumed_at">, now: number): number => turn.spoken_s + (turn.state === "speaking" ? Math.max(0, now - turn.resumed_at) : 0);

function change(meeting: Meeting, member: string, fields: Partial<Meeting["present"][number]>): Meeting {
  return { ...meeting, present: meeting.present.map((p) => (p.member === member ? { ...p, ...fields } : p)) };
}

function speak(meeting: Meeting, fields: Partial<Speaking>): Meeting {
  const speaking = { ...meeting.speaking, ...fields };
  return { ...meeting, speaking: { ...speaking, queue: order(speaking.queue, speaking) } };
}

function onFloor(meeting: Meeting, turn: string, fields: (now: Turn) => Partial<Turn>): Meeting {
  const { now } = meeting.speaking;
  return now?.turn === turn ? speak(meeting, { now: { ...now, ...fields(now) } }) : meeting;
}

const without = (meeting: Meeting, turn: string): Turn[] => meeting.speaking.queue.filter((one) => one.turn !== turn);

function raise(meeting: Meeting, body: BodyOf<"HandRaised">, at: number): Meeting {
  const turn: Turn = { turn: body.turn, person: body.member, name: body.name, kind: body.kind, category: body.category, group: body.group, state: "queued", asked_at: at, begun_at: 0, limit_s: 0, spoken_s: 0, resumed_at: 0 };
  return speak(change(meeting, body.member, { hand: at }), { queue: [...without(meeting, body.turn), turn] });
}

function grant(meeting: Meeting, body: BodyOf<"FloorGranted">, at: number): Meeting {
  const now: Turn = { turn: body.turn, person: body.member, name: body.name, kind: body.kind, category: 0, group: body.group, state: "speaking", asked_at: at, begun_at: at, limit_s: body.limit_s, spoken_s: 0, resumed_at: at };
  const { pro, contra } = meeting.speaking;
  const counts = { pro: pro + Number(body.kind === "pro"), contra: contra + Number(body.kind === "contra") };
  return speak(change(meeting, body.member, { floor: true, hand: null }), { now, queue: without(meeting, body.turn), ...counts });
}

function withdraw(meeting: Meeting, body: BodyOf<"FloorWithdrawn">): Meeting {
  const { now, groups } = meeting.speaking;
  const after = change(meeting, body.member, { floor: false });
  if (now?.turn !== body.turn) return after;
  if (!now.group || now.kind === "point-of-order") return speak(after, { now: null });
  const known = groups.find((one) => one.group === now.group) ?? { group: now.group, name: "", spoken_s: 0 };
  const more = { ...known, spoken_s: known.spoken_s + body.spoken_s };
  return speak(after, { now: null, groups: [...groups.filter((one) => one.group !== now.group), more] });
}

export const SPEAKING: Handlers = {
  HandRaised: raise,
  HandLowered: (m, body) => speak(change(m, body.member, { hand: null }), { queue: without(m, body.turn) }),
  FloorGranted: grant,
  FloorWithdrawn: withdraw,
  SpeakingRulesSet: (m, body) => speak(m, body),
  TurnPaused: (m, body) => onFloor(m, body.turn, () => ({ state: "paused", spoken_s: body.spoken_s, resumed_at: 0 })),
  TurnResumed: (m, body, at) => onFloor(m, body.turn, () => ({ state: "speaking", resumed_at: at })),
  TurnExtended: (m, body) => onFloor(m, body.turn, (now) => ({ limit_s: now.limit_s + body.seconds })),
  QueueClosed: (m) => speak(m, { open: false }),
  QueueOpened: (m) => speak(m, { open: true }),
};

/** Another item has its own talk time; what was queued for the old one ends with events of its own. */
export const forNewItem = (meeting: Meeting): Meeting => speak(meeting, { groups: [], pro: 0, contra: 0 });

/** My place in the queue from 1, or 0. */
export const placeOf = (meeting: Meeting, person: string): number => meeting.speaking.queue.findIndex((turn) => turn.person === person) + 1;
