"""The table of pipes: after any history, carrying out what is due lets every producer stand everywhere, once."""

import pytest
from tests.media.support import Dice

from folkmoot_server.realtime.media_pipes import Close, Edge, Join, Mirror, Pause, PipeTable, Step


class Routers:
    """What real workers would hold: which producers each node has, and over which pipe they came."""

    def __init__(self) -> None:
        self.table = PipeTable()
        self.held: dict[str, dict[str, tuple[str, bool]]] = {}
        self.pipes: dict[str, Edge] = {}
        self.crossings = 0
        self._number = 0

    def fresh(self, kind: str) -> str:
        self._number += 1
        return f"{kind}{self._number}"

    def add_part(self) -> str:
        name = self.fresh("r")
        self.held[name] = {}
        self.table.add_part(name)
        return name

    def publish(self, node: str) -> str:
        name = self.fresh("p")
        self.held[node][name] = ("here", False)
        self.table.publish(name, node, False)
        return name

    def close(self, producer_id: str) -> None:
        origin = self.table.origins[producer_id].node
        del self.held[origin][producer_id]
        self.table.unpublish(producer_id)

    def cut(self, node: str) -> None:
        """Lose a pipe, as the workers at both ends notice it."""
        edge = self.pipes.pop(node)
        for end in (edge.node, edge.centre):
            for key in [key for key, (by, _) in self.held[end].items() if by == edge.near_pipe]:
                del self.held[end][key]
        self.table.drop_edge(node)

    def kill(self, node: str) -> None:
        for name in [name for name, edge in self.pipes.items() if node in (edge.node, edge.centre)]:
            edge = self.pipes.pop(name)
            for end in {edge.node, edge.centre} - {node}:
                for key in [key for key, (by, _) in self.held[end].items() if by == edge.near_pipe]:
                    del self.held[end][key]
        del self.held[node]
        self.table.drop_node(node)

    def carry_out(self, step: Step) -> None:
        table = self.table
        if isinstance(step, Join):
            centre = table.centre
            assert centre is not None
            edge = Edge(step.node, centre, self.fresh("pipe"), self.fresh("pipe"))
            self.pipes[step.node] = edge
            table.set_edge(edge)
        elif isinstance(step, Mirror):
            edge = step.edge
            if self.pipes.get(edge.node) is not edge or step.producer_id not in self.held[step.source]:
                return
            _, paused = self.held[step.source][step.producer_id]
            assert step.producer_id not in self.held[step.target], "a producer would be there twice"
            assert self.held[step.source][step.producer_id][0] != edge.near_pipe, (
                "it would go back where it came from"
            )
            self.held[step.target][step.producer_id] = (edge.near_pipe, paused)
            self.crossings += 1
            assert table.note_placed(step, paused)
        elif isinstance(step, Pause):
            by, _ = self.held[step.node][step.producer_id]
            self.held[step.node][step.producer_id] = (by, step.paused)
            table.note_paused(step)
        elif isinstance(step, Close):
            self.held[step.node].pop(step.producer_id, None)
            table.note_gone(step.producer_id, step.node)

    def settle(self) -> None:
        for _ in range(20):
            steps = self.table.due()
            if not steps:
                return
            for step in steps:
                self.carry_out(step)
        raise AssertionError(f"never settled: {self.table.due()}")

    def check(self) -> None:
        everything = set(self.table.origins)
        for node, held in self.held.items():
            assert set(held) == everything, node
            for producer_id, (_, paused) in held.items():
                assert paused is self.table.origins[producer_id].paused
                assert self.table.stands(producer_id, node)


def test_three_routers_are_a_star_and_each_producer_crosses_each_pipe_once() -> None:
    routers = Routers()
    hub, left, right = (routers.add_part() for _ in range(3))
    routers.publish(left)
    routers.settle()
    routers.check()
    assert {edge.centre for edge in routers.table.edges.values()} == {hub}
    assert set(routers.table.edges) == {left, right}
    assert routers.crossings == 2


def test_a_pause_and_a_closing_reach_every_router() -> None:
    routers = Routers()
    for _ in range(3):
        routers.add_part()
    producer = routers.publish("r2")
    routers.settle()
    routers.table.set_paused(producer, True)
    routers.held["r2"][producer] = ("here", True)
    assert [type(step) for step in routers.table.due()] == [Pause, Pause]
    routers.settle()
    routers.check()
    routers.close(producer)
    routers.settle()
    routers.check()


def test_when_the_centre_dies_the_next_router_takes_its_place() -> None:
    routers = Routers()
    hub, left, _ = (routers.add_part() for _ in range(3))
    for node in list(routers.held):
        routers.publish(node)
    routers.settle()
    routers.kill(hub)
    assert len(routers.table.origins) == 2
    routers.settle()
    routers.check()
    assert routers.table.centre == left


def test_one_router_alone_has_nothing_to_do() -> None:
    routers = Routers()
    routers.publish(routers.add_part())
    assert routers.table.due() == []


@pytest.mark.parametrize("seed", range(40))
def test_any_history_settles_with_everything_everywhere(seed: int) -> None:
    dice = Dice(f"pipe table {seed}")
    routers = Routers()
    routers.add_part()
    for _ in range(60):
        nodes = list(routers.held)
        node = nodes[dice.below(len(nodes))]
        deed = dice.below(8)
        if deed == 0 and len(nodes) < 5:
            routers.add_part()
        elif deed == 1 and len(nodes) > 1:
            routers.kill(node)
        elif deed == 2 and routers.pipes:
            routers.cut(list(routers.pipes)[dice.below(len(routers.pipes))])
        elif deed == 3 and routers.table.origins:
            routers.close(list(routers.table.origins)[dice.below(len(routers.table.origins))])
        elif deed == 4 and routers.table.origins:
            chosen = list(routers.table.origins)[dice.below(len(routers.table.origins))]
            paused = not routers.table.origins[chosen].paused
            routers.table.set_paused(chosen, paused)
            origin = routers.table.origins[chosen].node
            routers.held[origin][chosen] = ("here", paused)
        else:
            routers.publish(node)
        for step in routers.table.due()[: dice.below(4)]:  # something else happens in the midst of it
            routers.carry_out(step)
    routers.settle()
    routers.check()
