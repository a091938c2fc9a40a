"""Waiting for a state with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(
    probe: Callable[[], Value],
    timeout_s: float = 60.0,
    interval_s: float = 0.05,
    ignoring: type[Exception] = AssertionError,
) -> Value:
    """Calls `probe` until it returns something true, and returns that.

    An exception of the kind `ignoring` counts as false; at the deadline the last one is raised,
    else a TimeoutError with what the probe returned last.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        failure = None
        value = None
        try:
            value = probe()
        except ignoring as error:
            failure = error
        if failure is None and value:
            return value
        if time.monotonic() > deadline:
            raise failure or TimeoutError(f"not within {timeout_s} s; last: {value!r}")
        time.sleep(interval_s)
