/** The few elements of the booth. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { lookup, t } from "./i18n.ts";

/** The step's title takes the focus, so that keyboard and screen reader are where the step begins. */
export function StepTitle({ children }: { children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus();
    scrollTo(0, 0);
    document.title = heading.current?.textContent ?? "";
    document.documentElement.dataset["ready"] = "";
  }, []);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  );
}

export function Button(props: { children: ComponentChildren; testid: string; onClick?: () => void; main?: boolean; submit?: boolean; disabled?: boolean; busy?: boolean }) {
  return (
    <button
      type={props.submit ? "submit" : "button"}
      class={`button ${props.main ? "button-main" : "button-plain"}`}
      data-testid={props.testid}
      disabled={props.disabled}
      aria-busy={props.busy ?? false}
      onClick={() => {
        if (!props.busy) props.onClick?.();
      }}
    >
      {props.busy && <span class="spinner" aria-hidden="true" />}
      <span>{props.children}</span>
    </button>
  );
}

/** A refusal in words; the server's own sentence where we have none. */
export function Problem({ error }: { error: unknown }) {
  if (error === null) return null;
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "page.failed";
  const ours = lookup(`error.${code}`) ?? lookup(`error.${code.split(".")[0] ?? ""}`);
  return (
    <p class="note note-bad" role="alert" data-testid="error" data-code={code}>
      <span class="note-mark" aria-hidden="true">
        !
      </span>
      <span lang={ours === null ? "en" : undefined}>{ours ?? (error instanceof Error ? error.message : t("error.page"))}</span>
    </p>
  );
}
