"""The server under test: a test authority, the two origins, and a real ``folkmoot serve --demo``."""

import asyncio
import base64
import contextlib
import datetime
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TEST_HOST = "folkmoot.test"
HALL_HOST = f"hall.{TEST_HOST}"
LINE = "localhost"  # by what name a relay reaches its hub through a line that a test cuts
START_DEADLINE_S = 60.0
STOP_S = 60


class ServerFailed(AssertionError):
    """The server did not come up, or ended; the message ends with the last lines of its log."""


def free_port() -> int:
    """Return a TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Authority:
    """A certificate authority made for one test run, and a certificate of it for the test host."""

    ca: Path
    certificate: Path
    key: Path
    key_pin: str
    """Base64 of the SHA-256 of each key's SubjectPublicKeyInfo, with commas between."""

    @classmethod
    def make(cls, folder: Path, others: Sequence[str] = ()) -> "Authority":
        """Write ``ca.pem``, ``cert.pem`` and ``key.pem`` (valid for one day) into ``folder``.

        For each of ``others``, further hosts, it writes ``HOST.pem`` and ``HOST.key``.
        """
        now = datetime.datetime.now(datetime.UTC)
        ca_key = ec.generate_private_key(ec.SECP256R1())
        ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Folkmoot test authority")])

        def begin(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
            return (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(ca_name)
                .public_key(public)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(hours=1))
                .not_valid_after(now + datetime.timedelta(days=1))
                .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            )

        ca_cert = begin(ca_name, ca_key.public_key(), ca=True).sign(ca_key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        ca_path = folder / "ca.pem"
        ca_path.write_bytes(ca_cert.public_bytes(pem))

        def issue(host: str, certificate: Path, key_file: Path) -> ec.EllipticCurvePrivateKey:
            key = ec.generate_private_key(ec.SECP256R1())
            leaf = (
                begin(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), key.public_key(), ca=False)
                .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, (host, LINE)))), critical=False)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                .sign(ca_key, hashes.SHA256())
            )
            certificate.write_bytes(leaf.public_bytes(pem) + ca_cert.public_bytes(pem))
            private = serialization.PrivateFormat.PKCS8
            key_file.write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
            return key

        certificate_path, key_path = folder / "cert.pem", folder / "key.pem"
        keys = [issue(TEST_HOST, certificate_path, key_path)]
        keys += [issue(host, folder / f"{host}.pem", folder / f"{host}.key") for host in others]
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        pins = [hashlib.sha256(key.public_key().public_bytes(serialization.Encoding.DER, form)) for key in keys]
        return cls(
            ca_path,
            certificate_path,
            key_path,
            ",".join(base64.b64encode(one.digest()).decode() for one in pins),
        )

    def of(self, host: str) -> tuple[Path, Path]:
        """Return certificate and key of a further host."""
        return self.ca.parent / f"{host}.pem", self.ca.parent / f"{host}.key"

    def trust_in(self, home: Path) -> bool:
        """Make a browser whose HOME is ``home`` trust this authority; False without ``certutil``."""
        certutil = shutil.which("certutil")
        if certutil is None:
            return False
        store = home / ".pki" / "nssdb"
        store.mkdir(parents=True, exist_ok=True)
        where = ["-d", f"sql:{store}"]
        subprocess.run([certutil, "-N", *where, "--empty-password"], check=True, capture_output=True)
        command = [certutil, "-A", *where, "-n", "folkmoot-test", "-t", "C,,", "-i", str(self.ca)]
        subprocess.run(command, check=True, capture_output=True)
        return True


class _Loopback(AbstractResolver):
    """Every name is this machine, as the browser is told too."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Answer 127.0.0.1."""
        del family
        found = ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)
        return [found]

    async def close(self) -> None:
        """Nothing is open."""


def connector(authority: Authority | None) -> aiohttp.TCPConnector:
    """Connections of somebody without a browser, who trusts the test authority."""
    trusted = True if authority is None else ssl.create_default_context(cafile=str(authority.ca))
    return aiohttp.TCPConnector(resolver=_Loopback(), ssl=trusted)


@dataclass(frozen=True)
class Origin:
    """Where the pages come from: ``http://localhost`` or ``https://folkmoot.test``."""

    scheme: Literal["http", "https"]
    authority: Authority | None = None

    def url(self, port: int) -> str:
        """Return the origin with its port, without a slash at the end."""
        return f"{self.scheme}://{TEST_HOST if self.authority else 'localhost'}:{port}"


