"""The roll of section 3: salted entries for the annex, a public core, and the registrar's statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import challenges, fields
from .assertion import ASSERTION, COSE_KEY, CREDENTIAL_ID, RelyingParty, verify_assertion
from .encoding import JsonObject, b64u, h, jcs, unb64u
from .errors import AssertionInvalid, EncodingError, RollInvalid
from .merkle_log import leaf_hash, tree_hash

RP = fields.record(
    id=fields.text(253),
    origins=fields.items(fields.text(300), 1, 8),
)
MAX_WEIGHT, MAX_ROLL_WEIGHT = 10**6, 10**8
EXCEPTIONS = ("none", "first", "replaced", "added")
OFFICERS_NEEDED = ("first", "replaced")

ENTRY = fields.record(
    member=fields.ident,
    name=fields.text(),
    weight=fields.integer(1, MAX_WEIGHT),
    passkeys=fields.items(fields.record(id=CREDENTIAL_ID, key=COSE_KEY), 0, 20),
    exception=fields.record(
        kind=fields.one_of(*EXCEPTIONS),
        method=fields.text(low=0),
        officers=fields.items(fields.text(), 0, 2),
    ),
    salt=fields.hash32,
)
CORE = fields.record(
    v=fields.const(1),
    meeting=fields.ident,
    organisation=fields.ident,
    root=fields.hash32,
    size=fields.integer(),
    weight=fields.integer(),
    exceptions=fields.integer(),
    frozen_at=fields.moment,
    rp=RP,
    registrar=fields.record(passkey=CREDENTIAL_ID, key=COSE_KEY),
)
STATEMENT = fields.record(core=CORE, nonce=fields.hash32, assertion=ASSERTION)


@dataclass(frozen=True)
class RollException:
    """How a passkey came into the roll that was not in the organisation's roll before.

    Attributes:
        kind: one of EXCEPTIONS.
        method: in words how the officers knew the member, "" where none is needed.
        officers: the names of the two officers, or none.
    """

    kind: str = "none"
    method: str = ""
    officers: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Return the entry's `exception` field."""
        return {"kind": self.kind, "method": self.method, "officers": list(self.officers)}


NO_EXCEPTION = RollException()


@dataclass(frozen=True)
class RollCore:
    """The public part of a roll and its hash."""

    json: JsonObject
    hash: bytes
    meeting: str
    organisation: str
    root: bytes
    size: int
    weight: int
    exceptions: int
    frozen_at: int
    rp: RelyingParty
    registrar_passkey: bytes
    registrar_key: bytes

    @classmethod
    def from_json(cls, core: JsonObject) -> RollCore:
        """Check the fields and compute roll_hash.

        Raises:
            RollInvalid: unknown or wrong fields, or more weight than a tally can count.
        """
        try:
            parts = CORE(core)
            roll_hash = h("fm1/roll", jcs(core))
        except EncodingError as error:
            raise RollInvalid(f"roll: {error.detail}", code="voting.roll-malformed") from error
        if parts["weight"] > MAX_ROLL_WEIGHT:
            raise RollInvalid("the weights of a roll add up to more than 10^8", code="voting.roll-weight")
        return cls(
            json=core,
            hash=roll_hash,
            meeting=parts["meeting"],
            organisation=parts["organisation"],
            root=parts["root"],
            size=parts["size"],
            weight=parts["weight"],
            exceptions=parts["exceptions"],
            frozen_at=parts["frozen_at"],
            rp=RelyingParty(parts["rp"]["id"], tuple(parts["rp"]["origins"])),
            registrar_passkey=parts["registrar"]["passkey"],
            registrar_key=parts["registrar"]["key"],
        )


def make_entry(
    member: str,
    name: str,
    passkeys: Iterable[tuple[bytes, bytes]],
    salt: bytes,
    *,
    weight: int = 1,
    exception: RollException = NO_EXCEPTION,
) -> JsonObject:
    """Return a roll entry; passkeys are (WebAuthn credential id, COSE key).

    Raises:
        RollInvalid: a field breaks section 3.
    """
    entry: JsonObject = {
        "member": member,
        "name": name,
        "weight": weight,
        "passkeys": [{"id": b64u(identity), "key": b64u(key)} for identity, key in passkeys],
        "exception": exception.to_json(),
        "salt": b64u(salt),
    }
    check_entries([entry])
    check_exceptions([entry])
    return entry


def check_entries(entries: Iterable[JsonObject]) -> None:
    """Check the fields, the order and that no member or passkey comes twice.

    Raises:
        RollInvalid: with the first fault.
    """
    if not isinstance(entries, Iterable):
        raise RollInvalid("roll entries are a list", code="voting.roll-malformed")
    check_order(map(_well_formed, entries))


