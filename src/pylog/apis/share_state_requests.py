"""What the handlers of share state have in common: one step for each partition of a request.

These requests come from the leaders of share partitions and from group coordinators of other
brokers; inside one broker the same steps are taken without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pylog.coordinator.share_state import SharePartitionKey
from pylog.protocol.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from pylog.apis.context import RequestContext
    from pylog.coordinator.effects import Effects, Promise
    from pylog.coordinator.share_state import ShareStateShard

R = TypeVar("R")
StateStep = Callable[["ShareStateShard", SharePartitionKey, "Promise", int], "Effects"]


class _Topic(Protocol):
    topic_id: bytes
    partitions: list[Any]


async def for_each_partition(
    group_id: str,
    topics: Sequence[_Topic],
    answer: Callable[[SharePartitionKey, Any], Awaitable[R]],
) -> list[tuple[bytes, list[R]]]:
    """The answers about the partitions of each topic."""
    if not group_id:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Group id can't be empty.")

    async def one(topic: _Topic) -> tuple[bytes, list[R]]:
        answers = await asyncio.gather(
            *(
                answer(SharePartitionKey(group_id, topic.topic_id, item.partition), item)
                for item in topic.partitions
            )
        )
        return topic.topic_id, list(answers)

    return list(await asyncio.gather(*(one(topic) for topic in topics)))


async def run(context: RequestContext, key: SharePartitionKey, step: StateStep) -> Any:
    """A step on the state of a share partition; its answer, or ApiError."""
    states = context.broker.coordinators.share_states
    return await states.run(key.text(), lambda shard, promise, now: step(shard, key, promise, now))
