"""RFC 6962 section 2.1 hashing and proofs over 32-byte leaf hashes (algorithms of RFC 9162 section 2.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: append leaves and read the root, without keeping the leaves."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self._edge.pop(), node)
            size >>= 1
        self._edge.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the leaves so far."""
        if not self._edge:
            return EMPTY_ROOT
        node = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            node = node_hash(left, node)
        return node


def tree_hash(leaves: Iterable[bytes]) -> bytes:
    """Return the root of a list of leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def prefix_roots(leaves: Sequence[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """Return the root of the first n leaves for each wanted n that is not beyond the list."""
    wanted = set(sizes)
    frontier = Frontier()
    roots = {0: EMPTY_ROOT} if 0 in wanted else {}
    for leaf in leaves:
        frontier.append(leaf)
        if frontier.size in wanted:
            roots[frontier.size] = frontier.root()
    return roots


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of a leaf, from the bottom up.

    Raises:
        IndexError: no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError("no such leaf")
    path: list[bytes] = []
    while len(leaves) > 1:
        split = _split(len(leaves))
        if index < split:
            path.append(tree_hash(leaves[split:]))
            leaves = leaves[:split]
        else:
            path.append(tree_hash(leaves[:split]))
            leaves, index = leaves[split:], index - split
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether the proof shows the leaf at this index of the tree of this size and root."""
    if not 0 <= index < size:
        return False
    node, last = leaf, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = node_hash(sibling, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return the proof that the tree of the first `old_size` leaves is a prefix of the whole.

    Raises:
        IndexError: old_size is not between 0 and the number of leaves.
    """
    if not 0 <= old_size <= len(leaves):
        raise IndexError("no such tree")
    if old_size in (0, len(leaves)):
        return []
    path: list[bytes] = []
    whole = True
    while old_size < len(leaves):
        split = _split(len(leaves))
        if old_size <= split:
            path.append(tree_hash(leaves[split:]))
            leaves = leaves[:split]
        else:
            path.append(tree_hash(leaves[:split]))
            leaves, old_size, whole = leaves[split:], old_size - split, False
    if not whole:
        path.append(tree_hash(leaves))
    return path[::-1]


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Say whether the proof shows the old tree to be a prefix of the new one."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old_node = new_node = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            old_node, new_node = node_hash(sibling, old_node), node_hash(sibling, new_node)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            new_node = node_hash(new_node, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and old_node == old_root and new_node == new_root


def _split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1
