/** A titled part of the auditor's page. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export function Card({ title, children, testid }: { title: string; children: ComponentChildren; testid?: string }) {
  const id = useId();
  return (
    <section class="card" aria-labelledby={id} data-testid={testid}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}
