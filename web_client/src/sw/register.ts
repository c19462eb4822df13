/** Installs the worker that lets the pages start without a network, and hears of newer builds. */
import { signal } from "@preact/signals";
import type { Said } from "./course.ts";

/** True when this page is of an older build than the one that waits on this device. */
export const newVersion = signal(false);

const NEW_VERSION: Said = "new-version";
const LOOK_AGAIN_MS = 3_600_000;

/** The script that this page began with; its name tells the build. */
const ownScript = (): string => new URL(document.querySelector<HTMLScriptElement>("script[type=module]")?.src ?? "", location.href).pathname;

/** Tells an installed worker which build this page is of; it takes over or says that it is newer. */
const tell = (worker: ServiceWorker | null): void => worker?.postMessage(ownScript());

function watch(registration: ServiceWorkerRegistration): void {
  tell(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const coming = registration.installing;
    coming?.addEventListener("statechange", () => {
      if (coming.state === "installed" && registration.waiting === coming) tell(coming);
    });
  });
  // A page that stays open for days hears of a new build too.
  setInterval(() => void registration.update().catch(() => undefined), LOOK_AGAIN_MS);
}

async function register(container: ServiceWorkerContainer): Promise<void> {
  container.addEventListener("message", (event: MessageEvent<unknown>) => {
    if (event.data === NEW_VERSION) newVersion.value = true;
  });
  try {
    await container.register("/sw.js", { updateViaCache: "none" });
    const registration = await container.getRegistration();
    if (registration) watch(registration);
  } catch {
    // refused by the browser, or the server is away: the page works as it does without
  }
}

/** Registers once the page has loaded: the worker's files come after the page's own. */
export function startWorker(): void {
  const { serviceWorker: container } = navigator as { serviceWorker?: ServiceWorkerContainer };
  if (!container || !import.meta.env.PROD) return;
  const begin = (): void => void register(container);
  if (document.readyState === "complete") begin();
  else addEventListener("load", begin, { once: true });
}
