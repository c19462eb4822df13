/** The application's small components on native elements. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";
import { errorText, moment, t } from "../i18n/index.ts";
import { asOf, live, offline } from "../state/link.ts";
import type { Action } from "./action.ts";
import { polite, urgent } from "./announce.ts";

/** The page's title; takes the focus when the screen appears, so that screen readers begin there. */
export function Title({ children, testid }: { children: ComponentChildren; testid?: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
    document.documentElement.dataset["ready"] = "";
  }, []);
  useEffect(() => {
    document.title = `${heading.current?.textContent ?? ""} · Folkmoot`;
  });
  return (
    <h1 ref={heading} tabIndex={-1} data-testid={testid}>
      {children}
    </h1>
  );
}

/** A sign that points along the line of writing: its mirror image where that runs from right to left. */
export function Arrow({ children }: { children: string }) {
  return (
    <span class="arrow" aria-hidden="true">
      {children}
    </span>
  );
}

interface ButtonProps {
  children: ComponentChildren;
  onClick?: () => void;
  kind?: "main" | "plain" | "quiet" | "danger";
  type?: "button" | "submit";
  testid?: string | undefined;
  disabled?: boolean | undefined;
  busy?: boolean | undefined;
  pressed?: boolean;
  describedBy?: string | undefined;
  label?: string | undefined;
  data?: Record<`data-${string}`, string>;
}

/** A button whose text says what happens. While busy it stays in place, keeps the focus and does nothing. */
export function Button(props: ButtonProps) {
  const { children, kind = "plain", type = "button", busy = false, disabled = false } = props;
  return (
    <button
      type={type}
      class={`button button-${kind}`}
      data-testid={props.testid}
      disabled={disabled}
      aria-busy={busy}
      aria-pressed={props.pressed}
      aria-describedby={props.describedBy}
      aria-label={props.label}
      onClick={() => {
        if (!busy) props.onClick?.();
      }}
      {...props.data}
    >
      {busy && <span class="spinner" aria-hidden="true" />}
      <span class="button-text">{children}</span>
    </button>
  );
}

export function LinkButton(props: { href: string; children: ComponentChildren; kind?: "main" | "plain" | "quiet"; testid?: string | undefined; download?: boolean }) {
  return (
    <a class={`button button-${props.kind ?? "plain"}`} href={props.href} data-testid={props.testid} download={props.download}>
      <span class="button-text">{props.children}</span>
    </a>
  );
}

/** What went wrong, in words, where the person is looking. */
export function Problem({ error }: { error: unknown }) {
  if (error === null || error === undefined) return null;
  const { text, code, foreign } = errorText(error);
  return (
    <p class="note note-bad" role="alert" data-testid="error" data-code={code}>
      <span class="note-mark" aria-hidden="true">
        !
      </span>
      <span lang={foreign ? "en" : undefined}>{text}</span>
    </p>
  );
}

export function Note({ children, kind = "info", testid }: { children: ComponentChildren; kind?: "info" | "good" | "warn"; testid?: string }) {
  const mark = { info: "i", good: "✓", warn: "!" }[kind];
  return (
    <p class={`note note-${kind}`} data-testid={testid}>
      <span class="note-mark" aria-hidden="true">
        {mark}
      </span>
      <span>{children}</span>
    </p>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  value: string;
  onInput: (value: string) => void;
  testid?: string;
  type?: "text" | "number" | "datetime-local" | "date";
  required?: boolean;
  min?: number;
  max?: number;
  maxLength?: number;
  rows?: number;
  list?: string;
}

export function Field(props: FieldProps) {
  const id = useId();
  const hint = props.hint ? `${id}-hint` : undefined;
  const shared = {
    id,
    value: props.value,
    "data-testid": props.testid,
    required: props.required,
    maxLength: props.maxLength,
    "aria-describedby": hint,
  };
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.hint && (
        <span class="hint" id={hint}>
          {props.hint}
        </span>
      )}
      {props.rows ? (
        <textarea {...shared} rows={props.rows} onInput={(event) => props.onInput(event.currentTarget.value)} />
      ) : (
        <input
          {...shared}
          type={props.type ?? "text"}
          min={props.min}
          max={props.max}
          list={props.list}
          onInput={(event) => props.onInput(event.currentTarget.value)}
        />
      )}
    </div>
  );
}

export interface Choice {
  value: string;
  label: string;
}

export function Select(props: { label: string; hint?: string; value: string; choices: readonly Choice[]; onChange: (value: string) => void; testid?: string; hideLabel?: boolean }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id} class={props.hideLabel ? "visually-hidden" : undefined}>
        {props.label}
      </label>
      {props.hint && <span class="hint">{props.hint}</span>}
      <select id={id} value={props.value} data-testid={props.testid} onChange={(event) => props.onChange(event.currentTarget.value)}>
        {props.choices.map((choice) => (
          <option key={choice.value} value={choice.value} selected={choice.value === props.value}>
            {choice.label}
          </option>
        ))}
      </select>
    </div>
  );
}

export function Check(props: { label: string; hint?: string; checked: boolean; onChange: (on: boolean) => void; testid?: string }) {
  return (
    <label class="check">
      <input type="checkbox" checked={props.checked} data-testid={props.testid} onChange={(event) => props.onChange(event.currentTarget.checked)} />
      <span>
        {props.label}
        {props.hint && <span class="hint">{props.hint}</span>}
      </span>
    </label>
  );
}

