"""Tasks of a streams group: a partition of a subtopology, in one of three roles (KIP-1071)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

Task = tuple[str, int]  # subtopology id, partition
NO_TASKS: frozenset[Task] = frozenset()


class Role(Enum):
    """What a member does with a task: process it, follow it, or get ready to process it."""

    ACTIVE = "active"
    STANDBY = "standby"
    WARMUP = "warmup"


@dataclass(frozen=True, slots=True)
class Tasks:
    """Tasks by role: a target, or what a member says that it has."""

    active: frozenset[Task] = NO_TASKS
    standby: frozenset[Task] = NO_TASKS
    warmup: frozenset[Task] = NO_TASKS

    def __bool__(self) -> bool:
        return bool(self.active or self.standby or self.warmup)

    def __iter__(self) -> Iterator[tuple[Role, frozenset[Task]]]:
        yield Role.ACTIVE, self.active
        yield Role.STANDBY, self.standby
        yield Role.WARMUP, self.warmup

    def overlaps(self, other: Tasks) -> bool:
        """Whether some task is in both, in the same role."""
        return any(mine & theirs for (_, mine), (_, theirs) in zip(self, other, strict=True))

    def within(self, other: Tasks) -> bool:
        return all(mine <= theirs for (_, mine), (_, theirs) in zip(self, other, strict=True))


@dataclass(frozen=True, slots=True)
class HeldTasks:
    """What a member may use; an active task with the epoch at which it was given."""

    active: Mapping[Task, int] = field(default_factory=dict)
    standby: frozenset[Task] = NO_TASKS
    warmup: frozenset[Task] = NO_TASKS

    @property
    def tasks(self) -> Tasks:
        return Tasks(frozenset(self.active), self.standby, self.warmup)

    def with_epochs_forgotten(self) -> HeldTasks:
        return HeldTasks(dict.fromkeys(self.active, 0), self.standby, self.warmup)


class _TaskIds(Protocol):
    subtopology_id: str
    partitions: list[int]


def read_tasks(parts: Iterable[_TaskIds]) -> frozenset[Task]:
    """Of a list of TaskIds, which requests and records have alike."""
    return frozenset((part.subtopology_id, p) for part in parts for p in part.partitions)


def by_subtopology(tasks: Iterable[Task]) -> dict[str, list[int]]:
    """Partitions by subtopology, both in order: as messages have them."""
    found: dict[str, list[int]] = {}
    for subtopology_id, partition in sorted(tasks):
        found.setdefault(subtopology_id, []).append(partition)
    return found
