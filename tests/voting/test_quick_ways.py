"""Quick ways of `encoding` give what the slow ones give; the face of the compiled check refuses what is odd."""

from __future__ import annotations

import json
import random  # noqa: TID251  # seeded test data, no secrets
from typing import Any

import pytest
import rfc8785
from tests.voting.multiexp_support import bring_up_to_date
from tests.voting.test_multiexp_ballots import election

from folkmoot_voting import encoding, group, multiexp
from folkmoot_voting.errors import EncodingError, GroupError
from folkmoot_voting.layout import layout_of
from folkmoot_voting.multiexp import ScalarRefused

PIECES = (
    "a", "é", "e\u0301", "\U0001f600", "\ue000", "\uffff", "\ud800", "null", '"', "\\", "\n", "\x7f", "\u2028",
    "1234567890123456",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2**53 - 1, 2**53, -(2**53), 999_999_999_999_999, 10**16, True, False)


def value(rng: random.Random, depth: int = 0) -> Any:
    """Return a value of section 1, or nearly so."""
    kind = rng.random()
    if depth > 18 or kind < 0.3:
        return "".join(rng.choices(PIECES, k=rng.randrange(4)))
    if kind < 0.53:
        return rng.choice((None, 1.5, 1.0)) if kind > 0.5 else rng.choice(NUMBERS)
    if kind < 0.75:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {"".join(rng.choices(PIECES, k=rng.randrange(3))): value(rng, depth + 1) for _ in range(rng.randrange(4))}


def spoiled(rng: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    place = rng.randrange(len(changed))
    if rng.random() < 0.5:
        changed[place] = rng.choice(b'0129"{}[],:eE.-+\\ nul')
    else:
        changed[place:place] = raw[max(0, place - rng.randrange(1, 6)) : place]
    return bytes(changed)


def found(raw: bytes) -> tuple[bool, str]:
    try:
        return True, repr(encoding.strict_json(raw))
    except EncodingError:
        return False, ""


def test_canonical_json_is_that_of_the_reference() -> None:
    rng = random.Random(1)
    spelled = 0
    for _ in range(3000):
        one = value(rng)
        try:
            raw = encoding.jcs(one)
        except EncodingError:
            continue
        assert raw == rfc8785.dumps(one)
        spelled += 1
    assert spelled > 1000
    # The control: names that UTF-16 and Unicode order differently.
    odd = {"\uffff": 1, "\U0001f600": 2}
    assert encoding.jcs(odd) == rfc8785.dumps(odd) == '{"\U0001f600":2,"\uffff":1}'.encode()
    assert json.dumps(odd, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() != encoding.jcs(odd)


# Numbers about 2^53 wherever a number may stand, and text that looks like one.
LONG = (b"9007199254740991", b"9007199254740992", b"99999999999999999", b"999999999999999", b"1" * 40)
SIGNS = (b"", b"-")
BRACKETS = (
    (b"[", b"]"), (b"[1,", b",2]"), (b'{"a":', b"}"), (b'{"a":[', b"]}"), (b"", b""), (b"[ ", b"]"), (b'["', b'"]'),
)  # fmt: skip


def test_the_quick_way_of_reading_accepts_what_the_slow_one_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(2)
    inputs = [b"[" * depth + b"]" * depth for depth in range(14, 20)]
    inputs += [b'{"a":1,"a":1}', b"1.0", b"[null]", b'["null"]', b"9007199254740993", b'"\\ud83d\\ude00"']
    inputs += [before + sign + number + after for before, after in BRACKETS for sign in SIGNS for number in LONG]
    for _ in range(3000):
        raw = json.dumps(value(rng), ensure_ascii=rng.random() < 0.3, sort_keys=True, separators=(",", ":"))
        inputs.append(raw.encode("utf-8", "surrogatepass"))
        inputs.append(spoiled(rng, inputs[-1]))
    quick = [found(raw) for raw in inputs]
    assert 1000 < sum(good for good, _ in quick) < 5000
    monkeypatch.setattr(encoding, "_is_doubtful", lambda _: True)
    assert quick == [found(raw) for raw in inputs]


def test_base64url_has_one_spelling() -> None:
    rng = random.Random(3)
    for size in range(70):
        data = rng.randbytes(size)
        text = encoding.b64u(data)
        assert encoding.unb64u(text) == data
        others = [text + "=", text + "A", text + "\n", text[:-1] + "é", text[:-1] + "+"]
        if size % 3:
            others += [text[:-1] + one for one in encoding._URL_SAFE.decode() if one != text[-1]]
        for other in others:
            try:
                assert encoding.b64u(encoding.unb64u(other)) == other != text
            except EncodingError:
                continue


def test_ballots_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOLKMOOT_NO_NATIVE", raising=False)
    bring_up_to_date()
    manifest, ballots = election()
    layout = layout_of(manifest.questions)
    raw = b"".join(ballots[0].choices)
    width, items = layout.points, layout.items
    if multiexp.available():
        points, good = multiexp.decode_ballots(raw, 1, width, items)
        assert good == b"\x01"
        assert multiexp.encode(points) == b"".join(layout.encodings(raw))
        fixed, rest = multiexp.decode(group.BASE + manifest.key), (items, bytes(64), bytes(32 * layout.branches))
        # Weights of nothing hold for any ballot; the control for what is refused below.
        assert multiexp.ballots_hold(raw, points, fixed, *rest)
        beyond = raw[:-32] + group.ORDER.to_bytes(32, "little")
        assert multiexp.decode_ballots(beyond, 1, width, items)[1] == b"\x00"
        with pytest.raises(ScalarRefused):
            multiexp.ballots_hold(beyond, points, fixed, *rest)
        for odd in ((raw[:-1], 1, width, items), (raw, 2, width, items), (raw, 1, width, items[:-4])):
            with pytest.raises(GroupError, match="answered -1"):
                multiexp.decode_ballots(*odd)
        with pytest.raises(GroupError, match="one ballot or more"):
            multiexp.decode_ballots(b"", 0, width, items)
    monkeypatch.setenv("FOLKMOOT_NO_NATIVE", "1")
    with pytest.raises(GroupError, match="no compiled library"):
        multiexp.decode_ballots(raw, 1, width, items)