def _well_formed(entry: JsonObject) -> JsonObject:
    try:
        ENTRY(entry)
    except EncodingError as error:
        raise RollInvalid(f"roll entry: {error.detail}", code="voting.roll-malformed") from error
    return entry


def check_order(entries: Iterable[JsonObject]) -> None:
    """Check the order of well-formed entries and that no member or passkey comes twice.

    Raises:
        RollInvalid: with the first fault.
    """
    last, passkeys = "", set()
    for entry in entries:
        if entry["member"] <= last:
            raise RollInvalid("roll entries are not sorted by member", code="voting.roll-order")
        last = entry["member"]
        for passkey in entry["passkeys"]:
            if passkey["id"] in passkeys:
                raise RollInvalid("a passkey is listed twice", code="voting.roll-passkey-twice")
            passkeys.add(passkey["id"])


def check_exceptions(entries: Iterable[JsonObject]) -> None:
    """Check that exceptions have a method and two different officers where they need them (V33).

    Raises:
        RollInvalid: with the first fault; the entries have passed `check_entries`.
    """
    for entry in entries:
        exception = entry["exception"]
        kind, method, officers = exception["kind"], exception["method"], exception["officers"]
        if kind in OFFICERS_NEEDED and (not method or len(set(officers)) != 2):
            raise RollInvalid(
                "a first or replaced passkey needs a method and two different officers", code="voting.roll-exception"
            )
        if (kind not in OFFICERS_NEEDED and officers) or (kind == "none" and method):
            raise RollInvalid("an exception names officers that it has not", code="voting.roll-exception")


def exceptions_of(entries: Iterable[JsonObject]) -> int:
    """Return the number of entries whose exception is of another kind than `none`."""
    return sum(1 for entry in entries if entry["exception"]["kind"] != "none")


def weight_of(entries: Iterable[JsonObject]) -> int:
    """Return the sum of the entries' weights."""
    return sum(int(entry["weight"]) for entry in entries)


def entries_root(entries: Iterable[JsonObject]) -> bytes:
    """Return the RFC 6962 root over the JCS bytes of the entries."""
    return tree_hash(leaf_hash(jcs(entry)) for entry in entries)


def build_core(
    entries: Iterable[JsonObject],
    *,
    meeting: str,
    organisation: str,
    frozen_at: int,
    rp: RelyingParty,
    registrar: tuple[bytes, bytes],
) -> tuple[list[JsonObject], RollCore]:
    """Sort the entries and return them with the core; registrar is (credential id, COSE key).

    Raises:
        RollInvalid: an entry or field breaks section 3.
    """
    ordered = sorted(entries, key=lambda entry: str(entry["member"]))
    check_entries(ordered)
    check_exceptions(ordered)
    core: JsonObject = {
        "v": 1,
        "meeting": meeting,
        "organisation": organisation,
        "root": b64u(entries_root(ordered)),
        "size": len(ordered),
        "weight": weight_of(ordered),
        "exceptions": exceptions_of(ordered),
        "frozen_at": frozen_at,
        "rp": rp_json(rp),
        "registrar": {"passkey": b64u(registrar[0]), "key": b64u(registrar[1])},
    }
    return ordered, RollCore.from_json(core)


def rp_json(rp: RelyingParty) -> JsonObject:
    """Return the JSON form of a relying party."""
    return {"id": rp.id, "origins": list(rp.origins)}


def make_statement(core: RollCore, nonce: bytes, assertion: JsonObject) -> JsonObject:
    """Return roll.json after checking the registrar's assertion.

    Raises:
        RollInvalid: the assertion does not verify.
    """
    statement: JsonObject = {"core": core.json, "nonce": b64u(nonce), "assertion": assertion}
    verify_statement(statement)
    return statement


def verify_statement(statement: JsonObject) -> RollCore:
    """Check the registrar's assertion over the roll and return the core.

    Raises:
        RollInvalid: malformed or not signed by the registrar's passkey.
    """
    try:
        STATEMENT(statement)
    except EncodingError as error:
        raise RollInvalid(f"roll statement: {error.detail}", code="voting.roll-malformed") from error
    core = RollCore.from_json(statement["core"])
    challenge = challenges.registrar(core.hash, unb64u(statement["nonce"]))
    try:
        verify_assertion(core.rp, challenge, core.registrar_key, statement["assertion"])
    except AssertionInvalid as error:
        raise RollInvalid(f"registrar's signature: {error.detail}", code="voting.roll-unsigned") from error
    return core


def passkey_of(entry: JsonObject, credential_id: bytes) -> bytes:
    """Return the COSE key of one passkey of a roll entry.

    Raises:
        RollInvalid: the entry does not list it.
    """
    wanted = b64u(credential_id)
    for passkey in entry["passkeys"]:
        if passkey["id"] == wanted:
            return unb64u(passkey["key"])
    raise RollInvalid("the passkey is not in the member's roll entry", code="voting.roll-passkey")
