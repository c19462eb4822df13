"""A worker that is told of at two addresses hears IPv6 and IPv4 at the same UDP port, and answers each as it came."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.media.test_ice_tcp import Client, call, hear, running

from folkmoot_media.dialled_socket import DialledSocket


class UdpClient(Client):
    """A transport whose only way is a UDP candidate."""

    protocol = "udp"
    socket: DialledSocket | None = None

    def _send(self, data: bytes) -> None:
        if self.socket is not None:
            self.socket.send(data)

    async def dial(self) -> None:
        def take(arrived: list[tuple[bytes, float]]) -> None:
            for datagram, _ in arrived:
                self.active.receive(datagram)

        self.socket = DialledSocket([(self.candidate["ip"], self.candidate["port"])], take)

    async def close(self) -> None:
        if self.socket is not None:
            self.socket.close()


@pytest.mark.parametrize("fan", ["compiled", "cffi", "python"])
@pytest.mark.parametrize(("speaks", "listens"), [(0, 1), (1, 0), (1, 1)])
async def test_a_voice_crosses_between_both(tmp_path: Path, fan: str, speaks: int, listens: int) -> None:
    addresses, families = ("::1", "127.0.0.1"), ("ipv6", "ipv4")
    async with running(tmp_path, listen="::", announced=addresses, fan=fan) as worker:
        call(worker, "router.create", router_id="r", floor_mode="open")
        anna, bela = UdpClient(worker, "anna", "send", speaks), UdpClient(worker, "bela", "recv", listens)
        assert (anna.candidate["ip"], bela.candidate["ip"]) == (addresses[speaks], addresses[listens])
        for one in (anna, bela):
            await one.connect()
        await hear(anna, bela)
        assert (anna.report()["family"], bela.report()["family"]) == (families[speaks], families[listens])
        assert worker._counters["contained_errors"] == worker._counters["send_failed"] == 0
        for one in (anna, bela):
            await one.close()


async def test_control_what_listens_for_one_kind_alone_is_not_reached_by_the_other(tmp_path: Path) -> None:
    async with running(tmp_path, listen="127.0.0.1", announced=("::1", "127.0.0.1")) as worker:
        call(worker, "router.create", router_id="r", floor_mode="open")
        anna, bela = UdpClient(worker, "anna", "send", 0), UdpClient(worker, "bela", "recv", 1)
        await bela.connect()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await anna.connect()
        for one in (anna, bela):
            await one.close()
