"""Options that every test run knows, wherever it starts."""

# Its pytest plugin would import this in the middle of a run; beside other threads that has ended CPython 3.11 with
# "AST constructor recursion depth mismatch". Here nothing else runs yet.
import hypothesis  # noqa: F401
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--origin``: where the browser tests find the server."""
    parser.addoption(
        "--origin",
        choices=["http", "https"],
        default="http",
        help="browser tests: http = http://localhost, https = https://folkmoot.test under a test authority",
    )
