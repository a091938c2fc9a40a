"""What may become of topics: names, counts, replicas and settings are checked, then committed.

All checks run on the image that a change is committed against, so two brokers can't both win.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pylog.cluster.configs import check_topic_configs
from pylog.cluster.image import (
    INTERNAL_TOPICS,
    Image,
    PartitionImage,
    TopicImage,
    config_key,
    encode,
    encode_partition,
    encode_topic,
    partition_key,
    topic_key,
)
from pylog.cluster.metadata import Metadata, Proposal
from pylog.cluster.partitions import LocalPartitions
from pylog.cluster.store import Write
from pylog.config import BrokerConfig
from pylog.log.layout import random_uuid
from pylog.protocol.errors import ApiError, ErrorCode

_NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_BY_DEFAULT: Final = -1
_EMPTY: Final[Mapping[Any, Any]] = MappingProxyType({})
_LEAST_SEGMENT_BYTES: Final = 1 << 20  # that a topic may have
MAX_NEW_PARTITIONS: Final = 10_000  # of one request, as in Kafka

Assignment = tuple[tuple[int, ...], ...]  # broker ids of each partition


class NewTopic(NamedTuple):
    """A topic to be made. -1 takes the broker's default; an assignment replaces both counts."""

    name: str
    partition_count: int = _BY_DEFAULT
    replication_factor: int = _BY_DEFAULT
    assignment: Mapping[int, Sequence[int]] = _EMPTY
    configs: Mapping[str, str | None] = _EMPTY


class CreatedTopic(NamedTuple):
    """A topic that was made, or with validate_only would have been."""

    name: str
    topic_id: bytes
    assignment: Assignment
    configs: Mapping[str, str]


