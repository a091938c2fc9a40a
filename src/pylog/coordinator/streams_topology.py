"""The topology of a streams application, as its members tell it and as the log keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records import streams_group as records


def invalid_topology(message: str) -> ApiError:
    return ApiError(ErrorCode.STREAMS_INVALID_TOPOLOGY, message)


@dataclass(frozen=True, slots=True)
class InternalTopic:
    """A topic that the application alone uses. 0: partitions undecided, or replicas by default."""

    name: str
    partitions: int
    replication_factor: int
    configs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CopartitionGroup:
    """Topics that have to have as many partitions; indexes into the lists of the subtopology."""

    source_topics: tuple[int, ...]
    source_topic_regex: tuple[int, ...]
    repartition_source_topics: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Subtopology:
    subtopology_id: str
    source_topics: tuple[str, ...]
    source_topic_regex: tuple[str, ...]
    state_changelog_topics: tuple[InternalTopic, ...]
    repartition_sink_topics: tuple[str, ...]
    repartition_source_topics: tuple[InternalTopic, ...]
    copartition_groups: tuple[CopartitionGroup, ...]

    def inputs(self) -> Iterator[str]:
        """The names of what it reads: their partitions make its tasks."""
        yield from self.source_topics
        yield from (topic.name for topic in self.repartition_source_topics)

    def copartitioned(self) -> Iterator[frozenset[str]]:
        """Each copartition group, by the names of its topics."""
        repartitions = [topic.name for topic in self.repartition_source_topics]
        for group in self.copartition_groups:
            sources = _picked(self.source_topics, group.source_topics)
            yield sources | _picked(repartitions, group.repartition_source_topics)


@dataclass(frozen=True, slots=True)
class Topology:
    """All of it; subtopologies are equal in any order."""

    epoch: int
    subtopologies: dict[str, Subtopology]

    def required_topics(self) -> set[str]:
        """Sources and internal topics, whether they exist or not."""
        names: set[str] = set()
        for part in self.subtopologies.values():
            names.update(part.inputs())
            names.update(topic.name for topic in part.state_changelog_topics)
        return names

    def reader_of(self, topic: str) -> str | None:
        """The subtopology whose tasks read this topic."""
        for part in self.subtopologies.values():
            if topic in part.inputs():
                return part.subtopology_id
        return None


def read_topology(message: Any) -> Topology:
    """Of a heartbeat or a record: their fields are the same."""
    parts = [_subtopology(part) for part in message.subtopologies]
    twice = [name for name, n in Counter(p.subtopology_id for p in parts).items() if n > 1]
    if twice:
        raise invalid_topology(f"Subtopology {twice[0]} is given more than once.")
    return Topology(message.epoch, {part.subtopology_id: part for part in parts})


def _subtopology(part: Any) -> Subtopology:
    return Subtopology(
        subtopology_id=part.subtopology_id,
        source_topics=tuple(part.source_topics),
        source_topic_regex=tuple(part.source_topic_regex),
        state_changelog_topics=_internal_topics(part.state_changelog_topics),
        repartition_sink_topics=tuple(part.repartition_sink_topics),
        repartition_source_topics=_internal_topics(part.repartition_source_topics),
        copartition_groups=tuple(
            CopartitionGroup(
                tuple(group.source_topics),
                tuple(group.source_topic_regex),
                tuple(group.repartition_source_topics),
            )
            for group in part.copartition_groups
        ),
    )


def _internal_topics(topics: Iterable[Any]) -> tuple[InternalTopic, ...]:
    return tuple(
        InternalTopic(
            topic.name,
            topic.partitions,
            topic.replication_factor,
            tuple((config.key, config.value) for config in topic.topic_configs),
        )
        for topic in topics
    )


def _picked(names: Sequence[str], indexes: Sequence[int]) -> frozenset[str]:
    if any(not 0 <= index < len(names) for index in indexes):
        raise invalid_topology("A copartition group names a topic that is not there.")
    return frozenset(names[index] for index in indexes)


def topology_record(topology: Topology) -> records.StreamsGroupTopologyValue:
    return records.StreamsGroupTopologyValue(
        epoch=topology.epoch,
        subtopologies=[
            records.Subtopology(
                subtopology_id=part.subtopology_id,
                source_topics=list(part.source_topics),
                source_topic_regex=list(part.source_topic_regex),
                state_changelog_topics=_stored(part.state_changelog_topics),
                repartition_sink_topics=list(part.repartition_sink_topics),
                repartition_source_topics=_stored(part.repartition_source_topics),
                copartition_groups=[
                    records.CopartitionGroup(
                        source_topics=list(group.source_topics),
                        source_topic_regex=list(group.source_topic_regex),
                        repartition_source_topics=list(group.repartition_source_topics),
                    )
                    for group in part.copartition_groups
                ],
            )
            for part in topology.subtopologies.values()
        ],
    )


def _stored(topics: Iterable[InternalTopic]) -> list[records.TopicInfo]:
    return [
        records.TopicInfo(
            name=topic.name,
            partitions=topic.partitions,
            replication_factor=topic.replication_factor,
            topic_configs=[records.TopicConfig(key=k, value=v) for k, v in topic.configs],
        )
        for topic in topics
    ]
