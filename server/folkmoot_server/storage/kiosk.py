"""Sessions of members at the browser of a hall."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, select

from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.sites import KIOSK_S
from folkmoot_server.storage.schema_sites import kiosk_session


@dataclass(frozen=True, slots=True)
class KioskSession:
    """A member signed in beside the custodian's session with the hash `custodian`; times in seconds UTC."""

    token_hash: bytes
    custodian: bytes
    meeting: str
    site: str
    member: str
    passkey: str
    created_at: int

    @property
    def until(self) -> int:
        """When it ends."""
        return self.created_at + KIOSK_S

    @property
    def session(self) -> SessionInfo:
        """Return it as the session that votes are given with."""
        return SessionInfo(self.token_hash, self.member, self.passkey, self.created_at, self.created_at)


def add(tx: Connection, session: KioskSession) -> None:
    """Insert a session."""
    tx.execute(kiosk_session.insert().values(**asdict(session)))


def find(tx: Connection, token_hash: bytes) -> KioskSession | None:
    """Return a session, over or not, or None."""
    row = tx.execute(select(kiosk_session).where(kiosk_session.c.token_hash == token_hash)).first()
    return None if row is None else KioskSession(**row._mapping)


def count(tx: Connection, custodian: bytes, since: int) -> int:
    """Return how many sessions were begun beside a custodian's after `since`."""
    table = kiosk_session.c
    where = (table.custodian == custodian, table.created_at > since)
    return tx.execute(select(func.count()).where(*where)).scalar_one()


def end(tx: Connection, token_hash: bytes) -> None:
    """Delete a session."""
    tx.execute(kiosk_session.delete().where(kiosk_session.c.token_hash == token_hash))


def sweep(tx: Connection, now: int) -> None:
    """Delete sessions that are over."""
    tx.execute(kiosk_session.delete().where(kiosk_session.c.created_at <= now - KIOSK_S))
