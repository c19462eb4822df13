/** The server's time on this device, for clocks that everybody reads alike. */
import { signal } from "@preact/signals";

const deviceS = (): number => Date.now() / 1000;

/** By how many seconds the server is ahead of this device. */
const ahead = signal(0);
let asked = false;

/** Asks the server once what time it is; half a second more or less does not matter. */
export async function learnServerTime(): Promise<void> {
  if (asked) return;
  asked = true;
  try {
    const begun = deviceS();
    const answer = await fetch("/healthz", { cache: "no-store" });
    const told = Date.parse(answer.headers.get("date") ?? "") / 1000;
    // The header names whole seconds: the middle of the second and of the way is the best guess.
    if (Number.isFinite(told)) ahead.value = told + 0.5 - (begun + deviceS()) / 2;
  } catch {
    asked = false;
  }
}

/** Seconds since 1970 by the server's clock. */
export const serverNow = (): number => Math.floor(deviceS() + ahead.value);
