/** The shell: header, the screen of the current address, tabs; nothing asks for a session before it is known. */
import { Component, type ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { LANGUAGES, type Language } from "./i18n/core.ts";
import { language, t, useLanguage } from "./i18n/index.ts";
import type { Session } from "./api/types.ts";
import { type RouteName, expected, navigate, route } from "./router.ts";
import { Home } from "./screens/home.tsx";
import { SignIn } from "./screens/sign_in.tsx";
import { forget } from "./state/cache.ts";
import { cutSince } from "./state/cut.ts";
import { offline } from "./state/link.ts";
import { hasRole, info, session, signOut } from "./state/session.ts";
import { canStep, stepTextSize } from "./state/settings.ts";
import { newVersion } from "./sw/register.ts";
import { useAction } from "./ui/action.ts";
import { lazy, type View } from "./ui/lazy.tsx";
import { Announcer, Button, Loading, OfflineBanner, Problem, Select, Title } from "./ui/parts.tsx";
import { wide } from "./ui/wide.ts";

type Screen = View<{ id: string; panel: string }> & { bring?(): Promise<unknown> };

const SCREENS: Record<RouteName, Screen> = {
  home: Home,
  signIn: SignIn,
  enrol: lazy<{ id: string; panel: string }>(async () => (await import("./screens/enrol.tsx")).Enrol, ["office"]),
  guest: lazy<{ id: string; panel: string }>(async () => (await import("./screens/guest.tsx")).Guest, ["visitors"]),
  organisation: lazy<{ id: string; panel: string }>(async () => (await import("./screens/organisation.tsx")).OrganisationScreen, ["office"]),
  passkeys: lazy<{ id: string; panel: string }>(async () => (await import("./screens/my_passkeys.tsx")).MyPasskeysScreen, ["office"]),
  receipts: lazy<{ id: string; panel: string }>(async () => (await import("./screens/receipts.tsx")).Receipts, ["cut"]),
  newMeeting: lazy<{ id: string; panel: string }>(async () => (await import("./screens/new_meeting.tsx")).NewMeeting, ["calling", "prepare"]),
  meeting: lazy<{ id: string; panel: string }>(async () => (await import("./screens/meeting.tsx")).MeetingPage, ["notice", "teller"]),
  prepare: lazy<{ id: string; panel: string }>(async () => (await import("./screens/prepare.tsx")).Prepare, ["calling", "notice", "office", "prepare"]),
  checkIn: lazy<{ id: string; panel: string }>(async () => (await import("./screens/check_in.tsx")).CheckIn, ["calling", "ladder", "notice", "office", "prepare", "sites"]),
  room: lazy<{ id: string; panel: string }>(async () => (await import("./screens/room/room.tsx")).RoomScreen, ["conduct", "ladder", "notice", "teller", "speakers"]),
  teller: lazy<{ id: string; panel: string }>(async () => (await import("./screens/teller.tsx")).TellerScreen, ["teller"]),
  audit: lazy<{ id: string; panel: string }>(async () => (await import("./screens/audit.tsx")).Audit, ["office"]),
  minutes: lazy<{ id: string; panel: string }>(async () => (await import("./screens/minutes.tsx")).MinutesScreen, ["minutes"]),
  motions: lazy<{ id: string; panel: string }>(async () => (await import("./screens/motions/motions.tsx")).MotionsScreen, ["motions"]),
  resolutions: lazy<{ id: string; panel: string }>(async () => (await import("./screens/resolutions.tsx")).Resolutions, ["motions"]),
  agenda: lazy<{ id: string; panel: string }>(async () => (await import("./screens/agenda_editor.tsx")).AgendaScreen, ["calling"]),
  notice: lazy<{ id: string; panel: string }>(async () => (await import("./screens/notice_office.tsx")).NoticeScreen, ["calling"]),
  projector: lazy<{ id: string; panel: string }>(async () => (await import("./screens/projector.tsx")).Projector, ["notice"]),
  sites: lazy<{ id: string; panel: string }>(async () => (await import("./screens/sites/office.tsx")).SitesScreen, ["sites"]),
  hall: lazy<{ id: string; panel: string }>(async () => (await import("./screens/sites/hall.tsx")).HallScreen, ["closed", "sites"]),
  attendance: lazy<{ id: string; panel: string }>(async () => (await import("./screens/sites/attendance.tsx")).AttendanceScreen, ["sites"]),
  wall: lazy<{ id: string; panel: string }>(async () => (await import("./screens/sites/wall_screen.tsx")).WallScreen, ["cut", "notice", "sites"]),
  unknown: NotFound,
};

const CutBanner = lazy<object>(async () => (await import("./ui/cut_banner.tsx")).CutBanner, ["cut"]);

function NotFound() {
  return (
    <div class="stack">
      <Title>{t("not-found.title")}</Title>
      <p>{t("not-found.text")}</p>
      <a href="/">{t("nav.home")}</a>
    </div>
  );
}

interface CrashState {
  error: unknown;
}

/** Keeps a fault in one screen from taking the way out away. */
class Boundary extends Component<{ children: ComponentChildren }, CrashState> {
  override state: CrashState = { error: null };

  override componentDidCatch(error: unknown): void {
    // What was kept from an earlier version of this page may be what it cannot read.
    void forget();
    this.setState({ error });
  }

  override render({ children }: { children: ComponentChildren }, { error }: CrashState) {
    if (error === null) return children;
    return (
      <div class="stack" data-testid="crash">
        <Title>{t("crash.title")}</Title>
        <p>{t("crash.text")}</p>
        <details>
          <summary>{t("crash.details")}</summary>
          <code class="code-block" lang="en">
            {error instanceof Error ? `${error.name}: ${error.message}` : String(error)}
          </code>
        </details>
        <div class="actions">
          <Button kind="main" testid="crash-reload" onClick={() => location.reload()}>
            {t("crash.reload")}
          </Button>
          <Button onClick={() => location.assign("/")}>{t("nav.home")}</Button>
        </div>
      </div>
    );
  }
}

function LanguageSelect() {
  return (
    <Select
      label={t("language")}
      hideLabel
      testid="language"
      value={language.value}
      choices={LANGUAGES.map(({ code, name }) => ({ value: code, label: name }))}
      onChange={(code) => void useLanguage(code as Language, true)}
    />
  );
}

function SignOut() {
  const leaving = useAction();
  if (!session.value || isGuestSession(session.value)) return null; // a guest leaves by the button of the lobby
  return (
    <>
      <Button kind="quiet" testid="sign-out" busy={leaving.busy.value} onClick={() => void leaving.run(signOut).then((ok) => ok && navigate("/"))}>
        {t("sign-out")}
      </Button>
      <Problem error={leaving.error.value} />
    </>
  );
}

function Header() {
  const { organisation } = session.value ?? info.value ?? {};
  return (
    <header class="header">
      <a class="brand" href="/">
        <img src="/icon.svg" alt="" />
        <span>{organisation?.name ?? "Folkmoot"}</span>
      </a>
      <div class="header-tools">
        <LanguageSelect />
        <Button kind="quiet" testid="text-size-smaller" label={`A− ${t("text.smaller")}`} disabled={!canStep(-1)} onClick={() => stepTextSize(-1)}>
          A−
        </Button>
        <Button kind="quiet" testid="text-size-larger" label={`A+ ${t("text.larger")}`} disabled={!canStep(1)} onClick={() => stepTextSize(1)}>
          A+
        </Button>
        {wide.value && <SignOut />}
      </div>
    </header>
  );
}

const ICONS = {
  home: "M4 11 12 4l8 7v9h-5v-6H9v6H4z",
  organisation: "M12 3a3 3 0 1 1 0 6 3 3 0 0 1 0-6M5 13a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5m14 0a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5M11 9h2v3h6v2H5v-2h6z",
  receipts: "M6 3h12v18l-3-2-3 2-3-2-3 2zm3 5v2h6V8zm0 4v2h6v-2z",
  passkeys: "M8 6a5 5 0 1 1-1 9.9V22H4v-9a5 5 0 0 1 4-7m0 3a2 2 0 1 0 0 4 2 2 0 0 0 0-4m6 1h7v3h-2v3h-3v-3h-2z",
};

function Tab(props: { href: string; icon: keyof typeof ICONS; name: RouteName; children: string }) {
  return (
    <a href={props.href} data-testid={`nav-${props.icon}`} aria-current={route.value.name === props.name ? "page" : undefined}>
      <svg viewBox="0 0 24 24" aria-hidden="true" fill="currentColor">
        <path d={ICONS[props.icon]} />
      </svg>
      {props.children}
    </a>
  );
}

function Tabs() {
  return (
    <nav class="tabs" aria-label={t("nav")}>
      <Tab href="/" icon="home" name="home">
        {t("nav.home")}
      </Tab>
      {hasRole("secretary", "registrar", "chair") && (
        <Tab href="/organisation" icon="organisation" name="organisation">
          {t("nav.organisation")}
        </Tab>
      )}
      <Tab href="/receipts" icon="receipts" name="receipts">
        {t("nav.receipts")}
      </Tab>
      <Tab href="/passkeys" icon="passkeys" name="passkeys">
        {t("nav.passkeys")}
      </Tab>
    </nav>
  );
}

const isGuestSession = (known: Session | null): known is Session => known?.guest !== undefined;

/** A guest has one screen beside the lobby: the room, once admitted. */
const inOwnRoom = (known: Session, name: RouteName, id: string): boolean => name === "room" && id === known.meeting && known.state === "admitted";

function Current() {
  const { name, id, panel } = route.value;
  const known = session.value;
  if (name === "enrol" || name === "wall") return <Screened name={name} id={id} panel={panel} />;
  if (known === undefined) return <Loading />;
  if (name === "guest" || (isGuestSession(known) && !inOwnRoom(known, name, id))) return <Screened name="guest" id="" panel="" />;
  if (known === null) return <Screened name="signIn" id={id} panel={panel} />;
  return <Screened name={name === "signIn" ? "home" : name} id={id} panel={panel} />;
}

function Screened({ name, id, panel }: { name: RouteName; id: string; panel: string }) {
  const Chosen = SCREENS[name];
  return (
    <Boundary key={`${name} ${id}`}>
      <Chosen id={id} panel={panel} />
    </Boundary>
  );
}

/** Where loading the page again would interrupt something. */
const AT_WORK = new Set<RouteName>(["room", "checkIn", "teller", "enrol", "projector"]);

/** Offers a newer build to a page that has been open for long; a vote or a call is never interrupted for it. */
function NewVersionNotice() {
  if (!newVersion.value || offline.value || AT_WORK.has(route.value.name)) return null;
  return (
    <div class="banner banner-info" role="status" data-testid="new-version">
      <span>{t("new-version.ready")}</span>
      <Button testid="new-version-load" onClick={() => location.reload()}>
        {t("new-version.load")}
      </Button>
    </div>
  );
}

const DIGEST_SHOWN = 8;

/** The beginning of the digest that pins this page's script, to compare with what others see. */
function pageDigest(): string {
  const pinned = document.querySelector<HTMLScriptElement>("script[integrity]")?.integrity ?? "";
  return pinned.replace(/^sha384-/, "").slice(0, DIGEST_SHOWN);
}

export function App() {
  const { name } = route.value;
  const next = expected.value;
  useEffect(() => void (next && SCREENS[next].bring?.().catch(() => undefined)), [next]); // then it is asked for again
  const inRoom = name === "wall" || ((name === "room" || name === "projector") && Boolean(session.value));
  const described = info.value;
  return (
    <div class={inRoom ? "app app-room" : "app"} data-testid="app" data-screen={route.value.name}>
      <a class="skip-link" href="#main" data-testid="skip-link">
        {t("skip")}
      </a>
      {!inRoom && <Header />}
      <OfflineBanner />
      {cutSince.value > 0 && name !== "wall" && <CutBanner />}
      <NewVersionNotice />
      <main id="main" class={inRoom ? "main-room" : "main"} tabIndex={-1}>
        <Current />
      </main>
      {!inRoom && (
        <footer class="footer">
          {!wide.value && <SignOut />}
          <span data-testid="build">
            {t("build", { version: described?.version ?? "", page: pageDigest() })}
          </span>
        </footer>
      )}
      {session.value && !isGuestSession(session.value) && !inRoom && route.value.name !== "checkIn" && <Tabs />}
      <Announcer />
    </div>
  );
}
