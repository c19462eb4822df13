"""The AV1 dependency descriptor: which frame a packet belongs to, and whether a receiver can begin there.

Source: RTP payload format for AV1, appendix A.8 (syntax) and A.9 (semantics). It travels in a header extension, so
that key frames are seen even when the payload is sealed end to end.
"""

from __future__ import annotations

from typing import NamedTuple

from folkmoot_media.forwarding.codecs import Descriptor

MANDATORY_BYTES = 3
FRAME_NUMBERS = 1 << 16
# In the byte behind the mandatory ones.
HAS_STRUCTURE = 0x80
MAXIMUM_BYTES = 255
MAXIMUM_TEMPLATES = 64
NEXT_TEMPORAL, NEXT_SPATIAL, NO_MORE = 1, 2, 3


class CutError(ValueError):
    """The bits have run out."""


class Template(NamedTuple):
    """One kind of frame in the stream's structure."""

    spatial: int
    temporal: int
    indications: tuple[int, ...]
    differences: tuple[int, ...]
    chains: tuple[int, ...]


class Structure(NamedTuple):
    """The structure that a key frame announces; sizes are (width, height) by spatial layer, if told."""

    offset: int
    targets: int
    chain_count: int
    protected_by: tuple[int, ...]
    templates: tuple[Template, ...]
    sizes: tuple[tuple[int, int], ...]


class Frame(NamedTuple):
    """What one packet's descriptor says; `structure` is set only where it was in the packet."""

    start: bool
    end: bool
    number: int
    spatial: int
    temporal: int
    indications: tuple[int, ...]
    differences: tuple[int, ...]
    chains: tuple[int, ...]
    active_targets: int | None
    structure: Structure | None

    @property
    def is_key(self) -> bool:
        """True in the first packet of a frame that announces a structure and refers to no other frame."""
        return self.start and self.structure is not None and not self.differences and self.spatial == 0


class _Bits:
    """Reads a byte string from its most significant bit on."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """Return the next `count` bits.

        Raises:
            CutError: when there are not as many.
        """
        if count > self._left:
            raise CutError("descriptor is cut")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def take_below(self, limit: int) -> int:
        """Return a non-symmetric number below `limit` (section A.8.1, ns(n))."""
        width = limit.bit_length()
        short = (1 << width) - limit
        value = self.take(width - 1)
        return value if value < short else (value << 1) - short + self.take(1)


def parse(data: bytes, known: Structure | None) -> Frame | None:
    """Read a descriptor with the structure known so far, or return None when it is cut or refers to nothing known."""
    if not MANDATORY_BYTES <= len(data) <= MAXIMUM_BYTES:
        return None
    try:
        return _parse(_Bits(data), len(data) > MANDATORY_BYTES, known)
    except CutError:
        return None


def _parse(bits: _Bits, extended: bool, known: Structure | None) -> Frame | None:
    start, end, template_id, number = bits.take(1), bits.take(1), bits.take(6), bits.take(16)
    structure, active = None, None
    custom_indications = custom_differences = custom_chains = 0
    if extended:
        has_structure, has_active = bits.take(1), bits.take(1)
        custom_indications, custom_differences, custom_chains = bits.take(1), bits.take(1), bits.take(1)
        if has_structure:
            structure = _parse_structure(bits)
            if structure is None:
                return None
            active = (1 << structure.targets) - 1
        current = structure or known
        if has_active and current is not None:
            active = bits.take(current.targets)
    current = structure or known
    if current is None:
        return None
    index = (template_id + MAXIMUM_TEMPLATES - current.offset) % MAXIMUM_TEMPLATES
    if index >= len(current.templates):
        return None
    template = current.templates[index]
    indications, differences, chains = template.indications, template.differences, template.chains
    if custom_indications:
        indications = tuple(bits.take(2) for _ in range(current.targets))
    if custom_differences:
        differences = _take_differences(bits)
    if custom_chains:
        chains = tuple(bits.take(8) for _ in range(current.chain_count))
    return Frame(
        bool(start),
        bool(end),
        number,
        template.spatial,
        template.temporal,
        indications,
        differences,
        chains,
        active,
        structure,
    )


def _take_differences(bits: _Bits) -> tuple[int, ...]:
    found = []
    while size := bits.take(2):
        found.append(bits.take(4 * size) + 1)
    return tuple(found)


def _parse_structure(bits: _Bits) -> Structure | None:
    offset, targets = bits.take(6), bits.take(5) + 1
    layers = _take_layers(bits)
    if layers is None:
        return None
    indications = [tuple(bits.take(2) for _ in range(targets)) for _ in layers]
    differences = [_take_template_differences(bits) for _ in layers]
    chain_count = bits.take_below(targets + 1)
    protected: tuple[int, ...] = ()
    chains: list[tuple[int, ...]] = [() for _ in layers]
    if chain_count:
        protected = tuple(bits.take_below(chain_count) for _ in range(targets))
        chains = [tuple(bits.take(4) for _ in range(chain_count)) for _ in layers]
    sizes: tuple[tuple[int, int], ...] = ()
    if bits.take(1):
        spatial_layers = layers[-1][0] + 1
        sizes = tuple((bits.take(16) + 1, bits.take(16) + 1) for _ in range(spatial_layers))
    templates = tuple(
        Template(spatial, temporal, *rest)
        for (spatial, temporal), *rest in zip(layers, indications, differences, chains, strict=True)
    )
    return Structure(offset, targets, chain_count, protected, templates, sizes)


def _take_layers(bits: _Bits) -> list[tuple[int, int]] | None:
    spatial = temporal = 0
    layers: list[tuple[int, int]] = []
    while True:
        layers.append((spatial, temporal))
        if len(layers) > MAXIMUM_TEMPLATES:
            return None
        following = bits.take(2)
        if following == NO_MORE:
            return layers
        if following == NEXT_TEMPORAL:
            temporal += 1
        elif following == NEXT_SPATIAL:
            spatial, temporal = spatial + 1, 0


def _take_template_differences(bits: _Bits) -> tuple[int, ...]:
    found = []
    while bits.take(1):
        found.append(bits.take(4) + 1)
    return tuple(found)


class Dependencies:
    """The structure of one stream, and what its descriptors say of key frames."""

    __slots__ = ("_structure",)

    def __init__(self) -> None:
        self._structure: Structure | None = None

    def describe(self, data: bytes, otherwise: Descriptor, last: int) -> Descriptor:
        """Return what the descriptor says, its frame number as the picture's.

        Of key frames `otherwise` (from the payload) tells when it cannot be read; without a number it is the `last`.
        """
        number = last if len(data) < MANDATORY_BYTES else data[1] << 8 | data[2]
        frame = parse(data, self._structure)
        if frame is None:
            return Descriptor(0, otherwise.key_frame_start, -1, False, number, -1, 0)
        if frame.structure is not None:
            self._structure = frame.structure
        return Descriptor(0, frame.is_key, -1, False, number, -1, 0)
