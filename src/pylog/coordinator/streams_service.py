"""Streams groups on one broker: what the handlers of their API keys talk to (KIP-1071).

Tells the coordinator the settings of a group, and makes the internal topics that a topology needs:
the heartbeat that finds them missing does not wait for them, the next one finds them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from pylog.cluster.topics import NewTopic
from pylog.config import Source
from pylog.coordinator.group_base import Client
from pylog.coordinator.group_streams import StreamsSettings
from pylog.coordinator.streams_answers import StreamsBeat
from pylog.coordinator.streams_topology import InternalTopic
from pylog.options import GROUP
from pylog.protocol.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from pylog.coordinator.group import GroupShard
    from pylog.coordinator.shards import Shards
    from pylog.protocol.messages.streams_group_heartbeat import StreamsGroupHeartbeatRequest
    from pylog.server.broker import Broker

_log = logging.getLogger(__name__)

_BY_DEFAULT = -1  # number of replicas


class StreamsGroupService:
    """Lives from the start of the coordinators to their stop."""

    def __init__(self, broker: Broker, groups: Shards[GroupShard]) -> None:
        self._broker = broker
        self._groups = groups
        self._being_made: set[str] = set()
        self._failures: dict[str, tuple[float, str]] = {}  # why, and until when it is told
        self._tasks: set[asyncio.Task[None]] = set()

    def settings(self, group_id: str) -> StreamsSettings:
        """What holds for a group."""
        config = self._broker.config
        own = self._broker.metadata.image.config("group", group_id)

        def value(name: str) -> object:
            return config.resource_value(GROUP[f"streams.{name}"], own, Source.GROUP)

        def number(name: str) -> int:
            return cast(int, value(name))

        return StreamsSettings(
            session_timeout_ms=number("session.timeout.ms"),
            heartbeat_interval_ms=number("heartbeat.interval.ms"),
            max_size=config.integer("group.streams.max.size"),
            standby_replicas=number("num.standby.replicas"),
            initial_rebalance_delay_ms=number("initial.rebalance.delay.ms"),
            assignment_interval_ms=number("assignment.interval.ms"),
            rack_aware_tags=tuple(cast(list[str], value("rack.aware.assignment.tags"))),
        )

    async def heartbeat(self, request: StreamsGroupHeartbeatRequest, client: Client) -> StreamsBeat:
        beat = await self._groups.run(
            request.group_id,
            lambda shard, promise, now: shard.streams_heartbeat(request, client, promise, now),
        )
        assert isinstance(beat, StreamsBeat)
        return beat

    # ---- internal topics ----

    def make(self, topics: Iterable[InternalTopic], remembered_ms: int) -> None:
        """Begin to make what is not being made; a failure is told, and not tried again, so long."""
        now = asyncio.get_running_loop().time()
        self._failures = {name: f for name, f in self._failures.items() if f[0] > now}
        known = self._being_made | self._failures.keys()
        wanted = [topic for topic in topics if topic.name not in known]
        if not wanted:
            return
        self._being_made.update(topic.name for topic in wanted)
        task = asyncio.create_task(self._make(wanted, remembered_ms / 1000))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def failures(self, topics: Iterable[InternalTopic]) -> Mapping[str, str]:
        """Why these could not be made, by name, of those that could not."""
        return {
            topic.name: self._failures[topic.name][1]
            for topic in topics
            if topic.name in self._failures
        }

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _make(self, topics: list[InternalTopic], remembered: float) -> None:
        try:
            results = await self._broker.topics.create([_new(topic) for topic in topics])
        except ApiError as error:
            results = [error] * len(topics)
        finally:
            self._being_made.difference_update(topic.name for topic in topics)
        until = asyncio.get_running_loop().time() + remembered
        for topic, result in zip(topics, results, strict=True):
            if isinstance(result, ApiError) and result.code != ErrorCode.TOPIC_ALREADY_EXISTS:
                reason = result.message or result.code.name
                self._failures[topic.name] = (until, reason)
                _log.warning("internal topic %s of a topology not made: %s", topic.name, reason)


def _new(topic: InternalTopic) -> NewTopic:
    return NewTopic(
        topic.name,
        topic.partitions,
        topic.replication_factor or _BY_DEFAULT,
        configs=dict(topic.configs),
    )
