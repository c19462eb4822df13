/** Who was here, where and from when to when; and how many were here at every moment, beside how many were needed. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { files } from "../../api/fetch.ts";
import { sites } from "../../api/sites.ts";
import type { Meeting } from "../../api/types.ts";
import type { AttendanceLine, CurvePoint } from "../../api/types_sites.ts";
import { clock, t } from "../../i18n/index.ts";
import { siteOf } from "../../state/sites.ts";
import { curveSteps } from "../../state/curve.ts";
import { useAction } from "../../ui/action.ts";
import { Card, LinkButton, Loading, Problem, Title } from "../../ui/parts.tsx";
import { WithMeeting } from "../with_meeting.tsx";
import "./sites.css";

const WIDTH = 600;
const HEIGHT = 160;

export function AttendanceScreen({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(_, meeting) => (
        <div class="stack" data-testid="attendance">
          <p>
            <a href={`/meetings/${id}`}>← {meeting.title}</a>
          </p>
          <Title>{t("attendance.title")}</Title>
          <Body meeting={meeting} />
        </div>
      )}
    </WithMeeting>
  );
}

function Body({ meeting }: { meeting: Meeting }) {
  const loading = useAction();
  const lines = useSignal<AttendanceLine[] | null>(null);
  const points = useSignal<CurvePoint[]>([]);
  useEffect(
    () =>
      void loading.run(async () => {
        const [list, curve] = await Promise.all([sites.attendance(meeting.id), sites.curve(meeting.id)]);
        lines.value = list.lines;
        points.value = curve.points;
      }),
    [meeting.seq],
  );
  const office = meeting.me.roles.some((role) => role === "chair" || role === "secretary" || role === "auditor");
  return (
    <>
      <Problem error={loading.error.value} />
      {lines.value === null && loading.busy.value && <Loading />}
      {points.value.length > 0 && <Curve points={points.value} zone={meeting.time_zone} />}
      {lines.value !== null && <Lines meeting={meeting} lines={lines.value} />}
      {office && (
        <div class="actions">
          <LinkButton href={files.attendance(meeting.id)} download testid="attendance-csv">
            {t("attendance.csv")}
          </LinkButton>
        </div>
      )}
    </>
  );
}

/** A stair of those present and a dashed line of those needed; the words above say the same. */
function Curve({ points, zone }: { points: CurvePoint[]; zone: string }) {
  const last = points.at(-1);
  const first = points[0];
  if (!last || !first) return null;
  const highest = Math.max(1, ...points.map((point) => Math.max(point.present, point.needed)));
  const { present, needed } = curveSteps(points, WIDTH, HEIGHT, highest);
  const summary = t("attendance.curve.text", { from: clock(first.at, zone), until: clock(last.at, zone), highest: Math.max(...points.map((point) => point.present)), now: last.present, needed: last.needed });
  return (
    <Card title={t("attendance.curve")} testid="quorum-curve" data={{ "data-points": String(points.length) }}>
      <p>{summary}</p>
      <svg class="curve" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={summary}>
        <path class="curve-needed" d={needed} />
        <path class="curve-line" d={present} />
      </svg>
      <p class="small muted">{t("attendance.curve.legend")}</p>
    </Card>
  );
}

function Lines({ meeting, lines }: { meeting: Meeting; lines: AttendanceLine[] }) {
  const nameOf = (site: string): string => (site === "main" ? t("sites.main") : site === "remote" ? t("sites.remote") : (siteOf(meeting, site)?.name ?? site));
  if (lines.length === 0) return <p class="muted">{t("attendance.nobody")}</p>;
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
    <div class="table-scroll" role="region" aria-label={t("attendance.title")} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("attendance.member")}</th>
            <th scope="col">{t("attendance.site")}</th>
            <th scope="col">{t("attendance.from")}</th>
            <th scope="col">{t("attendance.until")}</th>
            <th scope="col">{t("attendance.confirmed")}</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line, at) => (
            <tr key={at} data-testid="attendance-line" data-member={line.member} data-site={line.site}>
              <td>{line.name}</td>
              <td>{nameOf(line.site)}</td>
              <td>{clock(line.from, meeting.time_zone)}</td>
              <td>{line.until === null ? t("attendance.still") : clock(line.until, meeting.time_zone)}</td>
              <td>{line.confirmed === "" ? "–" : t(`attendance.confirmed.${line.confirmed}`)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
