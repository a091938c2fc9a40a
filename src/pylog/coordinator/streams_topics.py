"""A topology beside the topics that exist: how many tasks, and which internal topics to make.

Repartition topics get their number of partitions from what is written into them, unless the
application has fixed it; topics of a copartition group get the same; a changelog has one partition
for each task (KIP-1071).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum

from pylog.coordinator.streams_tasks import Task
from pylog.coordinator.streams_topology import (
    InternalTopic,
    Subtopology,
    Topology,
    invalid_topology,
)
from pylog.coordinator.topics_view import TopicsView

_NAMES_SHOWN = 3


class StatusCode(IntEnum):
    """What a heartbeat's answer tells about the group, besides the assignment."""

    STALE_TOPOLOGY = 0
    MISSING_SOURCE_TOPICS = 1
    INCORRECTLY_PARTITIONED_TOPICS = 2
    MISSING_INTERNAL_TOPICS = 3
    SHUTDOWN_APPLICATION = 4
    ASSIGNMENT_DELAYED = 5
    MISSING_CLIENT_TAGS = 6


class _NotInOrder(Exception):
    """The topics don't fit the topology; nothing can be assigned until they do."""

    def __init__(self, code: StatusCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ConfiguredSubtopology:
    """A subtopology whose internal topics have a number of partitions."""

    task_count: int
    source_topics: tuple[str, ...]
    repartition_sink_topics: tuple[str, ...]
    repartition_source_topics: tuple[InternalTopic, ...]
    state_changelog_topics: tuple[InternalTopic, ...]

    @property
    def is_stateful(self) -> bool:
        return bool(self.state_changelog_topics)

    def inputs(self) -> Iterator[str]:
        yield from self.source_topics
        yield from (topic.name for topic in self.repartition_source_topics)


@dataclass(frozen=True, slots=True)
class ConfiguredTopology:
    """``subtopologies`` is empty when the topics are not in order; ``problem`` tells why."""

    topology: Topology
    subtopologies: dict[str, ConfiguredSubtopology] = field(default_factory=dict)
    missing: tuple[InternalTopic, ...] = ()
    problem: tuple[StatusCode, str] | None = None

    @property
    def is_ready(self) -> bool:
        return self.problem is None

    def has(self, task: Task) -> bool:
        part = self.subtopologies.get(task[0])
        return part is not None and 0 <= task[1] < part.task_count


def configured(topology: Topology, topics: TopicsView) -> ConfiguredTopology:
    """STREAMS_INVALID_TOPOLOGY for a topology that no topics could satisfy."""
    try:
        _check_sources(topology, topics)
        counts = _Counts(topology, topics)
        counts.decide()
        parts = {
            name: counts.configured(part) for name, part in sorted(topology.subtopologies.items())
        }
        missing = tuple(_missing(parts.values(), topics))
    except _NotInOrder as error:
        return ConfiguredTopology(topology, problem=(error.code, error.detail))
    problem = None
    if missing:
        names = _listed(sorted(topic.name for topic in missing))
        problem = (StatusCode.MISSING_INTERNAL_TOPICS, f"Internal topics are missing: {names}")
    return ConfiguredTopology(topology, parts, missing, problem)


def _check_sources(topology: Topology, topics: TopicsView) -> None:
    wanted = {name for part in topology.subtopologies.values() for name in part.source_topics}
    missing = sorted(wanted - topics.by_name.keys())
    if missing:
        raise _NotInOrder(
            StatusCode.MISSING_SOURCE_TOPICS, f"Source topics {_listed(missing)} are missing."
        )


def _listed(names: list[str]) -> str:
    shown, more = ", ".join(names[:_NAMES_SHOWN]), len(names) - _NAMES_SHOWN
    return f"{shown} and {more} additional topics" if more > 0 else shown


def _missing(parts: Iterable[ConfiguredSubtopology], topics: TopicsView) -> Iterator[InternalTopic]:
    internal = {
        topic.name: topic
        for part in parts
        for topic in (*part.repartition_source_topics, *part.state_changelog_topics)
    }
    for name, topic in internal.items():
        existing = topics.by_name.get(name)
        if existing is None:
            yield topic
        elif existing.partition_count != topic.partitions:
            raise _NotInOrder(
                StatusCode.INCORRECTLY_PARTITIONED_TOPICS,
                f"Existing topic {name} has different number of partitions: "
                f"expected {topic.partitions}, found {existing.partition_count}",
            )


class _Counts:
    """Decides the number of partitions of internal topics; an existing topic keeps its own."""

    def __init__(self, topology: Topology, topics: TopicsView) -> None:
        self._parts = [part for _, part in sorted(topology.subtopologies.items())]
        self._topics = topics
        self._decided: dict[str, int] = {}
        repartitions = [t for part in self._parts for t in part.repartition_source_topics]
        self._fixed = {topic.name: topic.partitions for topic in repartitions if topic.partitions}
        self._repartitions = {topic.name for topic in repartitions}

    def decide(self) -> None:
        self._decide_repartitions()
        for part in self._parts:
            for group in part.copartitioned():
                self._copartition(group)
        for part in self._parts:
            tasks = self._task_count(part)
            self._decided.update((topic.name, tasks) for topic in part.state_changelog_topics)

    def configured(self, part: Subtopology) -> ConfiguredSubtopology:
        return ConfiguredSubtopology(
            task_count=self._task_count(part),
            source_topics=tuple(sorted(set(part.source_topics))),
            repartition_sink_topics=tuple(sorted(set(part.repartition_sink_topics))),
            repartition_source_topics=self._sized(part.repartition_source_topics),
            state_changelog_topics=self._sized(part.state_changelog_topics),
        )

    def _sized(self, topics: tuple[InternalTopic, ...]) -> tuple[InternalTopic, ...]:
        sized = (replace(t, partitions=t.partitions or self._decided[t.name]) for t in topics)
        return tuple(sorted(sized, key=lambda topic: topic.name))

    def _count(self, topic: str) -> int | None:
        existing = self._topics.by_name.get(topic)
        return self._decided.get(topic) if existing is None else existing.partition_count

    def _known_count(self, topic: str) -> int:
        count = self._count(topic)
        if count is None:
            raise invalid_topology(f"Topic {topic} has no number of partitions.")
        return count

    def _task_count(self, part: Subtopology) -> int:
        counts = [self._known_count(name) for name in part.inputs()]
        if not counts:
            raise invalid_topology(f"No source topics found for subtopology {part.subtopology_id}")
        return max(counts)

    # ---- repartition topics ----

    def _decide_repartitions(self) -> None:
        """Follow the topics that are written until no more can be told."""
        found = dict(self._fixed)
        left = [part for part in self._parts if set(part.repartition_sink_topics) - found.keys()]
        while left:
            waiting = [part for part in left if not self._spread(part, found)]
            if len(waiting) == len(left):
                raise invalid_topology(
                    "Failed to compute number of partitions for all repartition topics. "
                    "There may be loops in the topology that cannot be resolved."
                )
            left = waiting
        if self._repartitions - found.keys():
            raise invalid_topology(
                "Failed to compute number of partitions for all repartition topics, because a "
                "repartition source topic is never used as a sink topic."
            )
        self._decided.update(found)

    def _spread(self, part: Subtopology, found: dict[str, int]) -> bool:
        """What a subtopology writes has as many partitions as the largest topic that it reads."""
        repartitions = (found.get(topic.name) for topic in part.repartition_source_topics)
        sources = (self._count(name) for name in part.source_topics)
        known = [count for count in (*repartitions, *sources) if count is not None]
        if not known:
            return False
        for name in part.repartition_sink_topics:
            found.setdefault(name, max(known))
        return True

    # ---- copartition groups ----

    def _copartition(self, group: frozenset[str]) -> None:
        counts = {name: self._known_count(name) for name in sorted(group)}
        repartitions = [name for name in counts if name in self._repartitions]
        count = self._common_count(counts, repartitions)
        for name in repartitions:
            if name in self._fixed and counts[name] != count:
                raise _NotInOrder(
                    StatusCode.INCORRECTLY_PARTITIONED_TOPICS,
                    f"Number of partitions [{counts[name]}] of repartition topic [{name}] doesn't "
                    f"match number of partitions [{count}] of the source topic.",
                )
            self._decided[name] = count

    def _common_count(self, counts: dict[str, int], repartitions: list[str]) -> int:
        """Of topics that exist, or else of those that the application has fixed; or the largest."""
        if not counts:
            return 0
        external = {name: n for name, n in counts.items() if name not in self._repartitions}
        fixed = {name: n for name, n in counts.items() if name in self._fixed}
        decisive = external or fixed
        if len(set(decisive.values())) > 1:
            listed = ", ".join(f"{name}={n}" for name, n in decisive.items())
            raise _NotInOrder(
                StatusCode.INCORRECTLY_PARTITIONED_TOPICS,
                f"Following topics do not have the same number of partitions: [{{{listed}}}]",
            )
        return max((decisive or counts).values())
