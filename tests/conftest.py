"""Options that every test run knows, wherever it starts."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--origin``: where the browser tests find the server."""
    parser.addoption(
        "--origin",
        choices=["http", "https"],
        default="http",
        help="browser tests: http = http://localhost, https = https://folkmoot.test under a test authority",
    )
