"""What a hall's phones are told of closed sessions, each at the place in the log where it is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.relay.small import small_node

from folkmoot_server.domain.audience import WITHHELD
from folkmoot_server.domain.closed_sessions import BEGAN, ENDED, fold
from folkmoot_server.realtime.connections import Bucket
from folkmoot_server.realtime.packets import Line
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.people import HallSession
from folkmoot_server.relay.phones import Admitted, Phone, Right
from folkmoot_server.relay.sockets import Sockets

ADMIT: dict[str, Any] = {"sites": ["hall"], "visitors": []}
LOG = [
    (1, BEGAN, ADMIT),
    (2, "MessagePosted", {}),
    (3, "MessagePosted", {}),
    (4, ENDED, {}),
    (5, BEGAN, ADMIT),
    (6, "MessagePosted", {}),
    (7, "MessagePosted", {}),
    (8, ENDED, {}),
    (9, "MessagePosted", {}),
]
NEW = [{"seq": seq, "type": kind, "at": 7, "body": body} for seq, kind, body in LOG]


def visitor(line: Line) -> Phone:
    """Somebody's phone who is on no list of the hall."""
    session = HallSession(bytes(32), "gwen", {}, 0, 0, local=False, follows=True)
    return Phone("sid", "eio", line, Admitted(session, "cookie"), 0, Bucket(0.0))


def hear(node: Node, new: list[dict[str, Any]]) -> None:
    node.closed = fold([SimpleNamespace(**one) for one in new])
    node.hear(new)


async def test_a_visitor_of_the_first_session_who_comes_back_is_not_inside_the_second(tmp_path: Path) -> None:
    async with small_node(tmp_path) as node:
        sockets, asked = Sockets(node), list[int]()

        async def knows(_cookie: str, seq: int, _right: Right) -> bool:
            asked.append(seq)
            return seq < 4

        sockets.knows = knows
        phone = sockets._phones["sid"] = visitor(Line())
        node.on_events = sockets._deliver
        hear(node, NEW)  # all of it before the phone is sent the first
        told = [await sockets._packet(phone, one) for one in await node.after(0)]
        withheld = [seq for seq, packet in enumerate(told, 1) if WITHHELD.encode() in packet.frame]
        assert withheld == [6, 7]
        assert asked == [2, 6]  # once for each session


async def test_who_is_behind_keeps_the_answer_until_the_change_is_sent(tmp_path: Path) -> None:
    async with small_node(tmp_path) as node:
        sockets, asked = Sockets(node), list[int]()

        async def knows(_cookie: str, seq: int, _right: Right) -> bool:
            asked.append(seq)
            return True

        sockets.knows = knows
        phone = sockets._phones["sid"] = visitor(Line())
        node.on_events = sockets._deliver
        hear(node, NEW[:3])
        await sockets._packet(phone, node.tail[1])
        hear(node, NEW[3:])
        await sockets._packet(phone, node.tail[2])
        assert asked == [2]
