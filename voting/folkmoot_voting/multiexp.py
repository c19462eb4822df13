"""Many ristretto255 points at once (RFC 9496): decoding, multi-scalar sums and weighted sums of PUBLIC data.

The work is done by a small compiled library (`native/multiexp.h`) when it is there, else by libsodium, one
operation at a time and some twenty times slower. Both give the same answer to every input, errors included. The
library runs in variable time: no secret scalar, key, vote or nonce may come here; those belong to `group`.

Checking many equations together: write each as "a combination of points that must be the identity", multiply
each by a weight of 128 random bits that was drawn after the points were fixed, and ask once whether the sum of
everything is the identity. If any equation is wrong, the answer is yes with a chance of at most 2^-128. Points
that occur in many equations (the generator, the election's key) cost one place in the sum; their scalars are
added up mod `group.ORDER` first::

    parts = [decode(ballot_points) for ballot_points in arrived]      # once; also for `Sums`
    fixed = decode(group.BASE + election_key)
    good = is_identity(scalars, join([fixed, *parts]))                # 32-byte scalars in the same order

`batch` does so for the proofs of ballots, and searches for the bad one by halving.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from .errors import GroupError
from .multiexp_backends import Backend, Native, PointRefused, ScalarRefused, available, choose, compiled

__all__ = [
    "MAX_COLUMNS",
    "MAX_POINTS",
    "MAX_WEIGHT",
    "Decoded",
    "PointRefused",
    "ScalarRefused",
    "Sums",
    "available",
    "backend_name",
    "ballots_hold",
    "decode",
    "decode_ballots",
    "decode_with_hints",
    "encode",
    "is_identity",
    "join",
    "msm",
]

MAX_POINTS: Final = 1 << 24
MAX_COLUMNS: Final = 1 << 12
MAX_WEIGHT: Final = (1 << 64) - 1


class Decoded:
    """Points that were decoded once and may be used many times; made by `decode` and `join`, never changed.

    Indexing gives one point and slicing (without a step) some of them, both as a `Decoded` on the same memory.
    """

    __slots__ = ("_backend", "_data", "_start", "_stop")

    def __init__(self, backend: Backend, data: bytes | bytearray, start: int, stop: int) -> None:
        self._backend, self._data, self._start, self._stop = backend, data, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, index: int | slice) -> Decoded:
        """Return one point or a run of points; raises IndexError for an index that is not there."""
        places = range(self._start, self._stop)[index]
        if isinstance(places, int):
            return Decoded(self._backend, self._data, places, places + 1)
        if places.step != 1:
            raise IndexError("decoded points are sliced without a step")
        return Decoded(self._backend, self._data, places.start, max(places.start, places.stop))

    @property
    def backend(self) -> str:
        """What holds these points: "native" or "libsodium"."""
        return self._backend.name

    def memory(self) -> memoryview:
        """Return what the backend keeps of these points."""
        size = self._backend.point_bytes
        return memoryview(self._data)[self._start * size : self._stop * size]


class Sums:
    """Weighted sums of columns of points, a few rows at a time in memory that does not grow.

    One object belongs to one thread at a time; sums made in several threads are added with `group.add`.
    """

    def __init__(self, columns: int, *, native: bool = True) -> None:
        """Begin with the identity in each of 1 to 4096 columns; raises GroupError for another number."""
        if not 1 <= columns <= MAX_COLUMNS:
            raise GroupError(f"1 to {MAX_COLUMNS} columns can be added up")
        self._columns = columns
        self._backend = choose(native)
        self._state = self._backend.sums_begin(columns)

    def add(
        self,
        points: Decoded,
        *,
        stride: int | None = None,
        offsets: Sequence[int] | None = None,
        weights: Sequence[int] | None = None,
    ) -> None:
        """Add rows of points, each times the weight of its row.

        Args:
            points: a whole number of rows, decoded by the same backend.
            stride: points in a row; as many as there are columns when not given.
            offsets: for each column, its place in the row; 0, 1, 2 ... when not given.
            weights: one integer of 0 to 2^64 - 1 for each row; 1 for all when not given.

        Raises:
            GroupError: these do not fit together; nothing was added.
        """
        width = self._columns if stride is None else stride
        chosen = range(self._columns) if offsets is None else offsets
        if width < 1 or len(points) % width or len(chosen) != self._columns:
            raise GroupError("the points are not a whole number of rows with these columns")
        if not all(0 <= offset < width for offset in chosen):
            raise GroupError("a column lies outside the row")
        if weights is not None and (
            len(weights) != len(points) // width or not all(0 <= weight <= MAX_WEIGHT for weight in weights)
        ):
            raise GroupError("each row needs a weight from 0 to 2^64 - 1")
        if points._backend is not self._backend:
            raise GroupError("the points were decoded by another backend")
        self._backend.sums_add(self._state, points.memory(), width, chosen, weights)

    def result(self) -> list[bytes]:
        """Return the encoding of each column's sum so far; more may be added afterwards."""
        return self._backend.sums_result(self._state, self._columns)


def backend_name(*, native: bool = True) -> str:
    """Return what would do the work now: "native", or "libsodium" (always so when `native` is false)."""
    return choose(native).name


