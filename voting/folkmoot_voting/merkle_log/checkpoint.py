"""Checkpoints as C2SP signed notes (tlog-checkpoint, signed-note, tlog-cosignature cosignature/v1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from folkmoot_voting import signing
from folkmoot_voting.errors import LogInvalid

MAX_NOTE = 16 * 1024
MAX_SIGNATURES = 32
MAX_TIME = 2**53 - 1  # the greatest number that every reader of JSON takes for itself
SERVER_SIGNATURE, COSIGNATURE = 0x01, 0x04

_NAME = re.compile(r"[^\s+\x00-\x20\x7f-\xa0]{1,255}\Z")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,15})\Z")


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log: its origin, number of leaves and root."""

    origin: str
    size: int
    root: bytes

    def body(self) -> bytes:
        """Return the signed text of the note, final line feed included."""
        root = base64.b64encode(self.root).decode("ascii")
        return f"{self.origin}\n{self.size}\n{root}\n".encode()

    def hash(self) -> bytes:
        """Return checkpoint_hash, SHA-256 of the body."""
        return hashlib.sha256(self.body()).digest()


@dataclass(frozen=True)
class SignatureLine:
    """One signature of a note: the signer's name, 4-byte key id and the payload after it."""

    name: str
    key_id: bytes
    payload: bytes

    def __str__(self) -> str:
        blob = base64.b64encode(self.key_id + self.payload).decode("ascii")
        return f"\u2014 {self.name} {blob}\n"


@dataclass(frozen=True)
class Note:
    """A parsed signed note; nothing in it is verified yet."""

    checkpoint: Checkpoint
    signatures: tuple[SignatureLine, ...]

    def text(self) -> str:
        """Return the note's exact text."""
        return self.checkpoint.body().decode() + "\n" + "".join(map(str, self.signatures))

    def with_signature(self, line: SignatureLine) -> Note:
        """Return the note with one signature line more (a line already there is not added again)."""
        if line in self.signatures:
            return self
        return Note(self.checkpoint, (*self.signatures, line))


def key_id(name: str, kind: int, key: bytes) -> bytes:
    """Return the 4-byte id of a note key."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]


def sign_checkpoint(checkpoint: Checkpoint, seed: bytes) -> Note:
    """Return the note with the log's own signature; the name of the key is the origin."""
    key = signing.public_key(seed)
    line = SignatureLine(
        checkpoint.origin,
        key_id(checkpoint.origin, SERVER_SIGNATURE, key),
        signing.sign(seed, checkpoint.body()),
    )
    return Note(checkpoint, (line,))


def parse_note(text: str) -> Note:
    """Parse a note strictly; verifies nothing.

    Raises:
        LogInvalid: any departure from section 6.
    """
    try:
        size_in_bytes = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise _bad("not UTF-8") from error
    if size_in_bytes > MAX_NOTE:
        raise _bad("too long")
    lines = text.split("\n")
    if len(lines) < 6 or lines[3] != "" or lines[-1] != "":
        raise _bad("not a body of three lines, a blank line and signatures")
    origin, size, root, signatures = lines[0], lines[1], lines[2], lines[4:-1]
    if not _NAME.match(origin) or not _SIZE.match(size):
        raise _bad("bad origin or size")
    if len(signatures) > MAX_SIGNATURES:
        raise _bad("too many signatures")
    checkpoint = Checkpoint(origin, int(size), _base64(root, 32))
    return Note(checkpoint, tuple(_parse_line(line) for line in signatures))


def verify_note(text: str, origin: str, key: bytes) -> Note:
    """Parse a note and check the log's own signature.

    Raises:
        LogInvalid: malformed, of another origin, or not signed by this key.
    """
    note = parse_note(text)
    if note.checkpoint.origin != origin:
        raise LogInvalid(f"checkpoint of another log than {origin}", code="voting.log-origin")
    wanted = key_id(origin, SERVER_SIGNATURE, key)
    own = [line for line in note.signatures if line.name == origin and line.key_id == wanted]
    body = note.checkpoint.body()
    if not own or not all(signing.is_valid(key, body, line.payload) for line in own):
        raise LogInvalid("checkpoint is not signed by the log's key", code="voting.log-signature")
    return note


def cosign(checkpoint: Checkpoint, name: str, seed: bytes, time: int) -> SignatureLine:
    """Return a cosignature/v1 line by a cosigner's key at a time in seconds."""
    key = signing.public_key(seed)
    signature = signing.sign(seed, _cosigned(checkpoint, time))
    return SignatureLine(name, key_id(name, COSIGNATURE, key), time.to_bytes(8, "big") + signature)


def verify_cosignature(checkpoint: Checkpoint, line: SignatureLine, name: str, key: bytes) -> int:
    """Return the time of a valid cosignature.

    Raises:
        LogInvalid: of another name or key, of a time past 2^53 - 1, or it does not verify.
    """
    if line.name != name or line.key_id != key_id(name, COSIGNATURE, key) or len(line.payload) != 72:
        raise LogInvalid(f"not a cosignature by {name}", code="voting.log-cosignature")
    time = int.from_bytes(line.payload[:8], "big")
    if time > MAX_TIME or not signing.is_valid(key, _cosigned(checkpoint, time), line.payload[8:]):
        raise LogInvalid(f"the cosignature of {name} does not verify", code="voting.log-cosignature")
    return time


def parse_signature_line(text: str) -> SignatureLine:
    """Parse one signature line with its line feed, as a cosigner's page sends it.

    Raises:
        LogInvalid: it is not one.
    """
    if len(text) > 1024 or not text.endswith("\n") or "\n" in text[:-1]:
        raise _bad("not one signature line")
    return _parse_line(text[:-1])


def valid_cosigners(note: Note, cosigners: Mapping[str, bytes]) -> dict[str, int]:
    """Return name -> time of those named cosigners whose cosignature is on the note.

    Raises:
        LogInvalid: a line claims a named cosigner's key and does not verify.
    """
    found: dict[str, int] = {}
    for line in note.signatures:
        key = cosigners.get(line.name)
        if key is not None and line.key_id == key_id(line.name, COSIGNATURE, key):
            found[line.name] = verify_cosignature(note.checkpoint, line, line.name, key)
    return found


def _cosigned(checkpoint: Checkpoint, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n".encode() + checkpoint.body()


def _parse_line(line: str) -> SignatureLine:
    if not line.startswith("\u2014 "):
        raise _bad("a signature line is malformed")
    name, _, blob = line[2:].partition(" ")
    if not _NAME.match(name):
        raise _bad("a signature's name is malformed")
    raw = _base64(blob)
    if len(raw) < 5:
        raise _bad("a signature is too short")
    return SignatureLine(name, raw[:4], raw[4:])


def _base64(text: str, size: int | None = None) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad("not base64") from error
    if base64.b64encode(raw).decode("ascii") != text or (size is not None and len(raw) != size):
        raise _bad("not canonical base64 of the right length")
    return raw


def _bad(why: str) -> LogInvalid:
    return LogInvalid(f"checkpoint: {why}", code="voting.log-malformed")
