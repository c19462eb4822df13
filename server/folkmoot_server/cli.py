"""The `folkmoot` command."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from folkmoot_server.domain.errors import FolkmootError
from folkmoot_server.relay import app as relay_app
from folkmoot_server.relay.node import StopError
from folkmoot_server.serving import StartError

# What the other commands need is loaded by them alone: a relay that starts again in a meeting has no time for it.
if TYPE_CHECKING:
    from folkmoot_config.settings import Settings
    from folkmoot_server.app import Installation

RELAY = "relay"
EXIT_USAGE = 2
EXIT_REFUSED = 3  # of a relay that the hub wants nothing more of: starting it again would not help
WALKTHROUGH = """
What to do next (the home page of each says what is asked of them):
  1. Everyone opens their link and makes a passkey: chair, secretary, all tellers, some members, the auditor.
  2. The chair confirms everybody's passkeys at once, then the secretary the chair's.
  3. The secretary prepares the meeting: convenes it, freezes the roll, begins check-in.
  4. Everyone checks in. A vote needs at least five people.
  5. The tellers make the key together; chair, secretary and tellers each make their signing key.
  6. The chair opens the meeting, starts an item and opens its vote; everyone votes; the chair closes it.
  7. Chair, secretary and tellers sign the closed box; two tellers open it; the chair declares the result.
  8. The auditor makes a key on the auditor's page, downloads bundle.zip and annex.age and runs:
     folkmoot-verify bundle.zip --annex annex.age --identity auditor-key.txt"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors are one plain line on standard error and exit code 1, or 2 for wrong usage."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser(words)
    options = parser.parse_args(words)
    if "run" not in options:
        parser.print_help()
        return EXIT_USAGE
    os.umask(0o077)  # database, keys and logs are for the owner only
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        return int(options.run(options))
    except ValidationError as error:
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"]) or "settings"
            print(f"folkmoot: {place}: {item['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        return EXIT_USAGE
    except FolkmootError as error:
        print(f"folkmoot: {error.message}", file=sys.stderr)
        return 1
    except DBAPIError as error:
        print(f"folkmoot: the database in the data folder cannot be used: {error.orig}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"folkmoot: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        return 1


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="folkmoot", description="Formal meetings with votes that anyone can verify."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    if words[:1] != [RELAY]:
        _add_serve(commands)
        _add_init(commands)
        _add_demo(commands)
        _add_export(commands)
    _add_relay(commands)
    return parser


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser("serve", help="run the server")
    serve.set_defaults(run=_serve)
    serve.add_argument("--data", type=Path, help="folder with database and server key (default: data)")
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default: 8080; 0 takes a free one)")
    serve.add_argument("--public-url", help="what browsers type, e.g. https://meet.example.org")
    serve.add_argument("--cert", type=Path, help="TLS certificate chain (PEM)")
    serve.add_argument("--key", type=Path, help="TLS private key (PEM)")
    serve.add_argument(
        "--announce-ip",
        help="address at which browsers reach the media port; one of IPv4 and one of IPv6 with a comma between them, "
        "the better first (default: 127.0.0.1)",
    )
    serve.add_argument(
        "--media-listen-ip",
        help="address the media port listens on; :: hears IPv4 too (default: every one, or this machine alone while "
        "that is announced)",
    )
    serve.add_argument(
        "--media-port",
        type=int,
        help="first UDP and TCP port for media; one a worker, one to spare (default: free ones)",
    )
    serve.add_argument("--media-workers", type=int, help="media worker processes (default: cores - 1)")
    serve.add_argument(
        "--media-fan", choices=("auto", "compiled", "cffi", "python"), help="fan-out back end (default: auto)"
    )
    serve.add_argument("--metrics-port", type=int, help="port on 127.0.0.1 for Prometheus' figures (default: none)")
    serve.add_argument("--demo", action="store_true", default=None, help="make a demonstration organisation if empty")
    serve.add_argument("--reset", action="store_true", help="with --demo: throw the data folder away first")
    serve.add_argument("--print-links-json", type=Path, help="write the enrolment links to this file as JSON")


def _add_init(commands: Any) -> None:
    init = commands.add_parser("init", help="start an organisation of your own, without demonstration data")
    init.set_defaults(run=_init)
    init.add_argument("--data", type=Path, help="folder to create (default: data)")
    init.add_argument("--public-url", help="what browsers will type; its host name can never change afterwards")
    init.add_argument("--name", required=True, help="the organisation's name")
    init.add_argument("--secretary", required=True, help="name of the first person: secretary and registrar")
    init.add_argument("--chair", required=True, help="name of the second person: chair")


def _add_demo(commands: Any) -> None:
    from folkmoot_server.demo.questions import QUESTIONS
    from folkmoot_server.demo.script import SCRIPTS, VOTE

    demo = commands.add_parser("demo", help="hold a whole scripted meeting and verify its vote")
    demo.set_defaults(run=_demo)
    demo.add_argument("--members", type=int, default=12, help="members on the roll, officers included (default: 12)")
    demo.add_argument("--tellers", type=int, default=3, help="tellers among them (default: 3)")
    demo.add_argument("--question", choices=QUESTIONS, default="yes-no-abstain", help="what the vote asks")
    demo.add_argument(
        "--script", choices=SCRIPTS, default=VOTE, help="one vote, or a full meeting with motions, recess and minutes"
    )
    demo.add_argument("--sites", type=int, default=0, help="halls with a relay each (default: none)")
    demo.add_argument("--cut-link", action="store_true", help="with --sites: cut lines while a vote is open")
    demo.add_argument("--seed", type=int, default=1, help="seed of names and choices; keys are always random")
    demo.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder for bundle.zip, annex.age, annex.zip (in clear), attendance.csv",
    )
    demo.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_export(commands: Any) -> None:
    export = commands.add_parser("export", help="write bundle.zip and annex.age of a meeting")
    export.set_defaults(run=_export)
    export.add_argument("--data", type=Path, help="data folder (default: data)")
    export.add_argument("--meeting", required=True, help="id of the meeting")
    export.add_argument("--out", type=Path, required=True, help="folder to write to")
    export.add_argument("--annex-in-clear", action="store_true", help="write annex.zip, not encrypted for auditors")


