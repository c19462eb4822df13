/** On which hall's computer this tab is. Kept for the tab: whoever opens the room there opens it for the hall. */
import type { ApiError } from "../api/call.ts";
import type { Meeting } from "../api/types.ts";
import type { PapersHere } from "../api/types_sites.ts";

/** What the server says to the page of a hall with each lease. */
export interface HallLease {
  /** Why this page does not keep the hall connected; null while it does, or while there is nothing to keep. */
  refused: ApiError | null;
  /** What the relay of the hall has of the papers; null where there is no relay. */
  papers: PapersHere | null;
}

export const NO_LEASE: HallLease = { refused: null, papers: null };

/** Says nothing of the hall: there is no room yet or any more, or the server asks to wait. */
const PASSING = /^(meeting\.wrong-state|socket\..*|server\..*)$/;

const isPapers = (value: unknown): value is PapersHere => typeof value === "object" && value !== null && "here" in value && "of" in value;

/** What the page shows after a lease. */
export function leased(before: HallLease, answer: unknown, refused: ApiError | null): HallLease {
  if (refused !== null) return PASSING.test(refused.code) ? before : { ...before, refused };
  const papers = typeof answer === "object" && answer !== null && "papers" in answer ? answer.papers : null;
  return { refused: null, papers: isPapers(papers) ? papers : null };
}

const held = new Map<string, string>();
const key = (meeting: string): string => `folkmoot.hall.${meeting}`;

/** This tab shows the page of a hall to its custodian. */
export function keepHall(meeting: string, site: string): void {
  held.set(meeting, site);
  try {
    sessionStorage.setItem(key(meeting), site);
  } catch {
    // storage may be blocked; after a reload the hall's page has to be opened again
  }
}

function recall(meeting: string): string {
  try {
    return held.get(meeting) ?? sessionStorage.getItem(key(meeting)) ?? "";
  } catch {
    return "";
  }
}

/** The hall on whose computer this tab is; empty when it is none, or when somebody else is signed in by now. */
export function hallHere(id: string, meeting: Meeting | null): string {
  const site = recall(id);
  if (meeting === null || site === "") return site;
  return meeting.sites.some((one) => one.site === site && one.custodian === meeting.me.member) ? site : "";
}
