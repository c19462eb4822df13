/** A rehearsal: the same people and steps with a throw-away key; it decides nothing and says so everywhere. */
import { api } from "../api/fetch.ts";
import type { Meeting } from "../api/types.ts";
import { language, t } from "../i18n/index.ts";
import { navigate } from "../router.ts";
import { useAction } from "../ui/action.ts";
import { Button, Note, Problem } from "../ui/parts.tsx";

export function Rehearsal({ meeting }: { meeting: Meeting }) {
  const acting = useAction();
  const leads = meeting.me.roles.includes("chair") || meeting.me.roles.includes("secretary");
  if (meeting.rehearsal) return <Note kind="warn" testid="rehearsal">{t("rehearsal.is")}</Note>;
  if (!leads || (meeting.state !== "draft" && meeting.state !== "convened")) return null;
  const start = async (): Promise<void> => navigate(`/meetings/${(await api.rehearse(meeting.id, language.value)).id}/prepare`);
  return (
    <details class="card">
      <summary>{t("rehearsal.title")}</summary>
      <div class="stack-tight">
        <p>{t("rehearsal.text")}</p>
        <Problem error={acting.error.value} />
        <Button testid="rehearse" busy={acting.busy.value} onClick={() => void acting.run(start)}>
          {t("rehearsal.button")}
        </Button>
      </div>
    </details>
  );
}
