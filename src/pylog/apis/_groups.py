"""What the handlers of group APIs have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pylog.coordinator.group_base import Client
from pylog.coordinator.offsets import OffsetToCommit
from pylog.protocol.errors import ErrorCode

if TYPE_CHECKING:
    from pylog.apis.context import RequestContext

NO_TOPIC_ID = bytes(16)


def client_of(context: RequestContext) -> Client:
    return Client(context.client_id or "", f"/{context.client_host}", context.version)


def topic_name(context: RequestContext, name: str, topic_id: bytes, ids_from: int) -> str | None:
    """The name of a topic that a request names, or from a version on tells by its id.

    None for an unknown id.
    """
    if context.version < ids_from:
        return name
    return context.broker.metadata.image.topic_names.get(topic_id)


def topic_id(context: RequestContext, name: str) -> bytes:
    """Zero for a topic that does not exist."""
    topic = context.broker.metadata.image.topics.get(name)
    return NO_TOPIC_ID if topic is None else topic.topic_id


def partition_exists(context: RequestContext, name: str, partition: int) -> bool:
    topic = context.broker.metadata.image.topics.get(name)
    return topic is not None and 0 <= partition < len(topic.partitions)


class _PartitionToCommit(Protocol):
    partition_index: int
    committed_offset: int
    committed_leader_epoch: int
    committed_metadata: str | None


class _TopicToCommit(Protocol):
    name: str
    topic_id: bytes

    @property
    def partitions(self) -> Iterable[_PartitionToCommit]: ...


@dataclass(slots=True)
class CommitPlan:
    """The offsets of a request that go to the coordinator, and what is known of all of them.

    ``codes`` has a list for each topic, with None where the coordinator's answer belongs.
    """

    ids_from: int  # the version from which topics are told by their ids
    accepted: list[OffsetToCommit] = field(default_factory=list)
    codes: list[list[ErrorCode | None]] = field(default_factory=list)

    def add(self, topic: _TopicToCommit, context: RequestContext) -> None:
        """Refuse what does not exist; accept the rest."""
        name = topic_name(context, topic.name, topic.topic_id, self.ids_from)
        codes: list[ErrorCode | None] = []
        self.codes.append(codes)
        for partition in topic.partitions:
            if name is None:
                codes.append(ErrorCode.UNKNOWN_TOPIC_ID)
            elif not partition_exists(context, name, partition.partition_index):
                codes.append(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            else:
                codes.append(None)
                self.accepted.append(
                    OffsetToCommit(
                        topic=name,
                        partition=partition.partition_index,
                        offset=partition.committed_offset,
                        leader_epoch=partition.committed_leader_epoch,
                        metadata=partition.committed_metadata,
                        topic_id=topic_id(context, name),
                    )
                )

    def merged(self, answers: Iterable[ErrorCode]) -> list[list[ErrorCode]]:
        """A code for every partition; ``answers`` are those of the accepted ones, in order."""
        left = iter(answers)
        return [[next(left) if c is None else c for c in codes] for codes in self.codes]
