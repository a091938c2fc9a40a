"""Opening the logs of a data folder that was not closed in order: each has to be scanned.

That may take minutes. It goes on while the broker serves what is open already, a few logs at a
time, and tells how far it has come.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from pylog.engine.engine import Engine
from pylog.engine.partition import OpenedLog
from pylog.engine.values import PartitionSpec

_log = logging.getLogger(__name__)

_TELL_S: Final = 2.0
_MB: Final = 1e6


class Recovery:
    """Opens the logs of one data folder, ``parallel`` at a time."""

    def __init__(
        self,
        engine: Engine,
        specs: Sequence[PartitionSpec],
        parallel: int,
        on_opened: Callable[[OpenedLog], None],
    ) -> None:
        self._engine = engine
        self._specs = specs
        self._parallel = parallel
        self._on_opened = on_opened
        self._done = 0
        self._bytes = 0
        self._began = time.monotonic()

    async def run(self) -> None:
        """Returns when each log is open, or could not be opened."""
        teller = asyncio.create_task(self._tell_often(), name="recovery progress")
        try:
            await self._engine.open_partitions(
                self._specs, parallel=self._parallel, on_opened=self._take
            )
        finally:
            teller.cancel()
        self._tell()

    def _take(self, opened: OpenedLog) -> None:
        self._done += 1
        self._bytes += opened.bytes_scanned
        self._on_opened(opened)

    async def _tell_often(self) -> None:
        while True:
            await asyncio.sleep(_TELL_S)
            self._tell()

    def _tell(self) -> None:
        elapsed_s = time.monotonic() - self._began
        _log.info(
            "recovered %d of %d logs, %.1f MB scanned in %.1f s",
            *(self._done, len(self._specs), self._bytes / _MB, elapsed_s),
        )