def _add_relay(commands: Any) -> None:
    relay = commands.add_parser(RELAY, help="run the relay of a hall, which goes on when the link is cut")
    relay.set_defaults(run=_relay)
    relay.add_argument("--hub", required=True, help="address of the Folkmoot server, e.g. https://meet.example.org")
    relay.add_argument("--data", type=Path, required=True, help="folder with the relay's key and outbox")
    relay.add_argument("--code", default="", help="the chair's one-use code; needed once, to enrol")
    relay.add_argument(
        "--listen", default="127.0.0.1:8090", metavar="HOST:PORT", help="where the hall's phones reach it"
    )
    relay.add_argument("--cert", type=Path, help="TLS certificate chain (PEM) of the relay's own name")
    relay.add_argument("--key", type=Path, help="TLS private key (PEM)")
    relay.add_argument(
        "--announce-ip",
        default="",
        help="address at which phones reach the media port, if not that of --listen; one of IPv4 and one of IPv6 "
        "with a comma between them",
    )
    relay.add_argument("--media-port", type=int, default=0, help="UDP and TCP port for media (default: a free one)")


def _settings(options: argparse.Namespace) -> Settings:
    from folkmoot_config.settings import Settings

    given = {
        name: value for name, value in vars(options).items() if name in Settings.model_fields and value is not None
    }
    port = given.get("port")
    if port and "public_url" not in given:
        given["public_url"] = f"http://localhost:{port}"
    return Settings(**given)


def _reset(data: Path) -> None:
    """Remove only what an earlier start made; a folder with anything else in it is refused."""
    if not data.exists():
        return
    if not (data / "folkmoot.db").exists() and any(data.iterdir()):
        raise StartError("start.reset", f"{data} does not look like a Folkmoot data folder; nothing was deleted.")
    shutil.rmtree(data)


def _serve(options: argparse.Namespace) -> int:
    from folkmoot_server import app

    settings = _settings(options)
    if options.reset:
        if not settings.demo:
            raise StartError("start.reset", "--reset deletes all data and works only together with --demo.")
        _reset(settings.data)
    if settings.demo:
        asyncio.run(_make_demo(settings))

    def ready(installation: Installation) -> None:
        asyncio.get_running_loop().create_task(_announce(installation, options.print_links_json))

    asyncio.run(app.serve(settings, ready))
    return 0


async def _make_demo(settings: Settings) -> None:
    from folkmoot_server import app
    from folkmoot_server.demo.seed import seed_demo
    from folkmoot_server.storage.paper_files import PaperFiles

    database = app.open_database(settings)
    try:
        files = PaperFiles(settings.data)
        await database.write(lambda tx: seed_demo(tx, now=app.now_s(), rng=secrets.token_bytes, files=files))
    finally:
        database.close()


