"""`python -m folkmoot_media`: start one media worker."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import signal
import sys
from pathlib import Path

from folkmoot_media.control import EXIT_PORT_IN_USE
from folkmoot_media.errors import MediaError
from folkmoot_media.fan import choice
from folkmoot_media.worker import ORPHAN_LIFETIME, MediaSelector, Worker, WorkerSettings


def parse_arguments(arguments: list[str] | None = None) -> WorkerSettings:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="folkmoot_media", description="Folkmoot's media worker")
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket of the control channel")
    parser.add_argument("--udp-port", type=int, default=0, help="UDP port; 0 takes any free one")
    parser.add_argument("--listen-ip", default="127.0.0.1", help="address to bind; :: serves IPv4 and IPv6")
    parser.add_argument(
        "--announce-ip", default=None, help="addresses that clients are told, with commas, best first"
    )
    parser.add_argument(
        "--orphan-lifetime", type=float, default=ORPHAN_LIFETIME, help="seconds to live without a web process"
    )
    parser.add_argument("--fan", choices=choice.NAMES, default=choice.AUTOMATIC, help="fan-out back end")
    found = parser.parse_args(arguments)
    return WorkerSettings(
        found.socket,
        found.listen_ip,
        tuple((found.announce_ip or found.listen_ip).split(",")),
        found.udp_port,
        found.orphan_lifetime,
        found.fan,
    )


async def serve(settings: WorkerSettings, selector: MediaSelector) -> None:
    """Run a worker that ignores the terminal's interrupt, because its web process decides when it ends, and that
    drains when it is asked to terminate.
    """
    loop, worker = asyncio.get_running_loop(), Worker(settings, selector)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, worker.drain)
    await worker.run()


def main() -> None:
    """Start the worker."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s media %(levelname)s %(message)s")
    try:
        settings, selector = parse_arguments(), MediaSelector()
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
            runner.run(serve(settings, selector))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sys.exit(EXIT_PORT_IN_USE)
        raise
    except MediaError as error:
        sys.exit(f"error: {error.message}")


if __name__ == "__main__":
    main()
