/** Whether the server was reached lately, and how old what we show is. */
import { computed, signal } from "@preact/signals";
import { onReach } from "../api/fetch.ts";
import type { LinkState } from "../api/socket.ts";
import { EVERYTHING, type Step, STEPS, TEXT_ONLY } from "../media/profiles.ts";

const reached = signal(true);
const online = signal(true);

/** State of the meeting's live connection; `connected` while there is no meeting on the screen. */
export const live = signal<LinkState>("connected");
/** When the data on the screen was last known to be true (seconds). */
export const asOf = signal(0);

const SETTLED_MS = 10_000;
let settling: ReturnType<typeof setTimeout> | undefined;
/** The live connection has stood for so long that what does not come by another way is no longer only late. */
export const settled = signal(true);
live.subscribe((state) => {
  clearTimeout(settling);
  if (state !== "connected") settled.value = false;
  else if (!settled.peek()) settling = setTimeout(() => (settled.value = true), SETTLED_MS);
});

export const offline = computed(() => !online.value || !reached.value || live.value === "lost");

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

export function fresh(): void {
  asOf.value = nowSeconds();
}

/** What was kept at this time is on the screen, until the server answers. */
export function showsKept(at: number): void {
  if (at > 0) asOf.value = at;
}

const PROBE_MS = 5_000;

/** Watches the network; while the server is out of reach, `probe` asks for it again and again. */
export function startLink(probe: () => Promise<unknown>): void {
  const ask = (): void => void probe().catch(() => undefined);
  online.value = navigator.onLine;
  addEventListener("online", () => {
    online.value = true;
    ask();
  });
  setInterval(() => {
    if (!reached.peek()) ask();
  }, PROBE_MS);
  addEventListener("offline", () => (online.value = false));
  onReach((ok) => {
    reached.value = ok;
    if (ok) fresh();
  });
}

const STORED = "folkmoot.ladder";

function stored(): Step {
  try {
    return STEPS.find((step) => String(step) === localStorage.getItem(STORED)) ?? EVERYTHING;
  } catch {
    return EVERYTHING; // storage may be blocked
  }
}

/** The highest step of the ladder that the member wants on this device. */
export const ceiling = signal<Step>(stored());

/** Takes the member's switch, here and for the next time. */
export function chooseCeiling(step: Step): void {
  ceiling.value = step;
  try {
    localStorage.setItem(STORED, String(step));
  } catch {
    // storage may be blocked; the choice then lasts for this page
  }
}

const SOUND = "folkmoot.companion-sound";

/** In a hall a phone begins without sound and pictures, unless its owner asked for them in this tab. */
export function enterHall(): void {
  try {
    if (sessionStorage.getItem(SOUND) !== null) return;
  } catch {
    // storage may be blocked; silence is the safe side
  }
  ceiling.value = TEXT_ONLY;
}

/** The member wants sound on this phone although it is in a hall. */
export function soundWanted(): void {
  try {
    sessionStorage.setItem(SOUND, "on");
  } catch {
    // storage may be blocked; the wish then lasts for this page
  }
}
