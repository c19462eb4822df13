/** The auditor's page: the files, and the exact command that checks them offline. */
import { files } from "../api/fetch.ts";
import type { Meeting } from "../api/types.ts";
import { t } from "../i18n/index.ts";
import { hasResult } from "../state/meeting.ts";
import { Arrow, Card, Copy, LinkButton, Note, Title } from "../ui/parts.tsx";
import { AuditorKey } from "./auditor_key.tsx";
import { WithMeeting } from "./with_meeting.tsx";

const VERIFY = "folkmoot-verify bundle.zip";
const VERIFY_ANNEX = "folkmoot-verify bundle.zip --annex annex.age --identity auditor-key.txt";

export function Audit({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(_, meeting) => (
        <div class="stack" data-testid="audit">
          <p>
            <a href={`/meetings/${id}`}><Arrow>←</Arrow> {meeting.title}</a>
          </p>
          <Title>{t("audit.title")}</Title>
          <Downloads meeting={meeting} />
        </div>
      )}
    </WithMeeting>
  );
}

function Downloads({ meeting }: { meeting: Meeting }) {
  const { roles } = meeting.me;
  const auditor = roles.includes("auditor");
  const attendance = auditor || roles.includes("secretary") || roles.includes("chair");
  const ready = meeting.elections.some(hasResult);
  const command = auditor ? VERIFY_ANNEX : VERIFY;
  return (
    <>
      {!ready && <Note kind="warn">{t("audit.nothing-yet")}</Note>}
      <Card title={t("audit.bundle.title")}>
        <p>{t("audit.bundle.text")}</p>
        {ready && (
          <div class="actions">
            <LinkButton kind="main" href={files.bundle(meeting.id)} download testid="download-bundle">
              {t("audit.bundle.button")}
            </LinkButton>
          </div>
        )}
      </Card>
      {auditor && (
        <Card title={t("audit.annex.title")}>
          <p>{t("audit.annex.text")}</p>
          <AuditorKey />
          {ready && (
            <div class="actions">
              <LinkButton href={files.annex(meeting.id)} download testid="download-annex">
                {t("audit.annex.button")}
              </LinkButton>
            </div>
          )}
        </Card>
      )}
      {attendance && (
        <Card title={t("audit.attendance.title")}>
          <p>{t("audit.attendance.text")}</p>
          <div class="actions">
            <LinkButton href={files.attendance(meeting.id)} download testid="download-attendance">
              {t("audit.attendance.button")}
            </LinkButton>
          </div>
        </Card>
      )}
      <Card title={t("audit.verify.title")}>
        <p>{t("audit.verify.text")}</p>
        <code class="code-block" data-testid="verify-command">
          {command}
        </code>
        <div class="actions">
          <Copy text={command} label={t("audit.verify.copy")} />
        </div>
        <ul class="list">
          <li>{t("audit.exit.0")}</li>
          <li>{t("audit.exit.1")}</li>
          <li>{t("audit.exit.2")}</li>
        </ul>
        <p class="muted">{t("audit.verify.offline")}</p>
      </Card>
    </>
  );
}
