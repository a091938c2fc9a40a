"""Producer ids, unique in the cluster: blocks are taken from the metadata store, ids from a block.

A block that a broker did not use up before it stopped is lost; there are 2^63 ids.
"""

from __future__ import annotations

import asyncio

from pylog.cluster.store import Conflict, Store, Write
from pylog.protocol.errors import ApiError, ErrorCode

_KEY = "producer-ids"
_BLOCK_SIZE = 1_000
_ATTEMPTS = 10


async def leave_out(store: Store, last: int) -> None:
    """Never give out ids up to this one: logs from elsewhere have them. Conflict."""
    entry = (await store.read(_KEY)).entries.get(_KEY)
    if entry is None or int(entry.value) <= last:
        modified = entry.modified if entry is not None else 0
        await store.commit([Write(_KEY, b"%d" % (last + 1), modified)])


class ProducerIds:
    """``await ready()``, then ``take()`` as a plain call: a coordinator's step may not wait."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next = 0
        self._end = 0
        self._lock = asyncio.Lock()

    async def take_one(self) -> int:
        await self.ready()
        return self.take()

    async def ready(self) -> None:
        """Make sure that the next :meth:`take` finds an id."""
        if self._next < self._end:
            return
        async with self._lock:
            if self._next == self._end:
                self._next = await self._reserve()
                self._end = self._next + _BLOCK_SIZE

    def take(self) -> int:
        if self._next == self._end:  # others took the block since ready(); the client tries again
            raise ApiError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        self._next += 1
        return self._next - 1

    async def _reserve(self) -> int:
        for _ in range(_ATTEMPTS):
            snapshot = await self._store.read(_KEY)
            entry = snapshot.entries.get(_KEY)
            first = int(entry.value) if entry is not None else 0
            modified = entry.modified if entry is not None else 0
            try:
                await self._store.commit([Write(_KEY, b"%d" % (first + _BLOCK_SIZE), modified)])
            except Conflict:
                continue
            return first
        raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
