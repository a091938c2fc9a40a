"""Fixtures of the proof against Kafka's message classes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.wire.oracle import Oracle, missing_tool


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """Kafka's classes in one Java process."""
    tool = missing_tool()
    if tool is not None:
        pytest.skip(f"needs {tool}")
    process = Oracle()
    yield process
    process.close()