async def _announce(installation: Installation, file: Path | None) -> None:
    """Print a fresh one-time link for everyone who has no passkey yet."""
    from folkmoot_server import app
    from folkmoot_server.commands.organisation import enrolment_links

    settings = installation.settings
    links = await installation.context.database.write(
        lambda tx: enrolment_links(tx, settings.public_url, app.now_s(), secrets.token_bytes)
    )
    print(f"\nFolkmoot is ready: {settings.public_url}", flush=True)
    if links:
        print("\nOne-time links to enrol a passkey (open each in its own browser profile):")
        width = max(len(f"{link.role}  {link.name}") for link in links)
        for link in links:
            print(f"  {f'{link.role}  {link.name}'.ljust(width)}  {link.url}")
        if settings.demo:
            print(WALKTHROUGH)
    print("\nStop with Ctrl+C.", flush=True)
    if file is not None:
        body = [{"role": link.role, "name": link.name, "url": link.url} for link in links]
        temporary = file.with_suffix(".part")
        temporary.write_text(json.dumps({"url": settings.public_url, "port": installation.port, "links": body}))
        temporary.rename(file)


def _init(options: argparse.Namespace) -> int:
    from folkmoot_server import app
    from folkmoot_server.commands.organisation import NewPerson, bootstrap_organisation

    settings = _settings(options)
    if (settings.data / "folkmoot.db").exists():
        raise StartError("start.not-empty", f"{settings.data} already holds an organisation; nothing was changed.")
    people = (
        NewPerson(name=options.secretary, unit=None, roles=("secretary", "registrar")),
        NewPerson(name=options.chair, unit=None, roles=("chair",)),
    )

    async def make() -> None:
        database = app.open_database(settings)
        try:
            await database.write(
                lambda tx: bootstrap_organisation(
                    tx,
                    name=options.name,
                    units=(),
                    people=people,
                    now=app.now_s(),
                    rng=secrets.token_bytes,
                    only_if_empty=True,
                )
            )
            await database.write(lambda tx: app.keep_relying_party(tx, settings.rp_id))
            app.server_key(settings.data)
        finally:
            database.close()

    asyncio.run(make())
    print(f"{options.name} is ready in {settings.data}.")
    print(f"Start it: folkmoot serve --data {settings.data} --public-url {settings.public_url}")
    print("It prints one enrolment link for the secretary and one for the chair.")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from folkmoot_server.demo.script import run_demo

    return run_demo(
        options.members,
        options.tellers,
        options.seed,
        options.out,
        question=options.question,
        script=options.script,
        sites=options.sites,
        cut_link=options.cut_link,
        quiet=options.quiet,
    )


def _export(options: argparse.Namespace) -> int:
    from folkmoot_server import app
    from folkmoot_server.queries.export import write_bundle, write_meeting, write_sealed_annex
    from folkmoot_server.storage.database import read_snapshot

    settings = _settings(options)
    if not (settings.data / "folkmoot.db").exists():
        raise StartError("start.no-data", f"{settings.data} holds no organisation.")

    database, now = settings.data / "folkmoot.db", app.now_s()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.annex_in_clear:
        bundle, annex = read_snapshot(database, lambda tx: write_meeting(tx, options.meeting, now))
        name = "annex.zip"
    else:
        bundle = read_snapshot(database, lambda tx: write_bundle(tx, options.meeting))
        annex = read_snapshot(database, lambda tx: write_sealed_annex(tx, options.meeting, now))
        name = "annex.age"
    (options.out / "bundle.zip").write_bytes(bundle)
    (options.out / name).write_bytes(annex)
    print(f"Wrote {options.out}/bundle.zip and {options.out}/{name}.")
    if options.annex_in_clear:
        print("The annex names members and is not encrypted: keep it safe.")
    return 0


def _relay(options: argparse.Namespace) -> int:
    if (options.cert is None) != (options.key is None):
        raise StartError("start.certificate", "--cert and --key belong together.")
    host, port = relay_app.read_listen(options.listen)
    settings = relay_app.RelaySettings(
        hub=options.hub,
        data=options.data,
        code=options.code,
        host=host,
        port=port,
        cert=options.cert,
        key=options.key,
        announce_ip=options.announce_ip,
        media_port=options.media_port,
    )

    def ready(relay: relay_app.RunningRelay) -> None:
        origin = relay.node.identity.origin
        where = f"serves {origin} on port {relay.port}" if origin else "serves no pages"
        print(f"The relay of site {relay.node.identity.site} {where}. Stop with Ctrl+C.", flush=True)

    try:
        asyncio.run(relay_app.serve(settings, ready))
    except StopError as error:
        print(f"folkmoot: {error.message}", file=sys.stderr)
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
