/** Organisation set-up: units, members with their enrolment links, grants. */
import { useSignal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api/fetch.ts";
import { type Member, type Organisation, ROLES, type Unit } from "../api/types.ts";
import { clock, day, t, tn } from "../i18n/index.ts";
import { signAction } from "../state/sign.ts";
import { useAction } from "../ui/action.ts";
import { ConfirmPasskeys } from "./confirm_passkeys.tsx";
import { Button, Card, ConfirmButton, Copy, Field, Form, Loading, Note, Problem, Select, Title } from "../ui/parts.tsx";

const SHOWN_AT_ONCE = 50;
const YEAR_S = 365 * 24 * 3600;

interface Data {
  organisation: Signal<Organisation | null>;
  members: Signal<Member[]>;
  reload: () => Promise<void>;
}

export function OrganisationScreen() {
  const organisation = useSignal<Organisation | null>(null);
  const members = useSignal<Member[]>([]);
  const loading = useAction();
  const reload = async (): Promise<void> => {
    const [about, people] = await Promise.all([api.organisation(), api.members()]);
    organisation.value = about;
    members.value = people.members;
  };
  useEffect(() => void loading.run(reload), []);
  const data: Data = { organisation, members, reload };
  return (
    <div class="stack">
      <Title>{t("organisation.title")}</Title>
      {organisation.value === null && loading.busy.value && <Loading />}
      <Problem error={loading.error.value} />
      {organisation.value !== null && (
        <>
          {organisation.value.units[0] && <Card title={t("confirm.card")}><ConfirmPasskeys unit={organisation.value.units[0].id} onChange={() => void reload()} /></Card>}
          <AddMember {...data} />
          <Members {...data} />
          <Units {...data} />
          <Grants {...data} />
        </>
      )}
    </div>
  );
}

const unitChoices = (units: readonly Unit[]) => units.map((unit) => ({ value: unit.id, label: unit.name }));
const nameOf = (units: readonly Unit[], id: string): string => units.find((unit) => unit.id === id)?.name ?? id;

function AddMember({ organisation, reload }: Data) {
  const units = organisation.value?.units ?? [];
  const name = useSignal("");
  const unit = useSignal(units[0]?.id ?? "");
  const link = useSignal<{ name: string; url: string } | null>(null);
  const adding = useAction();
  const work = async (): Promise<void> => {
    const added = await api.addMember(name.value.trim(), unit.value);
    link.value = { name: name.value.trim(), url: added.enrolment_url };
    name.value = "";
    await reload();
  };
  return (
    <Card title={t("member.add.title")}>
      <Form action={adding} work={work} submit={t("member.add.button")} testid="member-add">
        <Field label={t("member.name")} value={name.value} onInput={(value) => (name.value = value)} testid="member-name-input" required maxLength={200} />
        <Select label={t("unit")} value={unit.value} onChange={(value) => (unit.value = value)} choices={unitChoices(units)} testid="member-unit" />
      </Form>
      {link.value && <EnrolmentLink name={link.value.name} url={link.value.url} />}
    </Card>
  );
}

function EnrolmentLink({ name, url }: { name: string; url: string }) {
  return (
    <div class="stack-tight">
      <Note kind="good">{t("member.link.for", { name })}</Note>
      <output class="code-block" data-testid="enrolment-link">
        {url}
      </output>
      <p class="hint">{t("member.link.hint")}</p>
      <div class="actions">
        <Copy text={url} label={t("member.link.copy")} testid="enrolment-copy" />
      </div>
    </div>
  );
}

function Members({ organisation, members, reload }: Data) {
  const filter = useSignal("");
  const shown = useSignal(SHOWN_AT_ONCE);
  const wanted = filter.value.trim().toLocaleLowerCase();
  const found = members.value.filter((member) => `${member.name} ${member.code}`.toLocaleLowerCase().includes(wanted));
  return (
    <Card title={tn("members.count", members.value.length)}>
      {members.value.length > SHOWN_AT_ONCE && (
        <Field label={t("members.find")} value={filter.value} onInput={(value) => (filter.value = value)} />
      )}
      {members.value.length === 0 && <p>{t("members.empty")}</p>}
      <ul class="list">
        {found.slice(0, shown.value).map((member) => (
          <MemberLine key={member.id} member={member} units={organisation.value?.units ?? []} reload={reload} />
        ))}
      </ul>
      {found.length > shown.value && <Button onClick={() => (shown.value += SHOWN_AT_ONCE)}>{t("show-more")}</Button>}
    </Card>
  );
}

function MemberLine({ member, units, reload }: { member: Member; units: readonly Unit[]; reload: () => Promise<void> }) {
  const link = useSignal("");
  const making = useAction();
  const make = async (): Promise<void> => {
    link.value = (await api.enrolmentLink(member.id)).enrolment_url;
  };
  const replace = async (): Promise<void> => {
    link.value = (await api.replacementLink(member.id)).enrolment_url;
  };
  return (
    <li class="stack-tight" data-testid="member" data-member={member.id}>
      <div class="row-between">
        <span class="strong">{member.name}</span>
        <span class={member.state === "active" ? "badge badge-good" : "badge"}>{t(`member.state.${member.state}`)}</span>
      </div>
      <p class="muted small">
        {t("member.line", { code: member.code, unit: nameOf(units, member.unit) })} · {tn("member.passkeys", member.passkeys)}
        {member.weight > 1 && <> · {t("member.weight", { n: member.weight })}</>}
      </p>
      <Roles member={member} units={units} reload={reload} />
      {!link.value && (
        <details open={member.passkeys === 0}>
          <summary class="small">{t("member.more")}</summary>
          <div class="stack-tight">
            {member.passkeys === 0 ? (
              <Button testid={`member-link-${member.id}`} busy={making.busy.value} onClick={() => void making.run(make)}>
                {t("member.link.new")}
              </Button>
            ) : (
              <ConfirmButton testid={`member-replace-${member.id}`} kind="danger" danger title={t("member.replace", { name: member.name })} text={t("member.replace.text")} yes={t("member.replace.yes")} busy={making.busy.value} onClick={() => void making.run(replace)}>
                {t("member.replace.button")}
              </ConfirmButton>
            )}
            <Weight member={member} reload={reload} />
          </div>
        </details>
      )}
      <Problem error={making.error.value} />
      {link.value && <EnrolmentLink name={member.name} url={link.value} />}
    </li>
  );
}

/** How many votes the member has. */
function Weight({ member, reload }: { member: Member; reload: () => Promise<void> }) {
  const weight = useSignal(String(member.weight));
  const acting = useAction();
  const work = async (): Promise<void> => {
    const wanted = Number.parseInt(weight.value, 10);
    const action = { type: "set-weight", member: member.id, weight: wanted };
    await api.setWeight(member.id, wanted, action, await signAction(action));
    await reload();
  };
  return (
    <Form action={acting} work={work} submit={t("weight.button")} testid={`weight-save-${member.id}`} kind="plain" disabled={weight.value === String(member.weight)}>
      <Field label={t("weight.label")} hint={t("weight.hint")} type="number" min={1} value={weight.value} onInput={(value) => (weight.value = value)} testid={`weight-${member.id}`} required />
    </Form>
  );
}

/** The member's roles, each with its unit and last day, and the way to end it. */
function Roles({ member, units, reload }: { member: Member; units: readonly Unit[]; reload: () => Promise<void> }) {
  const ending = useAction();
  if (member.roles.length === 0) return null;
  const end = async (id: string): Promise<void> => {
    await api.endGrant(id);
    await reload();
  };
  return (
    <details>
      <summary class="small">{[...new Set(member.roles.map((grant) => t(`role.${grant.role}`)))].join(", ")}</summary>
      <Problem error={ending.error.value} />
      <ul class="list">
        {member.roles.map((grant) => {
          const { id = "", until } = grant;
          const what = { role: t(`role.${grant.role}`), unit: nameOf(units, grant.unit), name: member.name };
          return (
            <li key={id} class="row-between" data-testid="grant" data-grant={id} data-role={grant.role}>
              <span class="small">
                {what.role}, {what.unit}
                {until !== null && <span class="hint">{t("grant.until-day", { day: day(until) })}</span>}
              </span>
              <ConfirmButton testid={`grant-end-${id}`} kind="danger" danger label={t("grant.end.title", what)} title={t("grant.end.title", what)} text={t("grant.end.text")} yes={t("grant.end.yes")} busy={ending.busy.value} onClick={() => void ending.run(() => end(id))}>
                {t("grant.end")}
              </ConfirmButton>
            </li>
          );
        })}
      </ul>
    </details>
  );
}

function Units({ organisation, reload }: Data) {
  const units = organisation.value?.units ?? [];
  const name = useSignal("");
  const parent = useSignal(units[0]?.id ?? "");
  const adding = useAction();
  const work = async (): Promise<void> => {
    await api.addUnit(parent.value, name.value.trim());
    name.value = "";
    await reload();
  };
  const roots = units.filter((unit) => !units.some((other) => other.id === unit.parent));
  return (
    <Card title={t("units.title")}>
      <Tree units={units} nodes={roots} />
      <details>
        <summary>{t("unit.add.title")}</summary>
        <Form action={adding} work={work} submit={t("unit.add.button")} testid="unit-add" kind="plain">
          <Field label={t("unit.name")} value={name.value} onInput={(value) => (name.value = value)} testid="unit-name" required maxLength={200} />
          <Select label={t("unit.parent")} value={parent.value} onChange={(value) => (parent.value = value)} choices={unitChoices(units)} testid="unit-parent" />
        </Form>
      </details>
    </Card>
  );
}

function Tree({ units, nodes }: { units: readonly Unit[]; nodes: readonly Unit[] }) {
  return (
    <ul class="stack-tight">
      {nodes.map((node) => {
        const below = units.filter((unit) => unit.parent === node.id);
        return (
          <li key={node.id} data-testid="unit">
            {node.name}
            {below.length > 0 && (
              <div class="tree">
                <Tree units={units} nodes={below} />
              </div>
            )}
          </li>
        );
      })}
    </ul>
  );
}

function Grants({ organisation, members, reload }: Data) {
  const units = organisation.value?.units ?? [];
  const member = useSignal("");
  const role = useSignal<string>("teller");
  const unit = useSignal(units[0]?.id ?? "");
  const until = useSignal(new Date(Date.now() + YEAR_S * 1000).toISOString().slice(0, 10));
  const granted = useSignal("");
  const granting = useAction();
  const active = members.value.filter((person) => person.state === "active");
  const chosen = member.value || (active[0]?.id ?? "");
  const work = async (): Promise<void> => {
    const end = Math.floor(Date.parse(`${until.value}T23:59:59Z`) / 1000);
    const what = { member: chosen, role: role.value, unit: unit.value, until: end };
    const action = { type: "grant-role", ...what };
    await api.grant({ ...what, action, signed: await signAction(action) });
    granted.value = `${members.value.find((person) => person.id === chosen)?.name ?? ""}: ${t(`role.${role.value as "teller"}`)}`;
    await reload();
  };
  return (
    <Card title={t("grants.title")}>
      <p class="muted">{t("grants.text")}</p>
      <Form action={granting} work={work} submit={t("grant.button")} testid="grant-add" kind="plain" disabled={!chosen}>
        <Select label={t("grant.member")} value={chosen} onChange={(value) => (member.value = value)} choices={active.map((person) => ({ value: person.id, label: `${person.name} (${person.code})` }))} testid="grant-member" />
        <Select label={t("grant.role")} value={role.value} onChange={(value) => (role.value = value)} choices={ROLES.map((value) => ({ value, label: t(`role.${value}`) }))} testid="grant-role" />
        <Select label={t("unit")} value={unit.value} onChange={(value) => (unit.value = value)} choices={unitChoices(units)} testid="grant-unit" />
        <Field label={t("grant.until")} type="date" value={until.value} onInput={(value) => (until.value = value)} testid="grant-until" required />
      </Form>
      {granted.value && <Note kind="good">{t("grant.done", { what: granted.value, time: clock(Date.now() / 1000) })}</Note>}
    </Card>
  );
}
