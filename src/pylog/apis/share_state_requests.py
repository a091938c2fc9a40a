"""What the handlers of share state have in common: one step for each partition of a request.

These requests come from the leaders of share partitions and from group coordinators of other
brokers; inside one broker the same steps are taken without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pylog.coordinator.share_state import SharePartitionKey
from pylog.protocol.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from pylog.apis.context import RequestContext
    from pylog.coordinator.effects import Effects, Promise
    from pylog.coordinator.share_state import ShareStateShard

R = TypeVar("R")
StateStep = Callable[["ShareStateShard", SharePartitionKey, "Promise", int], "Effects"]
Tell = Callable[[SharePartitionKey, Any, Any], Awaitable[None]]


class _Topic(Protocol):
    topic_id: bytes
    partitions: list[Any]


class _Request(Protocol):
    group_id: str

    @property
    def topics(self) -> Sequence[_Topic]: ...


@dataclass(frozen=True, slots=True)
class Answers(Generic[R]):
    """How the response of a key is put together: its classes for all, a topic and a partition."""

    response: Callable[..., R]
    topic: Callable[..., Any]
    partition: Callable[..., Any]

    async def of(self, request: _Request, tell: Tell) -> R:
        """``tell(key, asked, answer)`` fills in the answer about one partition, or raises ApiError;
        a request without a group is refused as a whole."""
        if not request.group_id:
            raise ApiError(ErrorCode.INVALID_REQUEST, "Group id can't be empty.")

        async def one(topic_id: bytes, asked: Any) -> Any:
            answer = self.partition(partition=asked.partition)
            try:
                key = SharePartitionKey(request.group_id, topic_id, asked.partition)
                await tell(key, asked, answer)
            except ApiError as error:
                answer.error_code, answer.error_message = error.code, error.message
            return answer

        async def all_of(topic: _Topic) -> Any:
            answers = await asyncio.gather(*(one(topic.topic_id, p) for p in topic.partitions))
            return self.topic(topic_id=topic.topic_id, partitions=list(answers))

        return self.response(
            results=list(await asyncio.gather(*(all_of(topic) for topic in request.topics)))
        )

    def refusing(self, request: _Request, error: ApiError) -> R:
        """Every partition of the request gets this error."""

        def one(asked: Any) -> Any:
            return self.partition(
                partition=asked.partition, error_code=error.code, error_message=error.message
            )

        return self.response(
            results=[
                self.topic(topic_id=topic.topic_id, partitions=[one(p) for p in topic.partitions])
                for topic in request.topics
            ]
        )


async def run(context: RequestContext, key: SharePartitionKey, step: StateStep) -> Any:
    """A step on the state of a share partition; its answer, or ApiError."""
    states = context.broker.coordinators.share_states
    return await states.run(key.text(), lambda shard, promise, now: step(shard, key, promise, now))
