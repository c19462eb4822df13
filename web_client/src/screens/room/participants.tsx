/** Everybody in the room, to mute, to remove and to let in again. */
import { useMemo } from "preact/hooks";
import type { Person } from "../../api/types.ts";
import { t, tn } from "../../i18n/index.ts";
import { removedMembers } from "../../state/meeting.ts";
import { Button, Card, ConfirmButton } from "../../ui/parts.tsx";
import { command, type Console } from "./console.ts";
import { PeopleList, PersonLine } from "./people.tsx";

/** Fewer than in a list without buttons: each one here is a small form. */
const SHOWN_AT_ONCE = 20;

function Participant({ person, live, acting }: { person: Person } & Pick<Console, "live" | "acting">) {
  return (
    <>
      <PersonLine person={person} you={false} />
      <div class="row">
        {!person.floor && (
          <Button testid={person.hand === null ? `grant-${person.member}` : `grant-again-${person.member}`} onClick={() => void acting.run(() => command(live, { command: "grant-floor", member: person.member }))}>
            {t("floor.give")}
          </Button>
        )}
        {person.muted ? (
          <Button testid={`unmute-${person.member}`} onClick={() => void acting.run(() => command(live, { command: "unmute", member: person.member }))}>
            {t("chair.unmute")}
          </Button>
        ) : (
          <Button testid={`mute-${person.member}`} onClick={() => void acting.run(() => command(live, { command: "mute", member: person.member }))}>
            {t("chair.mute")}
          </Button>
        )}
        <ConfirmButton
          testid={`remove-${person.member}`}
          kind="danger"
          danger
          title={t("chair.remove.title", { name: person.name })}
          text={t("chair.remove.text")}
          yes={t("chair.remove.yes")}
          onClick={() => void acting.run(() => command(live, { command: "remove", member: person.member }))}
        >
          {t("chair.remove")}
        </ConfirmButton>
      </div>
    </>
  );
}

export function Participants({ live, meeting, acting }: Console) {
  const removed = removedMembers(live.log.value);
  const others = useMemo(() => meeting.present.filter((person) => person.member !== meeting.me.member), [meeting.present]);
  return (
    <Card title={tn("people.present", meeting.present.length)}>
      <Button testid="mute-all" onClick={() => void acting.run(() => command(live, { command: "mute-all" }))}>
        {t("chair.mute-all")}
      </Button>
      <PeopleList
        people={others}
        atOnce={SHOWN_AT_ONCE}
        line={(person) => <Participant person={person} live={live} acting={acting} />}
      />
      {removed.length > 0 && (
        <div class="stack-tight">
          <h3>{t("chair.removed")}</h3>
          {removed.map(({ member, name }) => (
            <Button
              key={member}
              testid={`readmit-${member}`}
              onClick={() => void acting.run(() => command(live, { command: "readmit", member }))}
            >
              {t("chair.readmit", { name })}
            </Button>
          ))}
        </div>
      )}
    </Card>
  );
}
