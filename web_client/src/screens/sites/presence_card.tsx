/** Asks the member to show that they are here; the passkey answers, and missing it costs nobody the seat. */
import { useEffect } from "preact/hooks";
import { api } from "../../api/fetch.ts";
import { sites } from "../../api/sites.ts";
import type { Meeting } from "../../api/types.ts";
import * as challenges from "../../ballot/challenges.ts";
import { fromB64u } from "../../ballot/encoding.ts";
import { t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { signChallenge } from "../../state/sign.ts";
import { useAction } from "../../ui/action.ts";
import { alarm } from "../../ui/announce.ts";
import { Button, Problem } from "../../ui/parts.tsx";
import { useServerTime } from "../../ui/server_time.ts";
import { span } from "../../ui/time.ts";

const BYTES = 32;

export function PresenceCard({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const now = useServerTime();
  const acting = useAction();
  const { presence, me } = meeting;
  const asked = presence !== null && presence.me === "asked" && presence.until > now.value && me.credential !== null;
  useEffect(() => {
    if (asked) alarm(t("presence.you"));
  }, [asked]);
  if (!asked) return <></>;
  const confirm = async (): Promise<void> => {
    const { nonce } = await api.nonce("presence");
    const challenge = challenges.presence({ meeting: meeting.id, presence: presence.presence, credential: fromB64u(me.credential ?? "", BYTES), nonce: fromB64u(nonce, BYTES) });
    await sites.confirmPresence(meeting.id, presence.presence, await signChallenge(nonce, challenge));
    await live.refresh();
  };
  return (
    <section class="card card-live" data-testid="presence-card" aria-labelledby="presence-title">
      <h2 id="presence-title">{t("presence.you")}</h2>
      <p>{t("presence.you.text", { left: span(presence.until - now.value) })}</p>
      <Problem error={acting.error.value} />
      <div class="actions">
        <Button kind="main" testid="presence-confirm" busy={acting.busy.value} onClick={() => void acting.run(confirm)}>
          {t("presence.confirm")}
        </Button>
      </div>
    </section>
  );
}
