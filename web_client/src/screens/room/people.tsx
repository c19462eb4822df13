/** Who is here and who asked to speak. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Meeting, Person } from "../../api/types.ts";
import { t, tn } from "../../i18n/index.ts";
import { queue } from "../../state/meeting.ts";
import { Button, Field } from "../../ui/parts.tsx";

const SHOWN_AT_ONCE = 50;
/** From this many on a list can be searched. */
const SEARCHED_FROM = 15;

/** People by name, some at a time, searchable when they are many. */
export function PeopleList({ people, line }: { people: readonly Person[]; line: (person: Person) => ComponentChildren }) {
  const shown = useSignal(SHOWN_AT_ONCE);
  const wanted = useSignal("");
  const text = wanted.value.trim().toLocaleLowerCase();
  const found = people.filter((person) => person.name.toLocaleLowerCase().includes(text)).sort((a, b) => a.name.localeCompare(b.name));
  return (
    <>
      {people.length >= SEARCHED_FROM && <Field label={t("people.find")} value={wanted.value} onInput={(value) => (wanted.value = value)} testid="people-find" />}
      <ul class="list">
        {found.slice(0, shown.value).map((person) => (
          <li
            key={person.member}
            class="stack-tight"
            data-testid="person"
            data-member={person.member}
            data-state={person.state}
            data-muted={String(person.muted)}
            data-floor={String(person.floor)}
            data-hand={String(person.hand !== null)}
          >
            {line(person)}
          </li>
        ))}
      </ul>
      {found.length > shown.value && <Button onClick={() => (shown.value += SHOWN_AT_ONCE)}>{t("show-more")}</Button>}
    </>
  );
}

export function People({ meeting }: { meeting: Meeting }) {
  return (
    <>
      <Queue meeting={meeting} />
      <section class="card">
        <h2>{tn("people.present", meeting.present.length)}</h2>
        <PeopleList people={meeting.present} line={(person) => <PersonLine person={person} you={person.member === meeting.me.member} />} />
      </section>
    </>
  );
}

export function PersonLine({ person, you }: { person: Person; you: boolean }) {
  const roles = person.roles.filter((role) => role !== "member").map((role) => t(`role.${role}`));
  return (
    <div class="row-between">
      <span>
        <span class="strong">{person.name}</span>
        {you && <span class="muted"> ({t("stage.you")})</span>}
        {roles.length > 0 && <span class="hint">{roles.join(", ")}</span>}
      </span>
      <span class="row">
        {person.floor && <span class="badge badge-good">▶ {t("people.floor")}</span>}
        {person.hand !== null && <span class="badge badge-warn">✋ {t("people.hand")}</span>}
        {person.muted && <span class="badge">{t("people.muted")}</span>}
        {person.state === "away" && <span class="badge badge-warn">{t("people.away")}</span>}
      </span>
    </div>
  );
}

/** The queue, with my own place in it said in words. */
export function Queue({ meeting }: { meeting: Meeting }) {
  const waiting = queue(meeting);
  const mine = waiting.findIndex((person) => person.member === meeting.me.member);
  return (
    <section class="card" data-testid="queue">
      <h2>{t("queue.title")}</h2>
      {waiting.length === 0 && <p class="muted">{t("queue.empty")}</p>}
      {mine >= 0 && <p role="status">{t("queue.yours", { n: mine + 1 })}</p>}
      <ol class="list">
        {waiting.map((person, index) => (
          <li key={person.member} data-member={person.member}>
            {index + 1}. {person.name}
          </li>
        ))}
      </ol>
    </section>
  );
}
