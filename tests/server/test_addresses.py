"""Where media listen, and what is announced of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from folkmoot_config import addresses
from folkmoot_config.settings import Settings
from folkmoot_server.relay.settings import RelaySettings
from folkmoot_server.serving import StartError

EVERYWHERE = addresses.ANY[4]


@pytest.mark.parametrize(
    ("text", "announced", "listening"),
    [
        ("127.0.0.1", ("127.0.0.1",), "127.0.0.1"),
        ("::1", ("::1",), "::1"),
        ("192.0.2.10", ("192.0.2.10",), EVERYWHERE),
        ("2001:DB8::0010", ("2001:db8::10",), "::"),
        ("192.0.2.10, 2001:db8::10", ("192.0.2.10", "2001:db8::10"), "::"),
        ("2001:db8::10,192.0.2.10", ("2001:db8::10", "192.0.2.10"), "::"),
        ("127.0.0.1,::1", ("127.0.0.1", "::1"), "::"),
    ],
)
def test_what_is_announced_is_heard(text: str, announced: tuple[str, ...], listening: str) -> None:
    settings = Settings(announce_ip=text)
    assert (settings.announced, settings.media_listen) == (announced, listening)


@pytest.mark.parametrize(
    ("text", "chosen", "sentence"),
    [
        ("meet.example.org", "", "meet.example.org is no address in numbers"),
        ("", "", "nothing is no address in numbers"),
        ("192.0.2.1,", "", "nothing is no address in numbers"),
        (EVERYWHERE, "", "nobody can be told to come to 0.0.0.0"),
        ("::", "", "nobody can be told to come to ::"),
        ("192.0.2.1,192.0.2.2", "", "not two of a kind"),
        ("192.0.2.1,2001:db8::1,2001:db8::2", "", "not two of a kind"),
        ("2001:db8::1", EVERYWHERE, "at 0.0.0.0 nothing of IPv6 is heard"),
        ("192.0.2.1", "2001:db8::1", "at 2001:db8::1 nothing of IPv4 is heard"),
        ("192.0.2.1,2001:db8::1", "10.0.0.1", "at 10.0.0.1 nothing of IPv6 is heard"),
        ("192.0.2.1", "everywhere", "everywhere is no address in numbers"),
    ],
)
def test_what_nobody_could_reach_is_refused(text: str, chosen: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Settings(announce_ip=text, media_listen_ip=chosen)
    with pytest.raises(ValueError, match=sentence):
        addresses.listening(addresses.read_announced(text), chosen)


@pytest.mark.parametrize(
    ("chosen", "text"),
    [("10.0.0.5", "192.0.2.1"), ("::", "192.0.2.1"), ("::", "192.0.2.1,2001:db8::1"), ("2001:db8::5", "2001:db8::1")],
)
def test_a_chosen_address_stays(chosen: str, text: str) -> None:
    assert Settings(announce_ip=text, media_listen_ip=chosen).media_listen == chosen


@pytest.mark.parametrize(
    ("host", "text", "announced", "listening"),
    [
        ("127.0.0.1", "", ("127.0.0.1",), "127.0.0.1"),
        ("192.0.2.10", "", ("192.0.2.10",), "192.0.2.10"),
        ("hall.example.org", "", ("127.0.0.1",), "127.0.0.1"),
        (EVERYWHERE, "192.0.2.10", ("192.0.2.10",), EVERYWHERE),
        ("::", "192.0.2.10,2001:db8::10", ("192.0.2.10", "2001:db8::10"), "::"),
        ("10.0.0.5", "192.0.2.10", ("192.0.2.10",), "10.0.0.5"),
    ],
)
def test_a_relay_listens_for_what_it_announces(
    host: str, text: str, announced: tuple[str, ...], listening: str, tmp_path: Path
) -> None:
    settings = RelaySettings("https://meet.example.org", tmp_path, host=host, announce_ip=text)
    assert (settings.announced, settings.media_listen) == (announced, listening)


def test_a_relay_that_nobody_could_reach_does_not_start(tmp_path: Path) -> None:
    for host, text in (("192.0.2.10", "2001:db8::1"), ("127.0.0.1", "hall.example.org")):
        with pytest.raises(StartError, match="--announce-ip does not do") as refused:
            RelaySettings("https://meet.example.org", tmp_path, host=host, announce_ip=text)
        assert refused.value.code == "start.announced"
