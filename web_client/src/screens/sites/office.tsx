/** For chair and secretary: which halls take part, who looks after each, codes, relays and screens for their walls. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Meeting, Member } from "../../api/types.ts";
import { api } from "../../api/fetch.ts";
import { sites } from "../../api/sites.ts";
import { LINK_PROFILES, type LinkProfile, type Site, type SiteText } from "../../api/types_sites.ts";
import { clock, dayAndTime, t } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { isEnded } from "../../state/meeting.ts";
import { places, presentAt } from "../../state/sites.ts";
import { useAction } from "../../ui/action.ts";
import { Button, Card, ConfirmButton, Field, Fold, Form, LinkButton, Note, Problem, Select, Title } from "../../ui/parts.tsx";
import { WithMeeting } from "../with_meeting.tsx";
import { CodeCard } from "./code_card.tsx";
import { AcceptTest, heads, Light, Tested, WrongClock } from "./light.tsx";
import { ScreenPart } from "./screen_part.tsx";

const NAME_MAX = 80;
const EXPECTED_MAX = 1000;

interface Office {
  live: LiveMeeting;
  meeting: Meeting;
}

export function SitesScreen({ id }: { id: string }) {
  return (
    <WithMeeting id={id}>
      {(live, meeting) => {
        const office = meeting.me.roles.includes("chair") || meeting.me.roles.includes("secretary");
        return (
          <div class="stack" data-testid="sites">
            <p>
              <a href={`/meetings/${id}`}>← {meeting.title}</a>
            </p>
            <Title>{t("sites.title")}</Title>
            <p>{t("sites.text")}</p>
            {office ? <Sites live={live} meeting={meeting} /> : <Note kind="warn">{t("sites.office-only")}</Note>}
          </div>
        );
      }}
    </WithMeeting>
  );
}

function Sites({ live, meeting }: Office) {
  const people = useSignal<Member[]>([]);
  const loading = useAction();
  const over = isEnded(meeting);
  useEffect(() => void loading.run(async () => (people.value = (await api.members()).members)), []);
  const halls = places(meeting);
  return (
    <>
      <Problem error={loading.error.value} />
      {halls.length <= 1 && <p class="muted">{t("sites.none")}</p>}
      {halls.map((site) => (
        <SiteCard key={site.site} live={live} meeting={meeting} site={site} people={people.value} />
      ))}
      {!over && (
        <Card title={t("sites.add")}>
          <SiteForm testid="site-add" submit={t("sites.add.button")} people={people.value} work={(body) => sites.add(meeting.id, body).then(() => live.refresh())} />
        </Card>
      )}
    </>
  );
}

const EMPTY: SiteText = { name: "", custodian: "", expected: 10, profile: 256 };

function SiteForm(props: { testid: string; submit: string; people: Member[]; given?: SiteText; work: (body: SiteText) => Promise<unknown> }) {
  const acting = useAction();
  const draft = useSignal<SiteText>(props.given ?? EMPTY);
  const set = (fields: Partial<SiteText>): void => void (draft.value = { ...draft.value, ...fields });
  const save = async (): Promise<void> => {
    await props.work({ ...draft.value, name: draft.value.name.trim() });
    if (!props.given) draft.value = EMPTY;
  };
  return (
    <Form action={acting} work={save} submit={props.submit} testid={props.testid} kind="plain">
      <Field label={t("sites.name")} hint={t("sites.name.hint")} value={draft.value.name} onInput={(name) => set({ name })} testid="site-name" required maxLength={NAME_MAX} />
      <Select
        label={t("sites.custodian")}
        hint={t("sites.custodian.hint")}
        testid="site-custodian"
        value={draft.value.custodian}
        choices={[{ value: "", label: t("sites.custodian.none") }, ...props.people.map((one) => ({ value: one.id, label: `${one.name} (${one.code})` }))]}
        onChange={(custodian) => set({ custodian })}
      />
      <Field label={t("sites.expected")} type="number" min={0} value={String(draft.value.expected)} onInput={(value) => set({ expected: Math.min(EXPECTED_MAX, Math.max(0, Math.floor(Number(value)) || 0)) })} testid="site-expected" />
      <Select
        label={t("sites.profile")}
        hint={t("sites.profile.hint")}
        testid="site-profile"
        value={String(draft.value.profile)}
        choices={LINK_PROFILES.map((value) => ({ value: String(value), label: value === 0 ? t("sites.profile.wide") : t("sites.profile.n", { n: value }) }))}
        onChange={(value) => set({ profile: Number(value) as LinkProfile })}
      />
    </Form>
  );
}

function SiteCard({ live, meeting, site, people }: Office & { site: Site; people: Member[] }) {
  const acting = useAction();
  const changing = useSignal(false);
  const here = presentAt(meeting, site.site);
  const hall = site.kind === "hall";
  const over = isEnded(meeting);
  const remove = async (): Promise<void> => {
    await sites.remove(meeting.id, site.site);
    await live.refresh();
  };
  const change = async (body: SiteText): Promise<void> => {
    await sites.change(meeting.id, site.site, body);
    await live.refresh();
    changing.value = false;
  };
  return (
    <Card title={hall ? site.name : t("sites.main")} testid="site" data={{ "data-site": site.site, "data-state": site.state }}>
      <div class="row">
        {hall && <Light site={site} zone={meeting.time_zone} />}
        <span class="badge">{heads(here, site)}</span>
      </div>
      {hall && <p>{site.custodian_name === "" ? t("sites.no-custodian") : t("sites.looked-after", { name: site.custodian_name })}</p>}
      {hall && <Tested site={site} zone={meeting.time_zone} />}
      <WrongClock site={site} />
      {!over && <AcceptTest live={live} site={site} />}
      {site.seats && <p class="small">{t("sites.seats-signed", { n: site.seats.count, time: clock(site.seats.signed_at, meeting.time_zone) })}</p>}
      <Problem error={acting.error.value} />
      {!over && site.kind === "main" && places(meeting).length > 1 && (
        <Fold testid="main-code" summary={t("sites.main-code")}>
          {() => <CodeCard meeting={meeting} site={site} />}
        </Fold>
      )}
      {!over && <Codes meeting={meeting} site={site} />}
      {!over && hall && (
        <div class="actions">
          <LinkButton href={`/meetings/${meeting.id}/hall/${site.site}`} testid={`go-hall-${site.site}`}>
            {t("sites.open-hall")}
          </LinkButton>
          <Button testid={`site-change-${site.site}`} pressed={changing.value} onClick={() => (changing.value = !changing.value)}>
            {t("sites.change")}
          </Button>
          <ConfirmButton
            kind="quiet"
            danger
            testid={`site-remove-${site.site}`}
            disabled={here > 0}
            busy={acting.busy.value}
            title={t("sites.remove.title", { name: site.name })}
            text={t("sites.remove.text")}
            yes={t("sites.remove")}
            onClick={() => void acting.run(remove)}
          >
            {t("sites.remove")}
          </ConfirmButton>
        </div>
      )}
      {changing.value && (
        <SiteForm
          testid="site-save"
          submit={t("sites.save")}
          people={people}
          given={{ name: site.name, custodian: site.custodian, expected: site.expected, profile: site.profile }}
          work={change}
        />
      )}
    </Card>
  );
}

/** What a hall is given: an address for its wall, and the one-time code of its relay. Both are shown once. */
function Codes({ meeting, site }: { meeting: Meeting; site: Site }) {
  const acting = useAction();
  const origin = useSignal("");
  const relay = useSignal<{ code: string; until: number } | null>(null);
  return (
    <details data-testid={`site-codes-${site.site}`}>
      <summary>{t("sites.devices")}</summary>
      <div class="stack">
        <ScreenPart meeting={meeting.id} site={site.site} />
        {site.kind === "hall" && (
          <Form
            action={acting}
            kind="plain"
            testid={`relay-code-${site.site}`}
            submit={t("sites.relay.make")}
            work={async () => (relay.value = await sites.relayCode(meeting.id, site.site, origin.value.trim()))}
          >
            <p>{t("sites.relay.text")}</p>
            <Field label={t("sites.relay.origin")} hint={t("sites.relay.origin.hint")} value={origin.value} onInput={(value) => (origin.value = value)} testid="relay-origin" maxLength={200} />
          </Form>
        )}
        {relay.value && (
          <div class="stack-tight">
            <code class="code-block" data-testid="relay-code">
              {relay.value.code}
            </code>
            <p class="hint">{t("sites.relay.until", { time: dayAndTime(relay.value.until, meeting.time_zone) })}</p>
          </div>
        )}
        <Problem error={acting.error.value} />
      </div>
    </details>
  );
}
