"""Options that every test run knows, wherever it starts."""

from typing import Any

# Its pytest plugin would import this in the middle of a run; beside other threads that has ended CPython 3.11 with
# "AST constructor recursion depth mismatch". Here nothing else runs yet.
import hypothesis  # noqa: F401
import pytest
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache

# A quarter of the processor time of tests/server went into compiling the same statements for every fresh engine.
# What was compiled depends on the kind of database alone, so all engines of this process may share it.
_COMPILED: Any = LRUCache(4_000)


def _keep_compiled_statements() -> None:
    SQLiteDialect.__hash__ = lambda self: hash(type(self))
    SQLiteDialect.__eq__ = lambda self, other: type(self) is type(other)
    Engine._compiled_cache = property(lambda _: _COMPILED, lambda *_: None)


_keep_compiled_statements()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--origin``: where the browser tests find the server."""
    parser.addoption(
        "--origin",
        choices=["http", "https"],
        default="http",
        help="browser tests: http = http://localhost, https = https://folkmoot.test under a test authority",
    )