def check_name(name: str) -> None:
    """INVALID_TOPIC_EXCEPTION for what can't be the name of a topic."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise ApiError(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"{name!r} can't name a topic: 1 to 249 of the letters a-z, A-Z, the digits, "
            "'.', '_' and '-', and neither '.' nor '..'",
        )


class Topics:
    """Creates, grows and deletes topics. When a call returns, the change can be used."""

    def __init__(
        self, metadata: Metadata, partitions: LocalPartitions, config: BrokerConfig
    ) -> None:
        self._metadata = metadata
        self._partitions = partitions
        self._config = config

    # ---- create ----

    async def create(
        self, topics: Sequence[NewTopic], *, validate_only: bool = False
    ) -> list[CreatedTopic | ApiError]:
        """Make topics in one commit; a result for each, in order."""
        results: list[CreatedTopic | ApiError] = []

        def plan(image: Image) -> Proposal:
            results[:] = self._check_all(image, topics)
            made = [item for item in results if isinstance(item, CreatedTopic)]
            return Proposal([] if validate_only else [w for t in made for w in _writes(t)])

        await self._metadata.propose(plan)
        await self._partitions.reconcile()
        return results

    def _check_all(self, image: Image, topics: Sequence[NewTopic]) -> list[CreatedTopic | ApiError]:
        taken = {_collision_key(name): name for name in image.topics}
        results: list[CreatedTopic | ApiError] = []
        room = MAX_NEW_PARTITIONS
        for topic in topics:
            try:
                created = self._check(image, topic, taken, room)
            except ApiError as error:
                results.append(error)
                continue
            room -= len(created.assignment)
            taken[_collision_key(topic.name)] = topic.name
            results.append(created)
        return results

    def _check(
        self, image: Image, topic: NewTopic, taken: Mapping[str, str], room: int
    ) -> CreatedTopic:
        check_name(topic.name)
        other = taken.get(_collision_key(topic.name))
        if other == topic.name:
            raise ApiError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{topic.name}' already exists.")
        if other is not None:
            raise ApiError(
                ErrorCode.INVALID_TOPIC_EXCEPTION,
                f"Topic '{topic.name}' collides with existing topic '{other}': "
                "'.' and '_' count as the same.",
            )
        if topic.assignment:
            assignment = _given_assignment(image, topic)
        else:
            assignment = self._own_assignment(image, topic, room)
        if len(assignment) > room:
            raise ApiError(ErrorCode.POLICY_VIOLATION, "Too many partitions in one request.")
        configs = _texts(topic.configs)
        check_topic_configs(self._config, configs)
        return CreatedTopic(topic.name, random_uuid(), assignment, configs)

    def _own_assignment(self, image: Image, topic: NewTopic, room: int) -> Assignment:
        count, factor = topic.partition_count, topic.replication_factor
        if count == _BY_DEFAULT:
            count = self._config.integer("num.partitions")
        if factor == _BY_DEFAULT:
            factor = self._config.integer("default.replication.factor")
        if count <= 0:
            raise ApiError(
                ErrorCode.INVALID_PARTITIONS, "The number of partitions must be positive, or -1."
            )
        if count > room:
            raise ApiError(ErrorCode.POLICY_VIOLATION, "Too many partitions in one request.")
        return spread(image, factor, range(count))

    async def ensure(self, topic: NewTopic) -> TopicImage:
        """The topic of that name, made now when there is none. ApiError."""
        found = self._metadata.image.topics.get(topic.name)
        if found is None:
            (result,) = await self.create([topic])
            if isinstance(result, ApiError) and result.code != ErrorCode.TOPIC_ALREADY_EXISTS:
                raise result
            found = self._metadata.image.topics[topic.name]
        return found

    async def ensure_internal(self, name: str) -> TopicImage:
        """The topic that a coordinator keeps its state in, made at its first use."""
        number, factor, segment = (self._config.integer(key) for key in _INTERNAL[name])
        configs = {
            "cleanup.policy": "compact",
            "compression.type": "producer",
            "segment.bytes": str(max(segment, _LEAST_SEGMENT_BYTES)),
        }
        if name == "__share_group_state":
            configs |= _KEEPS_ALL
        return await self.ensure(NewTopic(name, number, factor, configs=configs))

    # ---- grow ----

    async def add_partitions(
        self,
        name: str,
        total: int,
        assignments: Sequence[Sequence[int]] | None,
        validate_only: bool,
    ) -> None:
        """Grow a topic to ``total`` partitions; ``assignments`` are those of the new ones."""

        def plan(image: Image) -> Proposal:
            topic = _existing(image, name)
            added = _check_growth(image, topic, total, assignments)
            grown = [*(part.replicas for part in topic.partitions), *added]
            key = topic_key(name)
            value = encode_topic(topic.topic_id, grown)
            return Proposal([] if validate_only else [Write(key, value, image.version(key))])

        await self._metadata.propose(plan)
        await self._partitions.reconcile()

    # ---- delete ----

    async def delete(self, name: str, topic_id: bytes | None = None) -> None:
        """Delete a topic with its settings and its logs; by id when one is given.

        UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID; INVALID_REQUEST for an internal topic, whose
        coordinators would lose what they stand on.
        """

        def plan(image: Image) -> Proposal:
            topic = _existing(image, name)
            if topic_id is not None and topic.topic_id != topic_id:
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_ID)
            if topic.internal:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"Topic '{name}' is internal.")
            keys = [topic_key(name), config_key("topic", name)]
            keys += [partition_key(topic.topic_id, i) for i in range(len(topic.partitions))]
            stored = [(key, image.version(key)) for key in keys]
            return Proposal([Write(key, None, version) for key, version in stored if version])

        await self._metadata.propose(plan)
        await self._partitions.reconcile()

    # ---- lead ----

    async def begin_epochs(self, broker_id: int) -> None:
        """Give every partition that a broker leads a new leader epoch.

        After a crash the end of a log may be lost: what is written there again must be told from
        what was there before (KIP-101, KIP-320).
        """

        def plan(image: Image) -> Proposal:
            return Proposal(
                [
                    _next_epoch(image, topic, index, state)
                    for topic in image.topics.values()
                    for index, state in enumerate(topic.partitions)
                    if state.leader == broker_id
                ]
            )

        await self._metadata.propose(plan)


_INTERNAL: Final = {
    "__consumer_offsets": (
        "offsets.topic.num.partitions",
        "offsets.topic.replication.factor",
        "offsets.topic.segment.bytes",
    ),
    "__transaction_state": (
        "transaction.state.log.num.partitions",
        "transaction.state.log.replication.factor",
        "transaction.state.log.segment.bytes",
    ),
    "__share_group_state": (
        "share.coordinator.state.topic.num.partitions",
        "share.coordinator.state.topic.replication.factor",
        "share.coordinator.state.topic.segment.bytes",
    ),
}
# An update of a share state says what has changed: none may go before the next snapshot.
_KEEPS_ALL: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
assert _INTERNAL.keys() == INTERNAL_TOPICS


def _collision_key(name: str) -> str:
    return name.replace(".", "_")


def _texts(configs: Mapping[str, str | None]) -> dict[str, str]:
    for name, text in configs.items():
        if text is None:
            raise ApiError(ErrorCode.INVALID_CONFIG, f"Null value for topic setting {name}.")
    return {name: text for name, text in configs.items() if text is not None}


def spread(image: Image, factor: int, indexes: range) -> Assignment:
    """Replicas in turn over all brokers. INVALID_REPLICATION_FACTOR."""
    brokers = sorted(image.brokers)
    if factor <= 0:
        raise ApiError(
            ErrorCode.INVALID_REPLICATION_FACTOR, "The replication factor must be positive, or -1."
        )
    if factor > len(brokers):
        raise ApiError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Replication factor {factor} needs more than the {len(brokers)} brokers registered.",
        )
    return tuple(
        tuple(brokers[(index + turn) % len(brokers)] for turn in range(factor)) for index in indexes
    )


def _given_assignment(image: Image, topic: NewTopic) -> Assignment:
    if topic.partition_count != _BY_DEFAULT or topic.replication_factor != _BY_DEFAULT:
        raise ApiError(
            ErrorCode.INVALID_REQUEST,
            "With an assignment, the number of partitions and the replication factor must be -1.",
        )
    if sorted(topic.assignment) != list(range(len(topic.assignment))):
        raise ApiError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, "Partitions must be numbered from 0 without gap."
        )
    lists = [tuple(topic.assignment[index]) for index in range(len(topic.assignment))]
    check_replicas(image, lists, len(lists[0]))
    return tuple(lists)


def check_replicas(image: Image, lists: Sequence[Sequence[int]], factor: int) -> None:
    """INVALID_REPLICA_ASSIGNMENT unless each list has ``factor`` distinct, registered brokers."""
    for replicas in lists:
        if not replicas or len(set(replicas)) != len(replicas):
            reason = f"replicas {list(replicas)} must be distinct and at least one"
        elif len(replicas) != factor:
            reason = f"replicas {list(replicas)} are not {factor}, as the other partitions have"
        elif unknown := set(replicas) - image.brokers.keys():
            reason = f"no broker {min(unknown)} is registered"
        else:
            continue
        raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"Invalid assignment: {reason}.")


def _existing(image: Image, name: str) -> TopicImage:
    topic = image.topics.get(name)
    if topic is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return topic


def _check_growth(
    image: Image, topic: TopicImage, total: int, assignments: Sequence[Sequence[int]] | None
) -> Sequence[Sequence[int]]:
    present = len(topic.partitions)
    if total <= present:
        raise ApiError(
            ErrorCode.INVALID_PARTITIONS,
            f"Topic '{topic.name}' has {present} partitions; {total} would not be more.",
        )
    if total - present > MAX_NEW_PARTITIONS:
        raise ApiError(ErrorCode.POLICY_VIOLATION, "Too many partitions in one request.")
    factor = len(topic.partitions[0].replicas)
    if assignments is None:
        return spread(image, factor, range(present, total))
    if len(assignments) != total - present:
        raise ApiError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"{total - present} partitions are added, {len(assignments)} assignments given.",
        )
    check_replicas(image, assignments, factor)
    return assignments


def _writes(topic: CreatedTopic) -> list[Write]:
    writes = [Write(topic_key(topic.name), encode_topic(topic.topic_id, topic.assignment), 0)]
    if topic.configs:
        writes.append(Write(config_key("topic", topic.name), encode(topic.configs), None))
    return writes


def _next_epoch(image: Image, topic: TopicImage, index: int, state: PartitionImage) -> Write:
    after = PartitionImage(
        state.replicas,
        state.isr,
        state.leader,
        state.leader_epoch + 1,
        state.partition_epoch + 1,
    )
    key = partition_key(topic.topic_id, index)
    return Write(key, encode_partition(after), image.version(key))


def duplicates(names: Sequence[str]) -> set[str]:
    """The names that occur more than once."""
    counted = itertools.groupby(sorted(names))
    return {name for name, run in counted if sum(1 for _ in run) > 1}
