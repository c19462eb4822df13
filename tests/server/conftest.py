"""The hall in which the tests of votes begin."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.server import votes_support


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[votes_support.Hall]:
    """A running server on which everybody has enrolled."""
    async with votes_support.enrolled(tmp_path) as running:
        yield running
