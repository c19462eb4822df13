/** Who is here and who asked to speak. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import type { Meeting, Person } from "../../api/types.ts";
import { t, tn } from "../../i18n/index.ts";
import { placeOf } from "../../state/speaking.ts";
import { Arrow, Button, Field } from "../../ui/parts.tsx";
import { kindText } from "./timer.tsx";

const SHOWN_AT_ONCE = 50;
/** From this many on a list can be searched. */
const SEARCHED_FROM = 15;

/** Made once: to compare by locale anew takes most of the time of sorting hundreds. */
const collator = new Intl.Collator();

/** People by name, some at a time, searchable when they are many. What `line` makes depends on the person alone. */
export function PeopleList({ people, line, atOnce = SHOWN_AT_ONCE }: { people: readonly Person[]; line: (person: Person) => ComponentChildren; atOnce?: number }) {
  const shown = useSignal(atOnce);
  const wanted = useSignal("");
  const text = wanted.value.trim().toLocaleLowerCase();
  const sorted = useMemo(() => [...people].sort((a, b) => collator.compare(a.name, b.name)), [people]);
  const found = text ? sorted.filter((person) => person.name.toLocaleLowerCase().includes(text)) : sorted;
  return (
    <>
      {people.length >= SEARCHED_FROM && <Field label={t("people.find")} value={wanted.value} onInput={(value) => (wanted.value = value)} testid="people-find" />}
      <ul class="list">
        {found.slice(0, shown.value).map((person) => (
          <Row key={person.member} person={person} line={line} />
        ))}
      </ul>
      {found.length > shown.value && <Button onClick={() => (shown.value += atOnce)}>{t("show-more")}</Button>}
    </>
  );
}

/** An event changes a few people; the rows of all others stay as they are. */
function Row({ person, line }: { person: Person; line: (person: Person) => ComponentChildren }) {
  return useMemo(
    () => (
      <li
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
    ),
    [person],
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
        {person.floor && <span class="badge badge-good"><Arrow>▶</Arrow> {t("people.floor")}</span>}
        {person.hand !== null && <span class="badge badge-warn">✋ {t("people.hand")}</span>}
        {person.muted && <span class="badge">{t("people.muted")}</span>}
        {person.state === "away" && <span class="badge badge-warn">{t("people.away")}</span>}
      </span>
    </div>
  );
}

/** The queue, with my own place in it said in words. */
export function Queue({ meeting }: { meeting: Meeting }) {
  const waiting = meeting.speaking.queue;
  const mine = placeOf(meeting, meeting.me.member);
  return (
    <section class="card" data-testid="queue">
      <h2>{t("queue.title")}</h2>
      {waiting.length === 0 && <p class="muted">{t("queue.empty")}</p>}
      {mine > 0 && <p role="status">{t("queue.yours", { n: mine })}</p>}
      <ol class="list">
        {waiting.map((turn, index) => (
          <li key={turn.turn} data-member={turn.person}>
            {index + 1}. {turn.name} <span class="badge">{kindText(turn)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
