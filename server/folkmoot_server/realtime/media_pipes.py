"""Who is announced where: the routers of one room in a star of pipes, and the sites that hang on its centre.

A *node* is a router of the room, or a site by its name. The first router is the centre. The table knows where each
producer comes from and where it stands; `due` says what is to be done so that it stands everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A pipe of the star, by the ids of its ends; a site's own end has none here."""

    node: str
    centre: str
    near_pipe: str
    far_pipe: str | None


@dataclass(slots=True, eq=False)
class Placed:
    """One producer at one node; `source` is what it mirrors, None where it comes from."""

    paused: bool
    source: Placed | None = None


@dataclass(slots=True)
class Origin:
    """Where a producer comes from, and whether it is paused there."""

    node: str
    paused: bool


class Dropped(NamedTuple):
    """What went with a node: pipes, producers that came from it, and (producer, node) of what stood elsewhere."""

    edges: list[Edge]
    producers: list[str]
    places: list[tuple[str, str]]


class Join(NamedTuple):
    """Make a pipe between the centre and a router."""

    node: str


class Close(NamedTuple):
    """Close a mirrored producer at a node: its source is gone."""

    producer_id: str
    node: str


class Pause(NamedTuple):
    """Let a mirrored producer be paused, or not, as it is where it comes from."""

    producer_id: str
    node: str
    paused: bool


class Mirror(NamedTuple):
    """Let a producer cross a pipe from one node to another."""

    producer_id: str
    source: str
    target: str
    edge: Edge


Step = Join | Close | Pause | Mirror


