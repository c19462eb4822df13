/**
 * Does what a page does with a history: applies its events to a snapshot, and says where the page would go on with
 * something else than the snapshot of that moment. Run by tests/server/test_page_state.py with the history's file.
 */
import { readFileSync } from "node:fs";
import type { Meeting, MeetingEvent } from "../src/api/types.ts";
import { apply } from "../src/state/meeting.ts";

interface Step {
  events: MeetingEvent[];
  snapshot: Meeting;
}

interface Wrong {
  viewer: string;
  events: string[];
  places: string[];
}

/** Where two JSON values differ, as paths. */
function differences(ours: unknown, theirs: unknown, path = ""): string[] {
  if (JSON.stringify(ours) === JSON.stringify(theirs)) return [];
  const objects = typeof ours === "object" && typeof theirs === "object" && ours !== null && theirs !== null;
  if (!objects || Array.isArray(ours) !== Array.isArray(theirs)) return [`${path}: ${JSON.stringify(ours)} is ${JSON.stringify(theirs)}`];
  const keys = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  return keys.flatMap((key) => differences((ours as Record<string, unknown>)[key], (theirs as Record<string, unknown>)[key], `${path}.${key}`));
}

/**
 * Left out: what no page looks at (the role member of who is present, when who speaks had asked for it), and what only
 * a member's own vote changes, after which the page fetches by itself.
 */
const seen = ({ present, speaking, elections, ...rest }: Meeting): object => ({
  ...rest,
  speaking: { ...speaking, now: speaking.now && { ...speaking.now, asked_at: 0 } },
  present: present.map((one) => ({ ...one, roles: one.roles.filter((role) => role !== "member") })),
  elections: elections.map((one) => ({ ...one, voted: false, me: { ...one.me, seq: 0 } })),
});

const histories = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Record<string, Step[]>;
const wrong: Wrong[] = [];
const fetched: Record<string, number> = {};
const alone: Record<string, number> = {};
for (const [viewer, [first, ...steps]] of Object.entries(histories)) {
  let meeting = first?.snapshot as Meeting;
  for (const { events, snapshot } of steps) {
    const stale: string[] = [];
    for (const event of events) {
      const applied = apply(meeting, event);
      meeting = applied.meeting;
      if (applied.stale) stale.push(event.type);
    }
    for (const type of stale) fetched[type] = (fetched[type] ?? 0) + 1;
    if (stale.length === 0 && events.length > 0) {
      for (const { type } of events) alone[type] = (alone[type] ?? 0) + 1;
      const places = differences(seen(meeting), seen(snapshot));
      if (places.length > 0) wrong.push({ viewer, events: events.map(({ type }) => type), places });
    }
    meeting = snapshot;
  }
}
process.stdout.write(JSON.stringify({ wrong, fetched, alone }));
