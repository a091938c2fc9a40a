"""The shards of one internal topic that this broker leads, found by group or transactional id."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pylog.coordinator.effects import Shard
from pylog.coordinator.records import RecordSchema
from pylog.coordinator.runtime import Partition, ShardHost, Step, partition_of
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records.types import Row

if TYPE_CHECKING:
    from pylog.cluster.image import Image, TopicImage

_log = logging.getLogger(__name__)

S = TypeVar("S", bound=Shard)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _no_orders(order: Any) -> None:
    raise AssertionError(f"nobody carries out {order!r}")


class Shards(Generic[S]):
    """Starts and stops hosts as the image says who leads; routes steps to them."""

    def __init__(
        self,
        topic: str,
        types: Mapping[int, Row],
        new_shard: Callable[[], S],
        node_id: int,
        find_partition: Callable[[str, int], Partition | None],
        create_topic: Callable[[str], Awaitable[object]],
        carry_out: Callable[[Any], None] = _no_orders,
    ) -> None:
        self.topic = topic
        self._schema = RecordSchema(types)
        self._new_shard = new_shard
        self._node_id = node_id
        self._find_partition = find_partition
        self._create_topic = create_topic
        self._carry_out = carry_out
        self._image: TopicImage | None = None
        self._hosts: dict[int, ShardHost[S]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._creating = asyncio.Lock()

    # ---- life ----

    def follow(self, image: Image) -> None:
        """Take up the partitions that this broker leads now, and let go of the others."""
        self._image = image.topics.get(self.topic)
        partitions = self._image.partitions if self._image is not None else ()
        led = {i for i, partition in enumerate(partitions) if partition.leader == self._node_id}
        for index in self._hosts.keys() - led:
            task = asyncio.create_task(self._hosts.pop(index).close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        for index in sorted(led - self._hosts.keys()):
            self._hosts[index] = self._new_host(index)
            self._hosts[index].start()

    def _new_host(self, index: int) -> ShardHost[S]:
        return ShardHost(
            lambda: self._find_partition(self.topic, index),
            self._schema,
            self._new_shard,
            wall_ms,
            f"{self.topic}-{index}",
            self._carry_out,
        )

    async def stop(self) -> None:
        hosts = list(self._hosts.values())
        self._hosts.clear()
        await asyncio.gather(*(host.close() for host in hosts), *self._closing)

    async def prepare(self, key: str) -> int:
        """Who coordinates ``key``: makes the topic when it is missing, waits for a shard of ours.

        Returns the leader's broker id; COORDINATOR_NOT_AVAILABLE when there is none, or its log is
        offline.
        """
        if self._image is None:
            async with self._creating:
                if self._image is None:
                    await self._create_topic(self.topic)
        if self._image is None:
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        index = self.index_of(key)
        host = self._hosts.get(index)
        if host is not None and not host.offline:
            await host.loaded()
        leader = self._image.partitions[index].leader
        if leader < 0 or (host is not None and host.offline):
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return leader

    # ---- steps ----

    @property
    def exist(self) -> bool:
        """Whether the topic has been made: it is when the first coordinator is asked for."""
        return self._image is not None

    def index_of(self, key: str) -> int:
        if self._image is None:
            raise ApiError(ErrorCode.NOT_COORDINATOR)
        return partition_of(key, len(self._image.partitions))

    def leader_epoch_of(self, key: str) -> int:
        """Of the partition that ``key`` belongs to: the epoch of its coordinator."""
        index = self.index_of(key)
        assert self._image is not None
        return self._image.partitions[index].leader_epoch

    def host_of(self, key: str) -> ShardHost[S]:
        return self.host(self.index_of(key))

    def host(self, index: int) -> ShardHost[S]:
        host = self._hosts.get(index)
        if host is None:
            raise ApiError(ErrorCode.NOT_COORDINATOR)
        return host

    def hosts(self) -> Iterable[ShardHost[S]]:
        """Those that coordinate: whose logs are not offline."""
        return [host for host in self._hosts.values() if not host.offline]

    async def run(self, key: str, step: Step[S]) -> Any:
        """Run a step where ``key`` belongs; the answer, or ApiError."""
        return await self.host_of(key).run(step)

    def start_all(self, step: Step[S]) -> None:
        """Run a step on every shard that is loaded, and wait for none."""
        for host in self._hosts.values():
            with contextlib.suppress(ApiError):
                host.run(step).add_done_callback(_log_failure)


def _log_failure(promise: asyncio.Future[Any]) -> None:
    if not promise.cancelled() and promise.exception() is not None:
        _log.warning("a step on every shard failed on one: %s", promise.exception())
