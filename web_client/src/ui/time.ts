/** The time of this device, for what runs while a screen is shown. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

const nowS = (): number => Math.floor(Date.now() / 1000);

/** Seconds since 1970, once a second. */
export function useTime(): Signal<number> {
  const now = useSignal(nowS());
  useEffect(() => {
    const timer = setInterval(() => (now.value = nowS()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** Minutes and seconds, as a clock counts them: 4:07. */
export function span(seconds: number): string {
  const left = Math.max(0, seconds);
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}
