/** The draft of the minutes, every sentence with the events it rests on. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Minutes, minutesApi, type MinutesSection } from "../api/minutes.ts";
import { LANGUAGES } from "../i18n/core.ts";
import { language, t } from "../i18n/index.ts";
import { useAction } from "../ui/action.ts";
import { Arrow, Button, LinkButton, Loading, Note, Problem, Select, Title } from "../ui/parts.tsx";
import { WithMeeting } from "./with_meeting.tsx";
import "./minutes.css";

export function MinutesScreen({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(_, meeting) => (
        <div class="stack minutes" data-testid="minutes">
          <p>
            <a href={`/meetings/${id}`}><Arrow>←</Arrow> {meeting.title}</a>
          </p>
          <Draft meeting={id} over={meeting.state === "closed"} />
        </div>
      )}
    </WithMeeting>
  );
}

function Draft({ meeting, over }: { meeting: string; over: boolean }) {
  const wanted = useSignal<string>(language.value);
  const shown = useSignal<Minutes | null>(null);
  const loading = useAction();
  const load = (): void => void loading.run(async () => void (shown.value = await minutesApi.draft(meeting, wanted.value)));
  useEffect(load, [meeting, wanted.value]);
  return (
    <>
      <Title>{t("minutes.title")}</Title>
      {!over && <Note>{t("minutes.running")}</Note>}
      <div class="minutes-tools">
        <Select
          label={t("minutes.language")}
          testid="minutes-language"
          value={wanted.value}
          choices={LANGUAGES.map(({ code, name }) => ({ value: code, label: name }))}
          onChange={(code) => (wanted.value = code)}
        />
        <div class="actions">
          <Button testid="minutes-again" busy={loading.busy.value} onClick={load}>
            {t("minutes.again")}
          </Button>
          <LinkButton href={minutesApi.page(meeting, wanted.value)} download testid="minutes-page">
            {t("minutes.page")}
          </LinkButton>
          <LinkButton href={minutesApi.text(meeting, wanted.value)} download testid="minutes-text">
            {t("minutes.text")}
          </LinkButton>
        </div>
      </div>
      <Problem error={loading.error.value} />
      {shown.value === null && loading.busy.value && <Loading />}
      {shown.value && <Sections minutes={shown.value} />}
    </>
  );
}

function Sections({ minutes }: { minutes: Minutes }) {
  return (
    <article lang={minutes.language} data-testid="minutes-draft" aria-label={minutes.title}>
      <p class="muted small">{t("minutes.how")}</p>
      {minutes.sections.map((section, index) => (
        <Section key={index} section={section} />
      ))}
    </article>
  );
}

function Section({ section }: { section: MinutesSection }) {
  return (
    <section data-testid="minutes-section">
      <h2>{section.heading}</h2>
      {section.sentences.length === 0 && <p class="muted">{t("minutes.nothing")}</p>}
      <ul class="list minutes-list">
        {section.sentences.map((sentence, index) => (
          <li key={index} data-testid="minutes-sentence" data-events={sentence.events.join(" ")}>
            <span>{sentence.text}</span>
            <span class="minutes-events small muted" lang={language.value}>
              {t("minutes.events", { numbers: sentence.events.join(", ") })}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
