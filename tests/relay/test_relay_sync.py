"""What a relay writes down of what the hub says."""

import logging
from pathlib import Path

import pytest
from tests.relay.small import small_node

from folkmoot_server.relay.sync import Sync


@pytest.mark.parametrize("count", [1, 3])
async def test_the_log_tells_how_many_entries_were_refused_and_not_why(
    count: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with small_node(tmp_path) as node:
        refused = [{"seq": seq, "code": "voting.ballot-seq"} for seq in range(1, count + 1)]
        with caplog.at_level(logging.DEBUG):
            await Sync(node, tuple)._outcome({"refused": refused})
        assert f"relay.entries-refused count={count}" in caplog.text
        assert "voting" not in caplog.text
