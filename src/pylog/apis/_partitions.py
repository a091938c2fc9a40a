"""What the handlers of partition requests share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

from pylog.cluster.image import PartitionImage
from pylog.engine.partition import Partition
from pylog.engine.values import EngineError
from pylog.protocol.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from pylog.server.broker import Broker

NO_EPOCH = -1


def led_here(
    broker: Broker, topic: str, index: int, current_leader_epoch: int = NO_EPOCH
) -> tuple[Partition, PartitionImage]:
    """A partition that this broker leads, with its state; ApiError when it can't be used.

    ``current_leader_epoch`` is what the client knows: an older one is fenced, a newer one is not
    known here yet (KIP-320); -1 is not compared.
    """
    found = broker.metadata.image.topics.get(topic)
    if found is None or not 0 <= index < len(found.partitions):
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    state = found.partitions[index]
    if current_leader_epoch != NO_EPOCH:
        if current_leader_epoch < state.leader_epoch:
            raise ApiError(ErrorCode.FENCED_LEADER_EPOCH)
        if current_leader_epoch > state.leader_epoch:
            raise ApiError(ErrorCode.UNKNOWN_LEADER_EPOCH)
    if state.leader != broker.node_id:
        raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    partition = broker.partitions.get(topic, index)
    if broker.partitions.is_offline(topic, index):
        raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR)
    if partition is None:  # it is about to be opened
        raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    return partition, state


def code_of(error: ApiError | EngineError) -> ErrorCode:
    """The error code to answer with."""
    return ErrorCode(error.code)


class _OfPartition(Protocol):
    partition_index: int


_Item = TypeVar("_Item", bound=_OfPartition)


def last_of_each(topics: Iterable[tuple[str, Iterable[_Item]]]) -> dict[str, dict[int, _Item]]:
    """What a request asks of partitions, by topic and partition; of each what it asks last."""
    wanted: dict[str, dict[int, _Item]] = {}
    for name, items in topics:
        wanted.setdefault(name, {}).update((item.partition_index, item) for item in items)
    return wanted


def repeated(items: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
    """The partitions that a request names more than once."""
    seen: set[tuple[str, int]] = set()
    twice: set[tuple[str, int]] = set()
    for item in items:
        (twice if item in seen else seen).add(item)
    return twice
