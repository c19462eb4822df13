/** Addresses and the screen that each of them shows. */
import { computed, signal } from "@preact/signals";

const ROUTES = {
  home: "/",
  signIn: "/sign-in",
  enrol: "/enrol",
  guest: "/guest",
  organisation: "/organisation",
  receipts: "/receipts",
  passkeys: "/passkeys",
  newMeeting: "/meetings/new",
  meeting: "/meetings/:id",
  prepare: "/meetings/:id/prepare",
  checkIn: "/meetings/:id/check-in",
  room: "/meetings/:id/room/:panel?",
  teller: "/meetings/:id/teller",
  audit: "/meetings/:id/audit",
  minutes: "/meetings/:id/minutes",
  motions: "/meetings/:id/motions",
  resolutions: "/resolutions/:id",
  agenda: "/meetings/:id/agenda",
  notice: "/meetings/:id/notice",
  projector: "/meetings/:id/screen",
  sites: "/meetings/:id/sites",
  hall: "/meetings/:id/hall/:panel",
  attendance: "/meetings/:id/attendance",
  wall: "/screen",
} as const;

export type RouteName = keyof typeof ROUTES | "unknown";
export interface Route {
  name: RouteName;
  id: string;
  panel: string;
}

/** The screen that is likely to be asked for next: what it needs comes before. */
export const expected = signal<RouteName | null>(null);

/** The first route whose pattern fits the path; ids come back decoded. */
export function match(path: string): Route {
  const parts = path.split("/").filter(Boolean);
  for (const [name, pattern] of Object.entries(ROUTES)) {
    const found = fits(pattern.split("/").filter(Boolean), parts);
    if (found) return { name: name as RouteName, id: found["id"] ?? "", panel: found["panel"] ?? "" };
  }
  return { name: "unknown", id: "", panel: "" };
}

function fits(pattern: readonly string[], parts: readonly string[]): Record<string, string> | null {
  const required = pattern.filter((piece) => !piece.endsWith("?")).length;
  if (parts.length < required || parts.length > pattern.length) return null;
  const params: Record<string, string> = {};
  for (const [i, piece] of pattern.entries()) {
    const part = parts[i];
    if (part === undefined) continue;
    if (piece.startsWith(":")) params[piece.replace(/[:?]/g, "")] = decode(part);
    else if (piece !== part) return null;
  }
  return params;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const path = signal(typeof location === "undefined" ? "/" : location.pathname);
export const route = computed(() => match(path.value));

/** Goes to an address of this application without loading a page. */
export function navigate(to: string, replace = false): void {
  if (to !== location.pathname) history[replace ? "replaceState" : "pushState"](null, "", to);
  path.value = location.pathname;
}

/** Follows links inside the application and the browser's back button. */
export function startRouter(): void {
  addEventListener("popstate", () => (path.value = location.pathname));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (match(link.pathname).name === "unknown" || link.hash) return;
    event.preventDefault();
    navigate(link.pathname);
  });
}
