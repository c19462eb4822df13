/** Who is here and who asked to speak. */
import { useSignal } from "@preact/signals";
import type { Meeting, Person } from "../../api/types.ts";
import { t, tn } from "../../i18n/index.ts";
import { queue } from "../../state/meeting.ts";

const SHOWN_AT_ONCE = 50;

export function People({ meeting }: { meeting: Meeting }) {
  const shown = useSignal(SHOWN_AT_ONCE);
  const people = meeting.present.toSorted((a, b) => a.name.localeCompare(b.name));
  return (
    <>
      <Queue meeting={meeting} />
      <section class="card">
        <h2>{tn("people.present", meeting.present.length)}</h2>
        <ul class="list">
          {people.slice(0, shown.value).map((person) => (
            <li key={person.member} data-testid="person" data-member={person.member} data-state={person.state} data-muted={String(person.muted)} data-floor={String(person.floor)} data-hand={String(person.hand !== null)}>
              <PersonLine person={person} you={person.member === meeting.me.member} />
            </li>
          ))}
        </ul>
        {people.length > shown.value && (
          <button type="button" class="button button-plain" onClick={() => (shown.value += SHOWN_AT_ONCE)}>
            {t("show-more")}
          </button>
        )}
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
