/** The server's time, for clocks that run while a screen is shown. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { learnServerTime, serverNow } from "../state/server_time.ts";

/** The server's seconds, again every half second while it runs. */
export function useServerTime(): Signal<number> {
  const now = useSignal(serverNow());
  useEffect(() => {
    void learnServerTime();
    const timer = setInterval(() => (now.value = serverNow()), 500);
    return () => clearInterval(timer);
  }, []);
  return now;
}
