/** A part whose code comes when it is wanted. */
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { useCell } from "./cell.ts";
import { Problem } from "./parts.tsx";

export function Later<P extends object>({ load, props }: { load: () => Promise<ComponentType<P>>; props: P }) {
  const found = useCell<{ Body: ComponentType<P> } | null>(null);
  const error = useCell<unknown>(null);
  useEffect(() => void load().then((Body) => (found.value = { Body }), (caught: unknown) => (error.value = caught)), []);
  return found.value ? <found.value.Body {...props} /> : <Problem error={error.value} />;
}
