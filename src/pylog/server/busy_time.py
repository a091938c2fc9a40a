"""How long a request has kept the control plane busy, which is less than how long it took."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class BusyTime(Generic[T]):
    """Awaits a coroutine; ``busy_ns`` is the time of its steps, without what it waited for."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self.busy_ns = 0

    def __await__(self) -> Generator[Any, Any, T]:
        error: BaseException | None = None
        while True:
            try:
                waited_for = self._step(error)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                error = None
                yield waited_for
            except BaseException as thrown:
                error = thrown

    def _step(self, error: BaseException | None) -> Any:
        began_ns = time.perf_counter_ns()
        try:
            if error is None:
                return self._coroutine.send(None)
            return self._coroutine.throw(error)
        finally:
            self.busy_ns += time.perf_counter_ns() - began_ns
