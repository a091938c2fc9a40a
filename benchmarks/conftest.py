"""Fixtures of the benchmarks of the pieces."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

NoteRate = Callable[[int], None]


@pytest.fixture
def note_rate(benchmark: BenchmarkFixture) -> NoteRate:
    """To be called with the bytes of one round: puts bytes per second beside the times."""

    def note(size: int) -> None:
        if benchmark.stats is not None:
            benchmark.extra_info["bytes_per_s"] = round(size / benchmark.stats.stats.median)

    return note
