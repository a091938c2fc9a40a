"""Keeps ``__share_group_state`` short: records that no load needs are deleted (KIP-932).

The topic is not compacted, since an update does not replace the one before it. From time to time
each partition is cut below the first snapshot that counts; where one that seldom changes holds
that up, it is written again first.
"""

from __future__ import annotations

import asyncio
import logging

from pylog.coordinator.runtime import ShardHost
from pylog.coordinator.shards import Shards
from pylog.coordinator.share_state import ShareStateShard
from pylog.engine.values import EngineError
from pylog.protocol.errors import ApiError

_log = logging.getLogger(__name__)


class StatePruner:
    """Prunes all partitions that this broker leads, every ``interval_ms``."""

    def __init__(self, states: Shards[ShareStateShard], interval_ms: int) -> None:
        self._states = states
        self._interval_ms = interval_ms
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="prune share states")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_ms / 1000)
            for host in list(self._states.hosts()):
                try:
                    await prune(host)
                except (ApiError, EngineError) as error:  # it is tried again next time
                    _log.debug("share states were not pruned: %s", error)


async def prune(host: ShardHost[ShareStateShard]) -> None:
    """ApiError, EngineError when the shard or its partition can't be used now."""
    end_offset = host.end_offset()
    usual: int = host.look(lambda shard: shard.usual_length())
    needed: int = host.look(lambda shard: shard.lowest_needed(end_offset))
    if end_offset - needed > usual:
        await host.run(
            lambda shard, promise, now: shard.renew_snapshots(end_offset - usual, promise, now)
        )
        needed = host.look(lambda shard: shard.lowest_needed(end_offset))
    await host.delete_below(min(needed, end_offset))
