#!/usr/bin/env python3
"""Sets Folkmoot up and starts it, or runs every test: ``python3 run.py`` and ``python3 run.py test``.

Only the standard library is used. Everything else is installed into ``.venv`` from lock files
with hashes; a second start finds its stamps and takes a moment.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # said in one line, before anything newer is imported
    sys.exit("error: Folkmoot needs Python 3.11 or later; this is " + sys.version.split()[0])

import argparse
import os
import socket
from pathlib import Path

from tools import checks, house

ROOT = Path(__file__).resolve().parent


def _parser() -> argparse.ArgumentParser:
    """Describe the command that starts the demonstration server."""
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Set up Folkmoot and start it with a demonstration organisation.",
        epilog="'python3 run.py test [pytest arguments]' runs everything that CI runs.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on (default: 8080)")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="data folder (default: ./data)")
    parser.add_argument("--reset", action="store_true", help="empty the data folder first")
    parser.add_argument("--public-url", help="address that members use, like https://meet.example.org")
    parser.add_argument("--cert", type=Path, help="TLS certificate chain (PEM)")
    parser.add_argument("--key", type=Path, help="TLS private key (PEM)")
    parser.add_argument("--announce-ip", help="address that phones and browsers send media to")
    parser.add_argument("--media-listen-ip", help="address of the media port (default: any, with --announce-ip)")
    parser.add_argument("--media-port", type=int, help="first UDP port for media (default: free ones)")
    parser.add_argument("--setup-only", action="store_true", help="install and build, then stop")
    parser.add_argument("--install-system", action="store_true", help=house.INSTALL_SYSTEM_HELP)
    return parser


def _serve_command(options: argparse.Namespace) -> list[str]:
    """Return the command line of the server for these options."""
    command = [str(house.bin_dir(ROOT) / "folkmoot"), "serve", "--demo"]
    command += ["--host", options.host, "--port", str(options.port), "--data", str(options.data)]
    if options.reset:
        command.append("--reset")
    for name in ("public_url", "cert", "key", "announce_ip", "media_listen_ip", "media_port"):
        value = getattr(options, name)
        if value is not None:
            command += ["--" + name.replace("_", "-"), str(value)]
    return command


def _refuse_bad_options(options: argparse.Namespace) -> None:
    """Raise a :class:`house.HouseError` for what would fail only after a minute of set-up."""
    if (options.cert is None) != (options.key is None):
        raise house.HouseError("--cert and --key belong together; give both or neither")
    for path in (options.cert, options.key):
        if path is not None and not path.is_file():
            raise house.HouseError(f"{path} does not exist")
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            raise house.HouseError(
                f"cannot listen on {options.host}:{options.port} ({error.strerror or error}); try --port"
            ) from None


def start(arguments: list[str]) -> int:  # noqa: RET503  # exec does not return
    """Set up, then become the server; return only when something is wrong or nothing is to start."""
    options = _parser().parse_args(arguments)
    if not options.setup_only:
        _refuse_bad_options(options)
    house.require_system(house.SERVER_PIECES, install=options.install_system)
    house.set_up(ROOT, house.RUN_LOCK)
    if options.setup_only:
        print("Set up. Start with: python3 run.py", flush=True)
        return 0
    print(f"Starting Folkmoot on {options.host}:{options.port}, data in {options.data}", flush=True)
    command = _serve_command(options)
    os.execv(command[0], command)  # noqa: S606  # the server takes this process's place and its signals


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code (2: something is missing or misused)."""
    try:
        if arguments[:1] == ["test"]:
            return checks.run(ROOT, arguments[1:])
        return start(arguments)
    except house.HouseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
