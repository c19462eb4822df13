/** All that a page shows while the session is closed to it, with nothing of what it showed before. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { OutsideMeeting } from "../../api/types_closed.ts";
import type { Site } from "../../api/types_sites.ts";
import { clock, t } from "../../i18n/index.ts";
import { navigate, route } from "../../router.ts";
import { siteIsOut } from "../../state/closed.ts";
import { keepHall } from "../../state/hall_tab.ts";
import { current, type LiveMeeting } from "../../state/live.ts";
import { session, signOut } from "../../state/session.ts";
import { useAction } from "../../ui/action.ts";
import { alarm, announce } from "../../ui/announce.ts";
import { Button, ConfirmButton, LinkButton, Note, Problem, Title } from "../../ui/parts.tsx";
import { HallSteps } from "./hall_steps.tsx";
import { Lock } from "./lock.tsx";

interface Props {
  live: LiveMeeting;
  outside: OutsideMeeting;
}

export function OutsidePage({ live, outside }: Props) {
  useEffect(() => {
    alarm(t("closed.out.began"));
    return () => {
      const back = live.outside.peek() === null && !siteIsOut(live.meeting.peek(), live.hall);
      if (back && current.peek() === live) announce(t("closed.out.ended"));
    };
  }, []);
  const { name, panel } = route.value;
  const here = name === "hall" ? panel : live.hall;
  const hall = outside.sites.find((one) => one.kind === "hall" && one.site === here && one.custodian === outside.me.member);
  if (hall) return <OfHall live={live} outside={outside} hall={hall} />;
  return outside.closed_session.address === "" ? <OfPublic outside={outside} /> : <OfRelay outside={outside} />;
}

function Page(props: { outside: OutsideMeeting; kind: "public" | "relay" | "hall"; title: string; children: ComponentChildren }) {
  const { outside } = props;
  return (
    <div class="stack outside-page" data-testid="outside" data-kind={props.kind}>
      <Lock />
      <Title>{props.title}</Title>
      <p class="muted">{outside.title}</p>
      <p>{t("closed.out.since", { time: clock(outside.closed_session.since, outside.time_zone) })}</p>
      {props.children}
    </div>
  );
}

function OfPublic({ outside }: { outside: OutsideMeeting }) {
  return (
    <Page outside={outside} kind="public" title={t("closed.out.title")}>
      <p class="strong">{t("closed.out.back")}</p>
      {session.value?.guest === undefined ? (
        <div class="actions">
          <LinkButton href="/">{t("nav.home")}</LinkButton>
        </div>
      ) : (
        <GuestLeaves />
      )}
    </Page>
  );
}

/** Who does not want to wait; the seat of a guest ends with the session. */
function GuestLeaves() {
  const leaving = useAction();
  const leave = (): void => void leaving.run(signOut).then((ok) => ok && navigate("/guest"));
  return (
    <>
      <Problem error={leaving.error.value} />
      <div class="actions">
        <ConfirmButton testid="outside-leave" busy={leaving.busy.value} title={t("closed.out.leave.title")} text={t("closed.out.leave.text")} yes={t("closed.out.leave")} onClick={leave}>
          {t("closed.out.leave")}
        </ConfirmButton>
      </div>
    </>
  );
}

/** Where a session that no relay has carried shows everything; the address may be the one of this page. */
function WayIn({ outside }: { outside: OutsideMeeting }) {
  const leaving = useAction();
  const { address } = outside.closed_session;
  if (isHere(address)) {
    return (
      <>
        <Problem error={leaving.error.value} />
        <div class="actions">
          <Button kind="main" testid="outside-sign-out" busy={leaving.busy.value} onClick={() => void leaving.run(signOut)}>
            {t("sign-out")}
          </Button>
        </div>
      </>
    );
  }
  return (
    <div class="actions">
      <LinkButton kind="main" href={`${address}/meetings/${outside.id}/room`} testid="outside-address">
        {t("closed.relay.open", { host: new URL(address).host })}
      </LinkButton>
    </div>
  );
}

const isHere = (address: string): boolean => new URL(address).origin === location.origin;

function OfRelay({ outside }: { outside: OutsideMeeting }) {
  const here = isHere(outside.closed_session.address);
  return (
    <Page outside={outside} kind="relay" title={t("closed.relay.title")}>
      <p>{t("closed.relay.text")}</p>
      <Note kind="good">{t("closed.relay.counted")}</Note>
      <h2>{t("closed.relay.how")}</h2>
      <ol class="steps">
        <li>{t("closed.relay.wifi")}</li>
        <li>{t(here ? "closed.relay.sign-in-again" : "closed.relay.sign-in")}</li>
        <li>{t("closed.relay.earphones")}</li>
      </ol>
      <WayIn outside={outside} />
      <p class="muted">{t("closed.relay.wait")}</p>
    </Page>
  );
}

/** The custodian's: the page stays and keeps the hall connected. */
function OfHall({ live, outside, hall }: Props & { hall: Site }) {
  useEffect(() => keepHall(live.id, hall.site), [hall.site]);
  return (
    <Page outside={outside} kind="hall" title={t("closed.hall.title", { name: hall.name })}>
      <HallSteps address={outside.closed_session.address} />
      {route.value.name !== "hall" && (
        <div class="actions">
          <LinkButton href={`/meetings/${outside.id}/hall/${hall.site}`} testid="outside-hall">
            {t("closed.hall.page")}
          </LinkButton>
        </div>
      )}
    </Page>
  );
}
