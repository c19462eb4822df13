"""What the operator of a relay says on the command line, checked."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from folkmoot_config import addresses
from folkmoot_server.relay.store import Identity
from folkmoot_server.serving import StartError


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """What the operator of a relay says on the command line."""

    hub: str
    data: Path
    code: str = ""
    host: str = "127.0.0.1"
    port: int = 8090
    cert: Path | None = None
    key: Path | None = None
    announce_ip: str = ""
    media_port: int = 0

    def __post_init__(self) -> None:
        """Refuse addresses that cannot be announced.

        Raises:
            StartError: they are none, or nothing listens there.
        """
        try:
            addresses.listening(self.announced, self._at)
        except ValueError as error:
            raise StartError("start.announced", f"--announce-ip does not do: {error}.") from None

    @property
    def announced(self) -> tuple[str, ...]:
        """At which addresses phones reach media: what was said, or where the pages listen, or this machine."""
        return addresses.read_announced(self.announce_ip or (self.host if is_address(self.host) else "127.0.0.1"))

    @property
    def media_listen(self) -> str:
        """Where media listen: where the pages do, unless that has a name."""
        return addresses.listening(self.announced, self._at)

    @property
    def _at(self) -> str:
        return self.host if is_address(self.host) else ""


def read_listen(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        StartError: it is not that.
    """
    parts = urlsplit(f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None or parts.path or parts.username is not None:
        raise StartError("start.listen", "--listen takes HOST:PORT, for example 192.0.2.10:443.")
    return parts.hostname, port


def check_hub(url: str) -> str:
    """Return the hub's URL without a path.

    Raises:
        StartError: no https URL (http is for this machine alone).
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise StartError("start.hub", "--hub takes the hub's address, such as https://meet.example.org.")
    if parts.scheme == "http" and not _is_local(parts.hostname):
        raise StartError("start.hub", "A hub on another machine is reached by https only.")
    return url.rstrip("/")


def is_address(host: str) -> bool:
    """Say whether something is the address of one interface."""
    try:
        return not ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls(settings: RelaySettings, identity: Identity) -> ssl.SSLContext | None:
    """Return TLS 1.2 or newer with the relay's certificate, None for plain http.

    Raises:
        StartError: the hall's pages need a certificate and none is given.
    """
    if settings.cert is None or settings.key is None:
        if identity.secure and not _is_local(settings.host):
            raise StartError("start.certificate", f"{identity.origin} needs --cert and --key.")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.cert, settings.key)
    return context
