"""The time that a request keeps the control plane busy."""

from __future__ import annotations

import asyncio
import time

import pytest

from pylog.server.busy_time import BusyTime


def compute(milliseconds: int) -> None:
    end = time.perf_counter_ns() + milliseconds * 1_000_000
    while time.perf_counter_ns() < end:
        pass


async def test_only_the_steps_count_and_not_what_is_waited_for() -> None:
    going_on = asyncio.Event()

    async def serve() -> str:
        compute(5)
        await going_on.wait()
        compute(5)
        return "answer"

    work = BusyTime(serve())
    asyncio.get_running_loop().call_later(0.2, going_on.set)
    began_ns = time.perf_counter_ns()
    assert await work == "answer"
    took_ns = time.perf_counter_ns() - began_ns
    assert 10_000_000 <= work.busy_ns < took_ns - 100_000_000


async def test_errors_and_cancellation_pass_through() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await BusyTime(fail())

    cleaned = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    async def awaiting() -> None:
        await BusyTime(wait())

    task = asyncio.create_task(awaiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()