@dataclass(slots=True)
class PipeTable:
    """The nodes of one room, its pipes, and which producer stands where."""

    parts: list[str] = field(default_factory=list)
    sites: list[str] = field(default_factory=list)
    edges: dict[str, Edge] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    _placed: dict[str, dict[str, Placed]] = field(default_factory=dict)
    _refused: set[tuple[str, str]] = field(default_factory=set)

    @property
    def centre(self) -> str | None:
        """The router in the middle of the star."""
        return self.parts[0] if self.parts else None

    # -- nodes and pipes --------------------------------------------------------------------------------------

    def add_part(self, router_id: str) -> None:
        """A router of the room is open."""
        self.parts.append(router_id)
        self._placed[router_id] = {}

    def add_site(self, name: str) -> None:
        """A site belongs to the room; `set_edge` says when its pipe stands."""
        if name not in self._placed:
            self.sites.append(name)
            self._placed[name] = {}

    def drop_node(self, node: str) -> Dropped:
        """A node is gone, with its pipes (all, where it was the centre) and the producers that came from it."""
        was_centre = node == self.centre
        gone = [edge for edge in self.edges.values() if was_centre or edge.node == node]
        dropped = Dropped(gone, [], [])
        for edge in gone:
            dropped.places.extend(self.drop_edge(edge.node))
        dropped.producers.extend(self.from_node(node))
        for producer_id in dropped.producers:
            self.unpublish(producer_id)
        for nodes in (self.parts, self.sites):
            if node in nodes:
                nodes.remove(node)
        self._placed.pop(node, None)
        return dropped

    def set_edge(self, edge: Edge) -> None:
        """A pipe between the centre and a node is made."""
        self.edges[edge.node] = edge

    def drop_edge(self, node: str) -> list[tuple[str, str]]:
        """A pipe is gone; return what stood because of it, as (producer, node)."""
        edge = self.edges.pop(node, None)
        if edge is None:
            return []
        self._refused = {one for one in self._refused if node not in (one[1], self._origin_node(one[0]))}
        lost = [(key, node) for key in self._placed.get(node, {}) if self._origin_node(key) != node]
        lost += [(key, edge.centre) for key in self._placed.get(edge.centre, {}) if self._origin_node(key) == node]
        for producer_id, where in lost:
            del self._placed[where][producer_id]
        return lost

    def edge_of(self, pipe_id: str) -> Edge | None:
        """Return the pipe that has this end."""
        return next((edge for edge in self.edges.values() if pipe_id in (edge.near_pipe, edge.far_pipe)), None)

    # -- producers --------------------------------------------------------------------------------------------

    def publish(self, producer_id: str, node: str, paused: bool) -> None:
        """A producer comes from a node; one of a site stands there only as far as `due` is concerned."""
        self.origins[producer_id] = Origin(node, paused)
        self._placed[node][producer_id] = Placed(paused)

    def set_paused(self, producer_id: str, paused: bool) -> None:
        """A producer is paused, or goes on, where it comes from."""
        origin = self.origins.get(producer_id)
        if origin is not None:
            origin.paused = paused
            self._placed[origin.node][producer_id].paused = paused

    def from_node(self, node: str) -> list[str]:
        """Return the producers that come from a node."""
        return [producer_id for producer_id, origin in self.origins.items() if origin.node == node]

    def unpublish(self, producer_id: str) -> None:
        """A producer is gone where it came from."""
        origin = self.origins.pop(producer_id, None)
        if origin is not None:
            self._placed[origin.node].pop(producer_id, None)
            # Its owner may have sent the same source twice, at two nodes.
            self._refused.clear()

    def note_placed(self, step: Mirror, paused: bool) -> bool:
        """A producer has crossed; False when its source went away meanwhile, so that it must be closed again."""
        source = self._placed.get(step.source, {}).get(step.producer_id)
        target = self._placed.get(step.target)
        if source is None or target is None or self.edges.get(step.edge.node) is not step.edge:
            return False
        target[step.producer_id] = Placed(paused, source)
        return True

    def note_gone(self, producer_id: str, node: str) -> None:
        """A mirrored producer is closed at a node."""
        self._placed.get(node, {}).pop(producer_id, None)

    def note_paused(self, step: Pause) -> None:
        """A mirrored producer is paused, or goes on."""
        placed = self._placed.get(step.node, {}).get(step.producer_id)
        if placed is not None:
            placed.paused = step.paused

    def refuse(self, step: Mirror) -> None:
        """A node does not take a producer; it is not tried again before something changes."""
        self._refused.add((step.producer_id, step.target))

    def stands(self, producer_id: str, node: str) -> bool:
        """Say whether a producer is at a node now."""
        return producer_id in self._placed.get(node, {})

    def _origin_node(self, producer_id: str) -> str | None:
        origin = self.origins.get(producer_id)
        return None if origin is None else origin.node

    # -- what is due ------------------------------------------------------------------------------------------

    def due(self) -> list[Step]:
        """Return what can be done now, in an order in which it can be done."""
        if len(self._placed) < 2:
            return []
        steps: list[Step] = [Join(node) for node in self.parts[1:] if node not in self.edges]
        mirrors: list[Step] = []
        for node, placed in self._placed.items():
            steps += self._to_close_and_pause(node, placed)
            mirrors += self._to_mirror(node, placed)
        return steps + mirrors

    def _to_close_and_pause(self, node: str, placed: dict[str, Placed]) -> list[Step]:
        steps: list[Step] = []
        for producer_id, one in placed.items():
            if one.source is None:
                continue
            before = self._before(producer_id, node)
            if before is None or self._placed.get(before, {}).get(producer_id) is not one.source:
                steps.append(Close(producer_id, node))
            elif one.paused is not self.origins[producer_id].paused:
                steps.append(Pause(producer_id, node, not one.paused))
        return steps

    def _to_mirror(self, node: str, placed: dict[str, Placed]) -> list[Mirror]:
        steps = []
        for producer_id, origin in self.origins.items():
            if producer_id in placed or (producer_id, node) in self._refused:
                continue
            before = self._before(producer_id, node)
            edge = self.edges.get(origin.node if node == self.centre else node)
            if before is not None and edge is not None and producer_id in self._placed.get(before, {}):
                steps.append(Mirror(producer_id, before, node, edge))
        return steps

    def _before(self, producer_id: str, node: str) -> str | None:
        """Return the node from which a producer comes to `node`: the centre, or at the centre its origin."""
        origin = self._origin_node(producer_id)
        if origin is None:
            return None
        return origin if node == self.centre else self.centre