class Server:
    """A real ``folkmoot serve --demo`` of its own, on a free port with its own data folder."""

    def __init__(
        self,
        origin: Origin,
        folder: Path,
        *,
        port: int | None = None,
        extra: Iterable[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; nothing runs before :meth:`start`.

        ``extra`` are further command line words, ``settings`` environment variables such as FOLKMOOT_PUBLISH_EVERY_S.
        """
        self.origin = origin
        self.port = port or free_port()
        self.url = origin.url(self.port)
        self.data = folder / "data"
        self.log = folder / "server.log"
        self._links = folder / "links.json"
        self._extra = tuple(extra)
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def command(self) -> list[str]:
        """Return the command line."""
        words = [str(Path(sys.executable).parent / "folkmoot"), "serve", "--demo"]
        words += ["--host", "127.0.0.1", "--port", str(self.port), "--data", str(self.data)]
        words += ["--public-url", self.url, "--announce-ip", "127.0.0.1"]
        words += ["--print-links-json", str(self._links)]
        if self.origin.authority is not None:
            words += ["--cert", str(self.origin.authority.certificate), "--key", str(self.origin.authority.key)]
        return [*words, *self._extra]

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start the process, leader of a group of its own, writing to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **self._settings},
            )

    async def start(self) -> None:
        """Start and return when ``/healthz`` answers 200 and the links are written; else :class:`ServerFailed`."""
        assert self._process is None, "already running"
        self._process = self._spawn()
        self._groups.add(self._process.pid)
        deadline = asyncio.get_running_loop().time() + START_DEADLINE_S
        while not (await asyncio.to_thread(self._healthy) and self._links.exists()):
            if self._process.poll() is not None:
                raise ServerFailed(f"server ended with {self._process.returncode}:\n{self.tail()}")
            if asyncio.get_running_loop().time() > deadline:
                await self.kill()
                raise ServerFailed(f"server not ready after {START_DEADLINE_S:.0f} s:\n{self.tail()}")
            await asyncio.sleep(0.1)

    def _healthy(self) -> bool:
        """Ask ``/healthz`` once, straight at the loopback address."""
        context = None
        if self.origin.authority is not None:
            context = ssl.create_default_context(cafile=str(self.origin.authority.ca))
            context.check_hostname = False  # the request goes to 127.0.0.1, the certificate names the test host
        try:
            address = f"{self.origin.scheme}://127.0.0.1:{self.port}/healthz"
            with urllib.request.urlopen(address, timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def pid(self) -> int:
        """Return the server's process id."""
        assert self._process is not None, "not running"
        return self._process.pid

    def children(self) -> list[int]:
        """Return the process ids of the media workers, also of those that outlived an earlier start."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                after_name = path.read_text().rpartition(")")[2].split()
                state, group, pid = after_name[0], int(after_name[2]), int(path.parent.name)
                if group in self._groups and pid not in self._groups and state != "Z":
                    found.append(pid)
        return sorted(found)

    async def kill(self) -> None:
        """End the server at once (SIGKILL), as a power cut would. Its media workers are left."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask the server to end (SIGTERM), wait, then see that no process of any of its starts stays."""
        try:
            await self._end(signal.SIGTERM)
        finally:
            for group in self._groups:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            self._groups.clear()

    async def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(number)
        try:
            await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
            if number == signal.SIGTERM:
                raise ServerFailed(f"server did not end within {STOP_S} s of SIGTERM:\n{self.tail()}") from None

    async def restart(self, *, kill: bool = True) -> None:
        """End the server and start it again on the same data and port."""
        await (self.kill() if kill else self.stop())
        await self.start()

    def links(self) -> list[dict[str, str]]:
        """Return the enrolment links: dicts with ``role``, ``name`` and ``url``."""
        return list(json.loads(self._links.read_text())["links"])

    def link(self, role: str, number: int = 0) -> str:
        """Return the enrolment URL of the ``number``-th person with ``role``."""
        return [entry["url"] for entry in self.links() if entry["role"] == role][number]

    def tail(self, lines: int = 30) -> str:
        """Return the last lines of the server's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
