"""TURN credentials: the arithmetic, the settings, and what a page is told."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.domain.turn import LIFETIME_S, TurnService, ice_servers, turn_credential
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings

URLS = ("turns:turn.example.org:443?transport=tcp", "turn:turn.example.org:3478?transport=udp")
SECRET = b"0123456789abcdef"


def test_a_credential_is_the_one_that_openssl_makes() -> None:
    # printf '%s' 1700000000:seat-7 | openssl dgst -sha1 -hmac 0123456789abcdef -binary | base64
    assert turn_credential(SECRET, "seat-7", 1_700_000_000) == ("1700000000:seat-7", "O/bWg8ilX5vh4Xyb46povySJwtg=")


@pytest.mark.parametrize("seat", ["", "9999999999:seat"])
def test_a_seat_that_would_change_the_expiry_is_refused(seat: str) -> None:
    with pytest.raises(ValueError, match="colon"):
        turn_credential(SECRET, seat, 1)


def test_a_seat_gets_the_addresses_with_a_credential_of_its_own() -> None:
    service = TurnService(URLS, SECRET)
    (first,) = ice_servers(service, "seat-1", 1000)
    (second,) = ice_servers(service, "seat-2", 1000)
    assert first["urls"] == list(URLS)
    assert first["username"] == f"{1000 + LIFETIME_S}:seat-1"
    assert first["credential"] != second["credential"]
    assert ice_servers(None, "seat-1", 1000) == []


def test_the_secret_is_in_no_representation() -> None:
    assert "0123456789" not in repr(TurnService(URLS, SECRET))


def test_addresses_and_secret_belong_together() -> None:
    with pytest.raises(ValidationError, match="belong together"):
        Settings(turn_urls=URLS)
    with pytest.raises(ValidationError, match="belong together"):
        Settings(turn_secret_file=Path("secret"))
    with pytest.raises(ValidationError, match="turn_urls look like"):
        Settings(turn_urls=("https://turn.example.org",), turn_secret_file=Path("secret"))


def test_the_secret_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "turn.secret"
    settings = Settings(turn_urls=URLS, turn_secret_file=path)
    with pytest.raises(app.StartError, match="cannot be read"):
        app.turn_service(settings)
    path.write_bytes(b"short\n")
    with pytest.raises(app.StartError, match="at least 16 bytes"):
        app.turn_service(settings)
    path.write_bytes(SECRET + b"\n")
    assert app.turn_service(settings) == TurnService(URLS, SECRET)
    assert app.turn_service(Settings()) is None


async def test_a_page_is_told_when_it_joins_and_when_it_moves(tmp_path: Path) -> None:
    clock = [1000]
    pool = MediaPool(MediaPoolSettings(tmp_path / "run", workers=1))
    service = TurnService(URLS, SECRET)
    signalling = MediaSignalling(pool, lambda *_: None, lambda seat: ice_servers(service, seat, clock[0]))
    await pool.start()
    try:
        await signalling.join("hall", "seat-1")
        told: dict[str, Any] = await signalling.handle("hall", "seat-1", "capabilities", {})
        assert told["iceServers"] == ice_servers(service, "seat-1", 1000)
        transport = await signalling.handle("hall", "seat-1", "create_transport", {"direction": "recv"})
        clock[0] = 5000
        moved = await signalling.handle("hall", "seat-1", "restart_ice", {"transport_id": transport["id"]})
        assert moved["iceServers"] == ice_servers(service, "seat-1", 5000)
        assert set(moved) == {"iceParameters", "spareIceParameters", "iceServers"}
    finally:
        await signalling.close()
        await pool.close()
