/** On the chair's console: closing the session to the public, who is inside meanwhile, and its end. */
import { useSignal } from "@preact/signals";
import type { ClosedSession } from "../../api/types_closed.ts";
import { clock, t, tn } from "../../i18n/index.ts";
import { inSession } from "../../state/meeting.ts";
import { places, presentAt } from "../../state/sites.ts";
import { Button, Card, ConfirmButton } from "../../ui/parts.tsx";
import { command, type Console } from "../room/console.ts";
import { CloseDialog } from "./close_dialog.tsx";
import { Lock } from "./lock.tsx";

export function ClosedCard(props: Console) {
  const session = props.meeting.closed_session ?? null;
  if (session) return <Running {...props} session={session} />;
  return inSession(props.meeting) ? <Offer {...props} /> : null;
}

function Offer({ live, meeting, acting }: Console) {
  const open = useSignal(false);
  return (
    <Card title={t("closed.card")} testid="closed-offer">
      <p class="hint">{t("closed.card.text")}</p>
      <div class="actions">
        <Button testid="closed-open" busy={acting.busy.value} onClick={() => (open.value = true)}>
          {t("closed.card.button")}
        </Button>
      </div>
      <CloseDialog
        open={open.value}
        meeting={meeting}
        onNo={() => (open.value = false)}
        onYes={(what) => {
          open.value = false;
          void acting.run(() => command(live, { command: "begin-closed-session", ...what }));
        }}
      />
    </Card>
  );
}

function Running({ live, meeting, acting, session }: Console & { session: ClosedSession }) {
  const admit = (who: { site: string; visitor: string }, admitted: boolean): void => void acting.run(() => command(live, { command: "admit-inside", ...who, admitted }));
  return (
    <section class="card card-line card-warn" data-testid="closed-card" data-since={session.since}>
      <h2 class="row">
        <Lock /> {t("closed.since", { time: clock(session.since, meeting.time_zone) })}
      </h2>
      <p class="pre">{t("closed.reason-is", { reason: session.reason })}</p>
      <ul class="list">
        {places(meeting).map((one) => {
          const main = one.kind === "main";
          const here = main ? t("closed.site.main.hint") : t("closed.site.hall.hint", { here: tn("sites.here", presentAt(meeting, one.site)) });
          return (
            <Admittance
              key={one.site}
              id={one.site}
              place
              name={main ? t("closed.main-title") : one.name}
              text={here}
              inside={session.sites.includes(one.site)}
              busy={acting.busy.value}
              set={(on) => admit({ site: one.site, visitor: "" }, on)}
            />
          );
        })}
        {(meeting.visitors ?? []).map((one) => (
          <Admittance key={one.visitor} id={one.visitor} place={false} name={one.name} text={t(`visitor.${one.kind}`)} inside={session.visitors.includes(one.visitor)} busy={acting.busy.value} set={(on) => admit({ site: "", visitor: one.visitor }, on)} />
        ))}
      </ul>
      <div class="actions">
        <ConfirmButton testid="closed-end" kind="main" busy={acting.busy.value} title={t("closed.end.title")} text={t("closed.end.text")} yes={t("closed.end")} onClick={() => void acting.run(() => command(live, { command: "end-closed-session" }))}>
          {t("closed.end")}
        </ConfirmButton>
      </div>
    </section>
  );
}

/** One screen, hall or visitor: inside or outside, and the way to the other. */
function Admittance(props: { id: string; place: boolean; name: string; text: string; inside: boolean; busy: boolean; set: (inside: boolean) => void }) {
  const { name, inside } = props;
  return (
    <li class="stack-tight" data-testid="admittance" data-id={props.id} data-inside={String(inside)}>
      <div class="row-between">
        <span class="strong">{name}</span>
        <span class={inside ? "badge badge-good" : "badge"}>{inside ? `✓ ${t("closed.is-inside")}` : `○ ${t("closed.is-outside")}`}</span>
      </div>
      <p class="hint">{props.text}</p>
      <div class="row">
        <ConfirmButton
          testid={`${inside ? "send-outside" : "admit-inside"}-${props.id}`}
          busy={props.busy}
          title={t(inside ? "closed.send.title" : "closed.admit.title", { name })}
          text={t(`closed.${inside ? "send" : "admit"}.${props.place ? "place" : "visitor"}`, { name })}
          yes={t(inside ? "closed.send" : "closed.admit")}
          label={t(inside ? "closed.send.title" : "closed.admit.title", { name })}
          onClick={() => props.set(!inside)}
        >
          {t(inside ? "closed.send" : "closed.admit")}
        </ConfirmButton>
      </div>
    </li>
  );
}