def decode(points: bytes, hints: bytes | None = None, *, native: bool = True) -> Decoded:
    """Decode points of 32 bytes each; the identity is one.

    Args:
        points: at most 2^24 encodings, one after the other.
        hints: what `decode_with_hints` gave for the same points, from whoever. Never trusted: good ones save
            nine tenths of the time, bad ones cost a little, none changes the outcome.
        native: false to use libsodium whatever is available.

    Raises:
        PointRefused: names the first that is not canonical (RFC 9496 section 4.3.1).
        GroupError: the lengths are wrong.
    """
    count = _count(points, "points")
    if hints is not None and len(hints) != len(points):
        raise GroupError("hints have 32 bytes for each point")
    backend = choose(native)
    return Decoded(backend, backend.decode(points, hints), 0, count)


def decode_with_hints(points: bytes, *, native: bool = True) -> tuple[Decoded, bytes]:
    """Decode points as `decode` does, and return 32 bytes for each that will make decoding it faster elsewhere.

    libsodium does not give them away; it returns zeros, which are valid hints that help nobody.

    Raises:
        PointRefused: names the first that is not canonical.
        GroupError: the length is wrong.
    """
    count = _count(points, "points")
    backend = choose(native)
    data, hints = backend.decode_with_hints(points)
    return Decoded(backend, data, 0, count), hints


def encode(points: Decoded) -> bytes:
    """Return the 32-byte encodings, one after the other."""
    return points._backend.encode(points.memory())


def join(parts: Iterable[Decoded]) -> Decoded:
    """Return the points of all parts in order; raises GroupError for none or for parts of different backends."""
    listed = list(parts)
    if not listed or any(part._backend is not listed[0]._backend for part in listed):
        raise GroupError("only points decoded by one backend can be joined, and at least one part of them")
    if sum(map(len, listed)) > MAX_POINTS:
        raise GroupError(f"at most {MAX_POINTS} points at once")
    # A bytearray, because ctypes takes addresses inside nothing that cannot be written.
    data = bytearray().join(part.memory() for part in listed)
    return Decoded(listed[0]._backend, data, 0, sum(map(len, listed)))


def msm(scalars: bytes, points: Decoded) -> bytes:
    """Return the encoding of sum scalar[i] * point[i]; the identity for no points.

    Args:
        scalars: 32 little-endian bytes for each point, below `group.ORDER`; those below 2^128 cost half.
        points: at most 2^24.

    Raises:
        ScalarRefused: names the first scalar that is not below the order.
        GroupError: not as many scalars as points.
    """
    _fitting(scalars, points)
    return points._backend.msm(scalars, points.memory())


def is_identity(scalars: bytes, points: Decoded) -> bool:
    """Say whether sum scalar[i] * point[i] is the identity; the same limits and errors as `msm`."""
    _fitting(scalars, points)
    return points._backend.is_identity(scalars, points.memory())


def decode_ballots(ballots: bytes, count: int, width: int, layout: bytes) -> tuple[Decoded, bytes]:
    """Decode the points of whole ballots with the compiled library, and look at their scalars.

    Args:
        ballots: one after the other.
        count: how many; at least one.
        width: points in each.
        layout: `layout.Layout.items`, which says which words are points.

    Returns:
        All points in order, and a byte for each ballot: 1, or 0 when a point of it is not canonical or the identity
        or a scalar not below the order; its points mean nothing then.

    Raises:
        GroupError: these do not fit together, or there is no compiled library.
    """
    library = _library()
    if not 0 < count * width <= MAX_POINTS:
        raise GroupError(f"at most {MAX_POINTS} points at once, and one ballot or more")
    data, good = library.ballots_open(ballots, count, width, layout)
    return Decoded(library, data, 0, count * width), good


def ballots_hold(
    ballots: bytes, points: Decoded, fixed: Decoded, layout: bytes, challenges: bytes, weights: bytes
) -> bool:
    """Say whether a random combination of the equations of all proofs of some ballots is the identity.

    Args:
        ballots: one after the other.
        points: what `decode_ballots` gave for them.
        fixed: the generator and the election's key.
        layout: as there.
        challenges: 64 bytes of SHA-512 for each ballot.
        weights: 32 random bytes for each branch.

    Raises:
        ScalarRefused: names the ballot whose scalar is not below the order.
        GroupError: these do not fit together, or there is no compiled library.
    """
    library = _library()
    if points._backend is not library or fixed._backend is not library:
        raise GroupError("the points were decoded by another backend")
    return library.ballots_hold(ballots, points.memory(), fixed.memory(), layout, challenges, weights)


def _library() -> Native:
    library = compiled()
    if library is None:
        raise GroupError("there is no compiled library")
    return library


def _count(data: bytes, what: str) -> int:
    if len(data) % 32 or len(data) > 32 * MAX_POINTS:
        raise GroupError(f"{what} have 32 bytes each, and there are at most {MAX_POINTS}")
    return len(data) // 32


def _fitting(scalars: bytes, points: Decoded) -> None:
    if _count(scalars, "scalars") != len(points):
        raise GroupError("one scalar is needed for each point")
