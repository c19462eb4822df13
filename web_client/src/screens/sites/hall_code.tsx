/** At check-in: who sits in a hall names it with the code on its wall; everybody else leaves this alone. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Meeting } from "../../api/types.ts";
import { t } from "../../i18n/index.ts";
import { Field, Select } from "../../ui/parts.tsx";

/** Where the member says to be; empty for by themselves. */
export const hallChoice = signal<{ site: string; code: string }>({ site: "", code: "" });

export const inHall = (site: string): boolean => site !== "" && site !== "main";

/** What the check-in names: a hall with its code, the main room, or the member's own place. */
export const whereOf = (choice: { site: string; code: string }): { site: string; code: string } => (choice.site === "" ? { site: "remote", code: "" } : choice);

/** Of an address that the hall's square code holds: `#hall=<site>.<code>`. */
export function hallOf(hash: string): { site: string; code: string } | null {
  const found = /^#hall=([A-Za-z0-9_-]{1,64})\.([a-z2-7]{10})$/.exec(hash);
  return found ? { site: found[1] ?? "", code: found[2] ?? "" } : null;
}

export function HallCode({ meeting }: { meeting: Meeting }) {
  const halls = meeting.sites.filter((one) => one.kind === "hall");
  useEffect(() => {
    const given = hallOf(location.hash);
    if (given) hallChoice.value = given;
    return () => void (hallChoice.value = { site: "", code: "" });
  }, []);
  if (halls.length === 0) return null;
  const { site, code } = hallChoice.value;
  return (
    <fieldset class="card" data-testid="hall-choice" data-site={site}>
      <legend class="visually-hidden">{t("check-in.where")}</legend>
      <h2>{t("check-in.where")}</h2>
      <Select
        label={t("check-in.site")}
        testid="check-in-site"
        value={site}
        choices={[
          { value: "", label: t("sites.alone") },
          { value: "main", label: t("sites.main") },
          ...halls.map((one) => ({ value: one.site, label: one.name })),
        ]}
        onChange={(value) => (hallChoice.value = { site: value, code })}
      />
      {site !== "" && (
        <Field label={t("check-in.code")} hint={t("check-in.code.hint")} value={code} maxLength={12} testid="check-in-code" required onInput={(value) => (hallChoice.value = { site, code: value.toLowerCase().replaceAll(/[^a-z2-7]/g, "") })} />
      )}
    </fieldset>
  );
}
