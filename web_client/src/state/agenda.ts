/** Where a move puts an item of the agenda, said relative to its neighbours. Pure. */
import type { AgendaItem } from "../api/types.ts";
import type { ItemPlace } from "../api/types_conduct.ts";

export type Move = "up" | "down" | "in" | "out";
export const MOVES: readonly Move[] = ["up", "down", "out", "in"];
/** As many levels as the server takes. */
export const DEPTH_MAX = 4;

/** How deep an item stands by its number, 0 at the top. */
export const levelOf = (item: { number: string }): number => item.number.split(".").length - 1;

type Item = Pick<AgendaItem, "id" | "parent">;

const depthOf = (items: readonly Item[], id: string): number => {
  const item = items.find((one) => one.id === id);
  return item === undefined ? 0 : 1 + depthOf(items, item.parent);
};

function heightOf(items: readonly Item[], id: string): number {
  return 1 + Math.max(0, ...items.filter((one) => one.parent === id).map((one) => heightOf(items, one.id)));
}

/** The place that a move asks for, or null where it cannot go. `items` are in reading order. */
export function placeAfter(items: readonly Item[], id: string, move: Move): ItemPlace | null {
  const item = items.find((one) => one.id === id);
  if (item === undefined) return null;
  const siblings = items.filter((one) => one.parent === item.parent);
  const at = siblings.findIndex((one) => one.id === id);
  switch (move) {
    case "up":
      return at === 0 ? null : { parent: item.parent, after: siblings[at - 2]?.id ?? "" };
    case "down": {
      const next = siblings[at + 1];
      return next === undefined ? null : { parent: item.parent, after: next.id };
    }
    case "in": {
      const before = siblings[at - 1];
      if (before === undefined || depthOf(items, before.id) + heightOf(items, id) > DEPTH_MAX) return null;
      return { parent: before.id, after: items.filter((one) => one.parent === before.id).at(-1)?.id ?? "" };
    }
    case "out": {
      const parent = items.find((one) => one.id === item.parent);
      return parent === undefined ? null : { parent: parent.parent, after: parent.id };
    }
  }
}
