/** A member's own wish to speak: one button, what it is for, the place in the queue, the own clock. */
import { useSignal } from "@preact/signals";
import { api } from "../../api/fetch.ts";
import type { Meeting } from "../../api/types.ts";
import type { FloorCommand, Turn, TurnKind } from "../../api/types_floor.ts";
import { say, t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { KINDS, placeOf } from "../../state/speaking.ts";
import { type Action, useAction } from "../../ui/action.ts";
import { Arrow, Button, Note, Problem, Select } from "../../ui/parts.tsx";
import { kindText, TurnClock } from "./timer.tsx";

const CATEGORIES = [0, 1, 2, 3, 4, 5];
const TALKING: ReadonlySet<string> = new Set(["checking-in", "opened", "quorum-lost"]);

type Mine = FloorCommand | { command: "lower-hand" };

export function MyTurn({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const acting = useAction();
  const { now, queue } = meeting.speaking;
  const me = meeting.me.member;
  const place = placeOf(meeting, me);
  const waiting = queue[place - 1];
  const send = (what: Mine): void =>
    void acting.run(async () => {
      await live.upTo((await api.command(meeting.id, what)).seq);
    });
  if (!TALKING.has(meeting.state)) return null;
  const speaks = now?.person === me;
  return (
    <section class="card my-turn" data-testid="my-turn" data-place={place} data-speaking={String(speaks)} aria-labelledby="my-turn-title">
      <h2 id="my-turn-title">{t("speak.title")}</h2>
      <div aria-live="polite" class="stack-tight">
        {speaks && now && <OnFloor turn={now} />}
        {!speaks && waiting && <Waiting turn={waiting} place={place} of={queue.length} />}
      </div>
      <Problem error={acting.error.value} />
      {speaks && (
        <div class="actions">
          <Button kind="main" testid="yield-floor" busy={acting.busy.value} onClick={() => send({ command: "yield-floor" })}>
            {t("speak.yield")}
          </Button>
        </div>
      )}
      {!speaks && waiting && (
        <div class="actions">
          <Button testid="lower-hand" busy={acting.busy.value} onClick={() => send({ command: "lower-hand" })}>
            {t("speak.take-back")}
          </Button>
        </div>
      )}
      {!speaks && !waiting && <Ask meeting={meeting} acting={acting} send={send} />}
    </section>
  );
}

function OnFloor({ turn }: { turn: Turn }) {
  return (
    <>
      <p class="strong"><Arrow>▶</Arrow> {t("speak.you-speak")}</p>
      <TurnClock turn={turn} large />
    </>
  );
}

function Waiting({ turn, place, of }: { turn: Turn; place: number; of: number }) {
  return (
    <p data-testid="my-place">
      ✋ {place === 1 ? t("speak.next") : t("speak.place", { place, of })} <span class="badge">{kindText(turn)}</span>
    </p>
  );
}

/** One tap asks for the plain contribution; what else one can speak for stands right above it. */
function Ask({ meeting, acting, send }: { meeting: Meeting; acting: Action; send: (what: Mine) => void }) {
  const { open, queue } = meeting.speaking;
  const kind = useSignal<TurnKind>("contribution");
  const category = useSignal(0);
  const chosen = open ? kind.value : "point-of-order";
  const kinds = open ? KINDS : KINDS.filter((one) => one === "point-of-order");
  const order = chosen === "point-of-order";
  return (
    <>
      {!open && <Note testid="queue-closed">{t("speak.closed")}</Note>}
      <Select
        label={t("speak.for")}
        testid="speak-kind"
        value={chosen}
        choices={kinds.map((value) => ({ value, label: say(`speak.kind.${value}`) }))}
        onChange={(value) => (kind.value = value as TurnKind)}
      />
      {order && (
        <Select
          label={t("speak.category")}
          hint={t("speak.category-hint")}
          testid="speak-category"
          value={String(category.value)}
          choices={CATEGORIES.map((value) => ({ value: String(value), label: say(`speak.category.${value}`) }))}
          onChange={(value) => (category.value = Number(value))}
        />
      )}
      <div class="actions">
        <Button kind="main" testid="ask-to-speak" busy={acting.busy.value} onClick={() => send({ command: "raise-hand", kind: chosen, category: order ? category.value : 0 })}>
          ✋ {t("speak.ask")}
        </Button>
      </div>
      <p class="hint">{queue.length === 0 ? t("speak.nobody-waits") : t("speak.waiting", { n: queue.length })}</p>
    </>
  );
}
