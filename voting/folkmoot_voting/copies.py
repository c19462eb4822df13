"""Copies of a trustee's secrets (section 4), sealed under a passkey's PRF output or a written code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from . import boxes, fields
from .encoding import CROCKFORD, JsonObject, b64u, crockford, h, jcs, lp, strict_json, u32
from .errors import CopyInvalid, EncodingError
from .group import Rng
from .keygen import MAX_ATTEMPTS

KINDS = ("passkey", "code")
MAX_COPY = 4096
CODE_LENGTH = 16
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**15, 8, 1
_CODE = re.compile(f"[{CROCKFORD}]{{{CODE_LENGTH}}}\\Z")

COPY = fields.record(
    v=fields.const(1),
    meeting=fields.ident,
    attempt=fields.integer(1, MAX_ATTEMPTS),
    trustee=fields.index,
    kind=fields.one_of(*KINDS),
    salt=fields.hash32,
    data=fields.binary(28, 1024),
)
_SECRETS = fields.record(sign_seed=fields.key32, box_secret=fields.key32, share=fields.key32)


@dataclass(frozen=True)
class Place:
    """Whose secrets they are: the meeting, the attempt at its key and the trustee's index."""

    meeting: str
    attempt: int
    trustee: int


@dataclass(frozen=True)
class Secrets:
    """What a trustee needs to open the box and to sign: 32 bytes each."""

    sign_seed: bytes
    box_secret: bytes
    share: bytes


def prf_input(meeting: str) -> bytes:
    """Return eval.first of the WebAuthn PRF extension, whose 32 bytes are the ikm of a `passkey` copy."""
    return h("fm1/prf", meeting)


def draw_code(rng: Rng) -> str:
    """Draw the 80 bits of a code as 16 Crockford characters."""
    return crockford(rng(10), CODE_LENGTH * 5)


def code_ikm(code: str, salt: bytes) -> bytes:
    """Return the ikm of a `code` copy by scrypt (RFC 7914); hyphens, spaces and lower case are forgiven.

    Raises:
        CopyInvalid: not 16 Crockford characters.
    """
    plain = code.replace("-", "").replace(" ", "").upper()
    if not _CODE.match(plain):
        raise CopyInvalid("a code has 16 characters", code="voting.copy-code")
    kdf = Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P)
    return kdf.derive(plain.encode("ascii"))


def check_copy(copy: JsonObject) -> dict[str, object]:
    """Check the form of a copy and return it with byte strings decoded.

    Raises:
        CopyInvalid: malformed, or longer than 4 KiB.
    """
    try:
        if len(jcs(copy)) > MAX_COPY:
            raise CopyInvalid("a copy has at most 4 KiB", code="voting.copy-malformed")
        parts: dict[str, object] = COPY(copy)
    except EncodingError as error:
        raise CopyInvalid(f"copy: {error.detail}", code="voting.copy-malformed") from error
    return parts


def make_copy(place: Place, secrets: Secrets, kind: str, ikm: bytes, rng: Rng, salt: bytes = b"") -> JsonObject:
    """Return the copy; rng gives the salt (unless given: a code's ikm needs it first), then the nonce.

    Raises:
        CopyInvalid: no such kind, or a field breaks section 4.
    """
    salt = salt or rng(32)
    nonce = rng(12)
    plain = jcs(
        {
            "sign_seed": b64u(secrets.sign_seed),
            "box_secret": b64u(secrets.box_secret),
            "share": b64u(secrets.share),
        }
    )
    sealed = _cipher(place.meeting, ikm, salt).encrypt(nonce, plain, _binding(place, kind, salt))
    copy: JsonObject = {
        "v": 1,
        "meeting": place.meeting,
        "attempt": place.attempt,
        "trustee": place.trustee,
        "kind": kind,
        "salt": b64u(salt),
        "data": b64u(nonce + sealed),
    }
    check_copy(copy)
    return copy


def open_copy(copy: JsonObject, ikm: bytes) -> Secrets:
    """Return the secrets of a copy.

    Raises:
        CopyInvalid: malformed, or it does not open under this ikm.
    """
    check_copy(copy)
    parts = COPY(copy)
    place = Place(parts["meeting"], parts["attempt"], parts["trustee"])
    salt, data = parts["salt"], parts["data"]
    try:
        plain = _cipher(place.meeting, ikm, salt).decrypt(data[:12], data[12:], _binding(place, parts["kind"], salt))
        secrets = _SECRETS(strict_json(plain))
    except InvalidTag as error:
        raise CopyInvalid("this passkey or code does not open the copy", code="voting.copy-closed") from error
    except EncodingError as error:
        raise CopyInvalid(f"copy: {error.detail}", code="voting.copy-malformed") from error
    return Secrets(secrets["sign_seed"], secrets["box_secret"], secrets["share"])


def _cipher(meeting: str, ikm: bytes, salt: bytes) -> AESGCM:
    return AESGCM(boxes.hkdf(ikm, salt, lp("fm1/copy") + lp(meeting)))


def _binding(place: Place, kind: str, salt: bytes) -> bytes:
    return h("fm1/copy", place.meeting, u32(place.attempt), u32(place.trustee), kind, salt)
