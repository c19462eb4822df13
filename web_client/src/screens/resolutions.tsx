/** The register of resolutions of a unit, newest first, each with its unchangeable text. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { floor } from "../api/floor.ts";
import type { Resolution } from "../api/types_floor.ts";
import { day, t } from "../i18n/index.ts";
import { Button, Field, Loading, Problem, Title } from "../ui/parts.tsx";
import { Paragraphs } from "./motions/diff.tsx";
import "./motions/motions.css";

const SEARCHED_FROM = 8;

export function Resolutions({ id }: { id: string }) {
  const found = useSignal<Resolution[] | null>(null);
  const error = useSignal<unknown>(null);
  const wanted = useSignal("");
  useEffect(() => {
    floor.resolutions(id).then(
      (all) => (found.value = all),
      (caught: unknown) => (error.value = caught),
    );
  }, [id]);
  const text = wanted.value.trim().toLocaleLowerCase();
  const shown = (found.value ?? []).filter((one) => `${one.resolution} ${one.title}`.toLocaleLowerCase().includes(text));
  return (
    <div class="stack" data-testid="resolutions">
      <Title>{t("resolutions.title")}</Title>
      <Problem error={error.value} />
      {found.value === null && error.value === null && <Loading />}
      {found.value?.length === 0 && (
        <div class="card" data-testid="resolutions-empty">
          <p>{t("resolutions.empty")}</p>
        </div>
      )}
      {(found.value?.length ?? 0) >= SEARCHED_FROM && <Field label={t("resolutions.find")} value={wanted.value} onInput={(value) => (wanted.value = value)} testid="resolutions-find" />}
      {shown.map((one) => (
        <One key={one.id} resolution={one} />
      ))}
    </div>
  );
}

function One({ resolution }: { resolution: Resolution }) {
  const text = useSignal<string | null>(null);
  const error = useSignal<unknown>(null);
  const open = (): void =>
    void floor.resolution(resolution.id).then(
      (found) => (text.value = found.text),
      (caught: unknown) => (error.value = caught),
    );
  return (
    <section class="card" data-testid="resolution" data-resolution={resolution.resolution} data-hash={resolution.hash}>
      <h2>
        {resolution.resolution} · {resolution.title}
      </h2>
      <p class="muted small">
        {t("resolutions.adopted", { day: day(resolution.adopted_at) })} · <a href={`/meetings/${resolution.meeting}`}>{t("resolutions.meeting")}</a>
      </p>
      <Problem error={error.value} />
      {text.value === null ? (
        <div class="actions">
          <Button testid={`resolution-open-${resolution.id}`} label={t("resolutions.read-name", { name: resolution.resolution })} onClick={open}>
            {t("resolutions.read")}
          </Button>
        </div>
      ) : (
        <>
          <Paragraphs text={text.value} />
          <details>
            <summary>{t("motion.hash")}</summary>
            <code class="code-block" lang="en">
              {resolution.hash}
            </code>
          </details>
        </>
      )}
    </section>
  );
}
