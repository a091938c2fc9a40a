"""Server-side assignors of KIP-848: which member gets which partitions.

    uniform  as equal as it can be, and what a member has stays with it
    range    neighbouring partitions of each topic, so that equal topics are joined by number

Pure functions of subscriptions, partition counts and (uniform) the present target. Every partition
of a subscribed topic is given to exactly one member that is subscribed to it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Assignment = Mapping[bytes, frozenset[int]]  # topic id to partitions
TopicIdPartition = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """What an assignor knows of a member: the topics, by id, that exist."""

    topics: frozenset[bytes]
    instance_id: str | None = None


Assignor = Callable[
    [Mapping[str, Subscriber], Mapping[bytes, int], Mapping[str, Assignment]],
    dict[str, Assignment],
]


def range_(
    members: Mapping[str, Subscriber],
    counts: Mapping[bytes, int],
    current: Mapping[str, Assignment],
) -> dict[str, Assignment]:
    """Static members first, in the order of their instances: they keep their ranges."""
    order = sorted(members, key=lambda m: _range_order(m, members[m]))
    result: dict[str, dict[bytes, frozenset[int]]] = {member: {} for member in members}
    for topic, count in counts.items():
        subscribed = [member for member in order if topic in members[member].topics]
        if not subscribed:
            continue
        quota, extra = divmod(count, len(subscribed))
        start = 0
        for position, member in enumerate(subscribed):
            end = start + quota + (position < extra)
            if end > start:
                result[member][topic] = frozenset(range(start, end))
            start = end
    return dict(result)


def _range_order(member_id: str, member: Subscriber) -> tuple[bool, str]:
    return member.instance_id is None, member.instance_id or member_id


def uniform(
    members: Mapping[str, Subscriber],
    counts: Mapping[bytes, int],
    current: Mapping[str, Assignment],
) -> dict[str, Assignment]:
    """Keeps as much of ``current`` as an equal share allows."""
    given = {m: _kept(members[m], counts, current.get(m, {})) for m in members}
    _drop_doubles(given)
    if len({member.topics for member in members.values()}) <= 1:
        _level(given, counts, members)
    else:
        _level_unequal(given, counts, members)
    return {member: _grouped(partitions) for member, partitions in given.items()}


def _kept(
    member: Subscriber, counts: Mapping[bytes, int], current: Assignment
) -> set[TopicIdPartition]:
    return {
        (topic, index)
        for topic, partitions in current.items()
        if topic in member.topics
        for index in partitions
        if index < counts.get(topic, 0)
    }


def _drop_doubles(given: dict[str, set[TopicIdPartition]]) -> None:
    seen: set[TopicIdPartition] = set()
    for partitions in given.values():
        partitions -= seen
        seen |= partitions


def _unassigned(
    given: Mapping[str, set[TopicIdPartition]],
    counts: Mapping[bytes, int],
    members: Mapping[str, Subscriber],
) -> list[TopicIdPartition]:
    wanted = frozenset().union(*(member.topics for member in members.values()))
    assigned = set().union(*given.values())
    return [
        (topic, index)
        for topic in sorted(wanted)
        for index in range(counts.get(topic, 0))
        if (topic, index) not in assigned
    ]


def _level(
    given: dict[str, set[TopicIdPartition]],
    counts: Mapping[bytes, int],
    members: Mapping[str, Subscriber],
) -> None:
    """All want the same: shares differ by one at the most; the larger ones stay where they are."""
    free = _unassigned(given, counts, members)
    quota, extra = divmod(len(free) + sum(map(len, given.values())), max(len(given), 1))
    order = sorted(given, key=lambda member: -len(given[member]))
    shares = {member: quota + (place < extra) for place, member in enumerate(order)}
    for member in order:
        surplus = sorted(given[member])[shares[member] :]
        given[member].difference_update(surplus)
        free += surplus
    for member in order:
        while len(given[member]) < shares[member]:
            given[member].add(free.pop())


def _level_unequal(
    given: dict[str, set[TopicIdPartition]],
    counts: Mapping[bytes, int],
    members: Mapping[str, Subscriber],
) -> None:
    """Partitions that few want go first; then the rich give to the poor while that levels."""
    fans = _fans(members)
    free = _unassigned(given, counts, members)
    poor = {topic: [(len(given[m]), m) for m in some] for topic, some in fans.items()}
    for heap in poor.values():
        heapq.heapify(heap)
    for partition in sorted(free, key=lambda p: (len(fans[p[0]]), p)):
        given[_take_poorest(poor[partition[0]], given)].add(partition)
    moved = True
    while moved:  # ends: every move makes the shares more alike
        moved = False
        least = min(map(len, given.values()))
        for member in sorted(given, key=lambda member: -len(given[member])):
            if len(given[member]) - least < 2:
                break
            while _give_one(member, given, fans):
                moved = True


def _take_poorest(heap: list[tuple[int, str]], given: Mapping[str, set[TopicIdPartition]]) -> str:
    """Entries may be out of date: sizes only grow meanwhile, so the first true one is the least."""
    while True:
        size, member = heap[0]
        if size == len(given[member]):
            heapq.heapreplace(heap, (size + 1, member))
            return member
        heapq.heapreplace(heap, (len(given[member]), member))


def _fans(members: Mapping[str, Subscriber]) -> dict[bytes, list[str]]:
    fans: dict[bytes, list[str]] = {}
    for member_id, member in members.items():
        for topic in member.topics:
            fans.setdefault(topic, []).append(member_id)
    return fans


def _give_one(
    member: str, given: dict[str, set[TopicIdPartition]], fans: Mapping[bytes, list[str]]
) -> bool:
    """Move one partition to somebody who has at least two fewer; False when nobody has."""
    best: tuple[int, str, TopicIdPartition] | None = None
    for topic in {topic for topic, _ in given[member]}:
        poorest = min(fans[topic], key=lambda m: (len(given[m]), m))
        move = (len(given[poorest]), poorest, max(p for p in given[member] if p[0] == topic))
        best = move if best is None else min(best, move)
    if best is None or best[0] + 2 > len(given[member]):
        return False
    given[member].discard(best[2])
    given[best[1]].add(best[2])
    return True


def _grouped(partitions: set[TopicIdPartition]) -> Assignment:
    topics: dict[bytes, set[int]] = {}
    for topic, index in partitions:
        topics.setdefault(topic, set()).add(index)
    return {topic: frozenset(indexes) for topic, indexes in topics.items()}


ASSIGNORS: dict[str, Assignor] = {"uniform": uniform, "range": range_}
DEFAULT_ASSIGNOR = "uniform"
