/** Whether the microphone's button is a way out of the chair's mute: one rule, in the bar and beside the booth. */
import type { Meeting } from "../../api/types.ts";
import { visits } from "../../state/visitors.ts";

/** Whether this page is in a hall, which is heard while somebody there has the floor, with one microphone. */
export const inHall = (meeting: Meeting, hall: boolean): boolean => hall || meeting.me.companion === true;

/**
 * The chair's mute of a member. The hall's computer (`hall`) is not the member who looks after it; what the server says
 * of a seat in a hall (`byChair`) may only mean that nobody there has the floor, and of a visitor the same.
 */
export function isMuted(meeting: Meeting, hall: boolean, byChair: boolean): boolean {
  if (visits(meeting)) return false;
  const member = !hall && meeting.present.some((person) => person.member === meeting.me.member && person.muted);
  return member || (byChair && !inHall(meeting, hall));
}
