"""Seeded mutations of what a stranger may send over a TCP connection to the media worker (RFC 4571)."""

from __future__ import annotations

from tests.media.support import Dice, mutate

from folkmoot_media.transport.framing import LARGEST_FRAME, Frames, frame

MOST_FRAMES = 6
LONGEST_PIECE = 700
HEAD = 2


class Framing:
    """Streams of frames with faults, cut into pieces as the network likes.

    Whatever the pieces are, the datagrams are those that a reader of the whole stream finds, in which nothing
    follows a frame that is too long, and less than one frame is kept.
    """

    def __init__(self, dice: Dice) -> None:
        self.dice = dice

    def make(self) -> bytes:
        """Return a stream: frames of any length, empty ones too, most with faults, now and then one too long."""
        dice, stream = self.dice, b""
        for _ in range(1 + dice.below(MOST_FRAMES)):
            size = dice.below(40) if dice.below(4) else dice.below(LARGEST_FRAME + 1)
            stream += frame(dice.bytes(size))
            if dice.below(30) == 0:
                stream += (LARGEST_FRAME + 1 + dice.below(65_535 - LARGEST_FRAME)).to_bytes(HEAD, "big")
        return mutate(stream, dice) if dice.below(4) else stream

    def take(self, made: bytes) -> str:
        """Feed the stream in pieces.

        Raises:
            AssertionError: the datagrams are not those in the stream, or too much is kept.
        """
        frames, found, refused, fed = Frames(), list[bytes](), False, 0
        while fed < len(made) and not refused:
            size = 1 + self.dice.below(3 if self.dice.below(3) == 0 else LONGEST_PIECE)
            try:
                found += frames.feed(made[fed : fed + size])
            except ValueError:
                refused = True
            fed += size
            assert len(frames._rest) < HEAD + LARGEST_FRAME, "more than a frame is kept"
        expected, sound = read(made)
        assert refused is not sound, "a frame that is too long decides whether the stream is refused"
        # Of the piece in which the stream is refused nothing is handed on.
        assert found == expected[: len(found)] if refused else found == expected, "the datagrams are others"
        return "refused" if refused else "taken"


def read(stream: bytes) -> tuple[list[bytes], bool]:
    """Return the datagrams of a whole stream up to the first frame that is too long, and whether there is none."""
    found: list[bytes] = []
    while len(stream) >= HEAD:
        length = stream[0] * 256 + stream[1]
        if length > LARGEST_FRAME:
            return found, False
        datagram, stream = stream[HEAD : HEAD + length], stream[HEAD + length :]
        if len(datagram) < length:
            break
        if datagram:
            found.append(datagram)
    return found, True