/** A form that runs one action and shows its problem above its button. */
export function Form(props: { action: Action; work: () => Promise<unknown>; submit: string; testid?: string; children: ComponentChildren; kind?: "main" | "plain"; disabled?: boolean }) {
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void props.action.run(props.work);
      }}
    >
      {props.children}
      <Problem error={props.action.error.value} />
      <div class="actions">
        <Button type="submit" kind={props.kind ?? "main"} busy={props.action.busy.value} disabled={props.disabled} testid={props.testid}>
          {props.submit}
        </Button>
      </div>
    </form>
  );
}

interface ConfirmProps {
  open: boolean;
  title: string;
  text: string;
  yes: string;
  danger?: boolean;
  onYes: () => void;
  onNo: () => void;
}

interface DialogProps {
  open: boolean;
  testid: string;
  /** Escape was pressed; the page then says that it is not open any more. */
  onCancel: () => void;
  /** What it shows while it is open; the heading that names it has this id. */
  children: (titleId: string) => ComponentChildren;
}

/** A question over the page, which is inert meanwhile; closed, it holds nothing. */
export function Dialog(props: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // At once with what is shown: the browser then puts the focus back to what asked.
  useLayoutEffect(() => {
    if (props.open && !dialog.current?.open) dialog.current?.showModal();
    if (!props.open) dialog.current?.close();
  }, [props.open]);
  return (
    <dialog
      ref={dialog}
      class="dialog"
      data-testid={props.testid}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        props.onCancel();
      }}
    >
      {props.open && props.children(id)}
    </dialog>
  );
}

/** Asks before an act that cannot be undone. */
export function Confirm(props: ConfirmProps) {
  return (
    <Dialog open={props.open} testid="confirm" onCancel={props.onNo}>
      {(titleId) => (
        <div class="stack">
          <h2 id={titleId}>{props.title}</h2>
          <p>{props.text}</p>
          <div class="actions">
            <Button kind={props.danger ? "danger" : "main"} testid="confirm-yes" onClick={props.onYes}>
              {props.yes}
            </Button>
            <Button testid="confirm-no" onClick={props.onNo}>
              {t("go.back")}
            </Button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

/** A button that asks first; the question names what will happen. */
export function ConfirmButton(props: Omit<ConfirmProps, "open" | "onYes" | "onNo"> & Omit<ButtonProps, "onClick"> & { onClick: () => void }) {
  const open = useSignal(false);
  return (
    <>
      <Button {...props} onClick={() => (open.value = true)} />
      <Confirm
        open={open.value}
        title={props.title}
        text={props.text}
        yes={props.yes}
        danger={props.danger ?? false}
        onNo={() => (open.value = false)}
        onYes={() => {
          open.value = false;
          props.onClick();
        }}
      />
    </>
  );
}

export function Card({ children, title, testid, data }: { children: ComponentChildren; title?: ComponentChildren; testid?: string; data?: Record<`data-${string}`, string> }) {
  return (
    <section class="card" data-testid={testid} {...data}>
      {title && <h2>{title}</h2>}
      {children}
    </section>
  );
}

/** What opens under a line of text; its content is there only while it is open, and costs nothing before. */
export function Fold(props: { summary: ComponentChildren; children: () => ComponentChildren; testid?: string; class?: string }) {
  const open = useSignal(false);
  return (
    <details class={props.class} data-testid={props.testid} onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>{props.summary}</summary>
      {open.value && props.children()}
    </details>
  );
}

/** Progress in words and as a bar; `of` unknown shows a moving bar. */
export function Progress({ label, value, of, testid }: { label: string; value?: number; of?: number; testid?: string }) {
  const id = useId();
  return (
    <div class="progress" data-testid={testid}>
      <span id={id}>{label}</span>
      <progress aria-labelledby={id} value={of === undefined ? undefined : (value ?? 0)} max={of === undefined ? undefined : Math.max(of, 1)} />
    </div>
  );
}

export function Loading({ what }: { what?: string }) {
  return (
    <div class="loading" role="status">
      <span class="spinner" aria-hidden="true" />
      {what ?? t("loading")}
    </div>
  );
}

/** Says since when the screen may be out of date and what still works; nothing while the server answers. */
export function OfflineBanner() {
  if (live.value === "refused") {
    return (
      <p class="banner banner-warn" role="status" data-testid="offline-banner">
        {t("live.ended")}
      </p>
    );
  }
  if (!offline.value) return null;
  return (
    <div class="banner banner-warn" role="status" data-testid="offline-banner">
      <p>{asOf.value > 0 ? t("offline.as-of", { time: moment(asOf.value) }) : t("offline")}</p>
      <p class="banner-more">{t("offline.works")}</p>
    </div>
  );
}

export function Announcer() {
  return (
    <>
      <div class="visually-hidden" aria-live="polite" data-testid="announcer">
        {polite}
      </div>
      <div class="visually-hidden" role="alert" aria-live="assertive" data-testid="alarm">
        {urgent}
      </div>
    </>
  );
}

/** Copies a text and says so beside the button. */
export function Copy({ text, label, testid }: { text: string; label: string; testid?: string }) {
  const done = useSignal<boolean | null>(null);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      done.value = true;
    } catch {
      done.value = false; // refused by the browser, or an address without https
    }
  };
  return (
    <>
      <Button testid={testid} onClick={() => void copy()}>
        {done.value === true ? t("copied") : label}
      </Button>
      {done.value === false && <p role="status">{t("copy.by-hand")}</p>}
    </>
  );
}
