/** A guest's way in: a name, the lobby in plain words, and the room once the chair has opened the door. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type GuestMeeting, papersApi } from "../api/papers.ts";
import type { Session } from "../api/types.ts";
import { dayAndTime, t } from "../i18n/index.ts";
import { navigate } from "../router.ts";
import { loadSession, session, signedIn, signOut } from "../state/session.ts";
import { useAction } from "../ui/action.ts";
import { alarm } from "../ui/announce.ts";
import { Button, Field, Form, LinkButton, Note, Problem, Title } from "../ui/parts.tsx";
import { Waiting } from "./room/lobby.tsx";

const ASK_MS = 3_000;
const NAME_MAX = 80;

export function Guest() {
  const token = useSignal(location.hash.slice(1));
  const known = session.value;
  if (known && known.guest === undefined) return <Member />;
  if (token.value) return <Enter token={token.value} onDone={() => (token.value = "")} />;
  if (known) return <Lobby session={known} />;
  return (
    <div class="stack">
      <Title>{t("guest.title")}</Title>
      <Note kind="warn">{t("guest.no-link")}</Note>
    </div>
  );
}

function Member() {
  return (
    <div class="stack">
      <Title>{t("guest.title")}</Title>
      <Note>{t("guest.is-member")}</Note>
      <div class="actions">
        <LinkButton kind="main" href="/">
          {t("nav.home")}
        </LinkButton>
      </div>
    </div>
  );
}

/** The token leaves the address at once, so that it stays in no history. */
function Enter({ token, onDone }: { token: string; onDone: () => void }) {
  const name = useSignal("");
  const entering = useAction();
  useEffect(() => history.replaceState(null, "", "/guest"), []);
  const enter = async (): Promise<void> => {
    signedIn(await papersApi.enterAsGuest(token, name.peek()));
    onDone();
  };
  return (
    <div class="stack" data-testid="guest-enter">
      <Title>{t("guest.title")}</Title>
      <p>{t("guest.text")}</p>
      <Form action={entering} work={enter} submit={t("guest.enter")} testid="guest-enter-button" disabled={name.value.trim() === ""}>
        <Field label={t("guest.name")} hint={t("guest.name.hint")} value={name.value} maxLength={NAME_MAX} testid="guest-name" required onInput={(value) => (name.value = value)} />
      </Form>
      <p class="muted">{t("guest.rights")}</p>
    </div>
  );
}

function Lobby({ session: known }: { session: Session }) {
  const meeting = useSignal<GuestMeeting | null>(null);
  const leaving = useAction();
  const asking = useAction();
  const id = known.meeting ?? "";
  const over = meeting.value?.state === "closed" || meeting.value?.state === "cancelled";
  const state = over ? "over" : (known.state ?? "waiting");
  useEffect(() => {
    const look = (): void => {
      papersApi.guestMeeting(id).then(
        (found) => (meeting.value = found),
        () => undefined, // the banner says that the server is out of reach
      );
      void loadSession();
    };
    look();
    const timer = setInterval(look, ASK_MS);
    return () => clearInterval(timer);
  }, [id]);
  useEffect(() => {
    if (state === "admitted") alarm(t("guest.admitted"));
  }, [state]);
  const again = async (): Promise<void> => {
    await papersApi.askIn(id);
    await loadSession();
  };
  return (
    <div class="stack guest-door" data-testid="guest-lobby" data-state={state}>
      <Title>{meeting.value?.title ?? t("guest.title")}</Title>
      {meeting.value && <p class="muted">{dayAndTime(meeting.value.starts_at, meeting.value.time_zone)}</p>}
      <p>{t("guest.you-are", { name: known.member.name })}</p>
      {state === "waiting" && <Waiting />}
      {state === "admitted" && <Note kind="good">{t("guest.admitted")}</Note>}
      {(state === "refused" || state === "removed" || state === "left" || state === "over") && (
        <Note kind="warn" testid="guest-state">
          {t(`guest.${state}`)}
        </Note>
      )}
      <Problem error={asking.error.value ?? leaving.error.value} />
      <div class="actions">
        {state === "admitted" && (
          <LinkButton kind="main" testid="guest-room" href={`/meetings/${id}/room`}>
            {t("guest.room")}
          </LinkButton>
        )}
        {state === "left" && (
          <Button kind="main" testid="guest-again" busy={asking.busy.value} onClick={() => void asking.run(again)}>
            {t("guest.again")}
          </Button>
        )}
        <Button testid="guest-go" busy={leaving.busy.value} onClick={() => void leaving.run(signOut).then((ok) => ok && navigate("/guest"))}>
          {t("guest.go")}
        </Button>
      </div>
    </div>
  );
}
