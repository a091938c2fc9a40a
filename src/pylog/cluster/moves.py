"""Moves of logs between the data folders of this broker (KIP-113), one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from pylog.log.layout import DataFolder
from pylog.log.moving import LogCopy

_log = logging.getLogger(__name__)

Key = tuple[str, int]  # topic, partition
# A log is closed for the last part of its copy. That part is small, unless the log grows faster
# than it is copied.
_LAST_BYTES: Final = 4 << 20
_PASSES: Final = 10


class Moves:
    """What is moved where.

    ``switch(key, target, copy)`` closes a log, finishes the copy and opens it there.
    """

    def __init__(self, switch: Callable[[Key, DataFolder, LogCopy], Awaitable[None]]) -> None:
        self._switch = switch
        self._targets: dict[Key, DataFolder] = {}
        self._one_by_one = asyncio.Lock()

    @property
    def targets(self) -> Mapping[Key, DataFolder]:
        """Where the logs go that are being moved, or wait for that."""
        return self._targets

    def cancel(self, key: Key) -> None:
        """A log is to stay where it is."""
        self._targets.pop(key, None)

    def cancel_all(self) -> None:
        """The broker ends."""
        self._targets.clear()

    async def move(self, key: Key, source: DataFolder, target: DataFolder) -> None:
        """Returns when the log is at its target, or stays where it is."""
        self._targets[key] = target
        try:
            async with self._one_by_one:
                await self._move(key, Path(source.log_folder(*key)), target)
            _log.info("log moved", extra={"log": f"{key[0]}-{key[1]}", "to": str(target.path)})
        except OSError as error:
            _log.error("log not moved", extra={"error": str(error)})
        finally:
            if self._targets.get(key) is target:
                del self._targets[key]

    async def _move(self, key: Key, source: Path, target: DataFolder) -> None:
        copy = await asyncio.to_thread(LogCopy, source, target)
        try:
            for _ in range(_PASSES):
                if self._targets.get(key) is not target:
                    raise OSError("the move is cancelled")
                if await asyncio.to_thread(copy.catch_up) < _LAST_BYTES:
                    break
            await self._switch(key, target, copy)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(copy.discard))
            raise
