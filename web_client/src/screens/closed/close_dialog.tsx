/** Why the session is closed, and which screens, halls and visitors stay inside; asked once more before it happens. */
import { useSignal } from "@preact/signals";
import type { Meeting } from "../../api/types.ts";
import type { Admitted } from "../../api/types_closed.ts";
import { t, tn } from "../../i18n/index.ts";
import { places, presentAt } from "../../state/sites.ts";
import { Button, Check, Confirm, Dialog, Field } from "../../ui/parts.tsx";

/** In letters, so that it fits into 500 bytes in every script. */
const REASON_MAX = 160;
const MAIN = "main";

export type Closing = Admitted & { reason: string };

interface Props {
  open: boolean;
  meeting: Meeting;
  onYes: (what: Closing) => void;
  onNo: () => void;
}

export function CloseDialog(props: Props) {
  return (
    <Dialog open={props.open} testid="close-dialog" onCancel={props.onNo}>
      {(titleId) => <Questions {...props} titleId={titleId} />}
    </Dialog>
  );
}

function Questions({ meeting, titleId, onYes, onNo }: Props & { titleId: string }) {
  const reason = useSignal("");
  const sites = useSignal<string[]>([MAIN]);
  const visitors = useSignal<string[]>([]);
  const asking = useSignal(false);
  const set = (list: typeof sites, id: string, on: boolean): void => void (list.value = on ? [...list.value, id] : list.value.filter((one) => one !== id));
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        asking.value = true;
      }}
    >
      <h2 id={titleId}>{t("closed.dialog.title")}</h2>
      <p>{t("closed.dialog.text")}</p>
      <Field label={t("closed.dialog.reason")} hint={t("closed.dialog.reason.hint")} value={reason.value} maxLength={REASON_MAX} rows={2} required testid="closed-reason" onInput={(value) => (reason.value = value)} />
      <fieldset class="closed-fields stack-tight">
        <legend>{t("closed.dialog.sites")}</legend>
        {places(meeting).map((one) => (
          <Check
            key={one.site}
            label={one.kind === "main" ? t("closed.main-title") : one.name}
            hint={one.kind === "main" ? t("closed.site.main.hint") : t("closed.site.hall.hint", { here: tn("sites.here", presentAt(meeting, one.site)) })}
            checked={sites.value.includes(one.site)}
            testid={`closed-site-${one.site}`}
            onChange={(on) => set(sites, one.site, on)}
          />
        ))}
      </fieldset>
      {(meeting.visitors ?? []).length > 0 && (
        <fieldset class="closed-fields stack-tight">
          <legend>{t("closed.dialog.visitors")}</legend>
          {(meeting.visitors ?? []).map((one) => (
            <Check key={one.visitor} label={one.name} hint={t(`visitor.${one.kind}`)} checked={visitors.value.includes(one.visitor)} testid={`closed-visitor-${one.visitor}`} onChange={(on) => set(visitors, one.visitor, on)} />
          ))}
        </fieldset>
      )}
      <div class="actions">
        <Button kind="main" type="submit" testid="closed-go" disabled={reason.value.trim() === ""}>
          {t("closed.dialog.go")}
        </Button>
        <Button testid="closed-no" onClick={onNo}>
          {t("go.back")}
        </Button>
      </div>
      <Confirm
        open={asking.value}
        title={t("closed.confirm.title")}
        text={outcome(meeting, sites.value, visitors.value)}
        yes={t("closed.confirm.yes")}
        onNo={() => (asking.value = false)}
        onYes={() => onYes({ reason: reason.value.trim(), sites: sites.value, visitors: visitors.value })}
      />
    </form>
  );
}

/** Whom it puts outside, by number and name. */
function outcome(meeting: Meeting, sites: readonly string[], visitors: readonly string[]): string {
  const out = places(meeting).filter((one) => !sites.includes(one.site));
  const names = out.map((one) => (one.kind === "main" ? t("closed.main-title") : one.name));
  const sent = (meeting.visitors ?? []).filter((one) => !visitors.includes(one.visitor)).length;
  const parts = [tn("closed.confirm.visitors", sent), names.length > 0 ? t("closed.confirm.sites", { names: names.join(", ") }) : "", t("closed.confirm.text")];
  return parts.filter(Boolean).join(" ");
}
