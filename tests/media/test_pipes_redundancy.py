"""Redundancy on a pipe, in virtual time: what it repairs, and where it is left out."""

from typing import Any

import pytest
from tests.media.piped_rooms import Listener, Microphone, joined, missing_share, with_film

# Link in bit/s, payload bytes and packet time of the voice, whether a picture fills what the voice leaves. On
# 128 kbit/s it is the voice of a page that sends by profile 128; what a larger one gets there is tested below.
LOSSY_LINKS = [(512_000, 60, 20, False), (128_000, 120, 60, False), (128_000, 120, 60, True)]


@pytest.mark.parametrize(("rate", "size", "ptime", "filled"), LOSSY_LINKS)
@pytest.mark.parametrize(("loss", "burst", "most"), [(0.1, 1.0, 0.015), (0.1, 3.0, 0.04), (0.2, 1.0, 0.02)])
def test_redundancy_repairs_what_a_lossy_link_takes_and_control_without_it_gaps_stay(
    loss: float, burst: float, most: float, rate: float, size: int, ptime: int, filled: bool
) -> None:
    shares = []
    ways: list[dict[str, Any]] = [{}, {"redundancy": []}]
    for options in ways:
        world = joined(rate, 0.3, **options)
        bela = Microphone(world, world.hub, "bela", 6000, size=size, ptime=ptime)
        world.mirror(world.hub, bela.producer_id)
        far = Listener(world, world.site, "lan", 7000)
        far.hear()
        if filled:
            far.watch(with_film(world).producer_id)
        world.run(10.0)
        for link in (world.to_site, world.to_hub):
            link.loss, link.burst = loss, burst
        world.run(5.0)
        shares.append(missing_share(world, bela, far, 60.0))
    repaired, bare = shares
    assert repaired <= most
    assert bare > 0.7 * loss


@pytest.mark.parametrize(("size", "ptime", "chosen"), [(120, 60, [1, 4]), (60, 20, [1]), (80, 20, [])])
def test_redundancy_that_would_crowd_a_thin_link_is_left_out(size: int, ptime: int, chosen: list[int]) -> None:
    """On 128 kbit/s that a picture fills: 16 kbit/s in 60 ms gets both copies, 32 in 20 ms none."""
    world = joined(128_000, 0.3)
    bela = Microphone(world, world.hub, "bela", 6000, size=size, ptime=ptime)
    world.mirror(world.hub, bela.producer_id)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    far.watch(with_film(world).producer_id)
    world.run(10.0)
    world.to_site.loss = 0.1
    world.run(20.0)
    assert world.hub.call("pipe.stats", pipe_id="p")["redundancy"] == chosen
