"""Who reads what in a share group: any number of members may share a partition (KIP-932, "simple").

Every partition that somebody subscribes to has a member, every member has a partition where its
topics have one, shares differ by as little as that allows, and who has a partition keeps it while
that fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

TopicPartition = tuple[bytes, int]  # topic id, index
Assignment = frozenset[TopicPartition]


def assign(
    subscriptions: Mapping[str, frozenset[bytes]],
    partitions: Mapping[bytes, Iterable[int]],
    current: Mapping[str, Assignment],
) -> dict[str, Assignment]:
    """``subscriptions``: topic ids by member; ``partitions``: those that may be assigned, by topic.

    Members and partitions that look alike are told apart by their order, so that the same question
    has the same answer.
    """
    work = _Work(subscriptions, partitions)
    for member in sorted(subscriptions):
        work.keep(member, current.get(member, frozenset()))
    for partition in work.partitions:
        work.cover(partition)
    for member in sorted(subscriptions):
        work.employ(member)
    return {member: frozenset(share) for member, share in work.shares.items()}


class _Work:
    def __init__(
        self,
        subscriptions: Mapping[str, frozenset[bytes]],
        partitions: Mapping[bytes, Iterable[int]],
    ) -> None:
        self.shares: dict[str, set[TopicPartition]] = {member: set() for member in subscriptions}
        self._readers: Counter[TopicPartition] = Counter()
        self._subscribers: dict[bytes, list[str]] = {}
        for member in sorted(subscriptions):
            for topic in subscriptions[member]:
                self._subscribers.setdefault(topic, []).append(member)
        topics = sorted(self._subscribers.keys() & partitions.keys())
        self.partitions = [(t, i) for t in topics for i in sorted(partitions[t])]
        self._of_member = {
            member: [p for p in self.partitions if p[0] in topics]
            for member, topics in subscriptions.items()
        }

    def keep(self, member: str, current: Assignment) -> None:
        """What it has, up to a fair share of it and of each partition."""
        mine = self._of_member[member]
        for partition in sorted(current & set(mine)):
            rivals = len(self._subscribers[partition[0]])
            most = -(-len(mine) // rivals)
            most_readers = max(1, -(-rivals // max(len(mine), 1)))
            if len(self.shares[member]) < most and self._readers[partition] < most_readers:
                self._give(member, partition)

    def cover(self, partition: TopicPartition) -> None:
        """A reader for a partition that has none: who has the least."""
        if self._readers[partition] == 0:
            readers = self._subscribers[partition[0]]
            self._give(min(readers, key=lambda member: len(self.shares[member])), partition)

    def employ(self, member: str) -> None:
        """A partition for a member that has none: the one with the fewest readers."""
        if not self.shares[member] and self._of_member[member]:
            self._give(member, min(self._of_member[member], key=lambda p: self._readers[p]))

    def _give(self, member: str, partition: TopicPartition) -> None:
        self.shares[member].add(partition)
        self._readers[partition] += 1
