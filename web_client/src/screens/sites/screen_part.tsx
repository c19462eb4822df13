/** The address of a hall's wall, made by whoever runs the meeting or looks after the hall. */
import { useSignal } from "@preact/signals";
import { sites } from "../../api/sites.ts";
import { t } from "../../i18n/index.ts";
import { useAction } from "../../ui/action.ts";
import { Button, Copy, Problem } from "../../ui/parts.tsx";

/** `here`: the wall is to be reached as this page is, by the hall's relay where it has one, which goes on in a cut. */
export function ScreenPart({ meeting, site, here = false }: { meeting: string; site: string; here?: boolean }) {
  const making = useAction();
  const address = useSignal("");
  const make = async (): Promise<void> => {
    const { url } = await sites.makeScreen(meeting, site);
    address.value = here ? `${location.origin}/screen${new URL(url).hash}` : url;
  };
  return (
    <div class="stack-tight">
      <p>{t("sites.screen.text")}</p>
      <Problem error={making.error.value} />
      <div class="actions">
        <Button testid={`screen-make-${site}`} busy={making.busy.value} onClick={() => void making.run(make)}>
          {t("sites.screen.make")}
        </Button>
      </div>
      {address.value !== "" && (
        <>
          <code class="code-block" data-testid="screen-url">
            {address.value}
          </code>
          <Copy text={address.value} label={t("sites.copy")} testid="screen-copy" />
        </>
      )}
    </div>
  );
}
