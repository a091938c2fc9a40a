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
    for more in (0, 1):
        for member in sorted(subscriptions):
            work.keep(member, current.get(member, frozenset()), more)
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
        self._kept_more: Counter[frozenset[bytes]] = Counter()  # members, by their topics
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
        self._topics_of = subscriptions

    def keep(self, member: str, current: Assignment, more: int) -> None:
        """What it has, up to its fair share and that of each partition; with ``more`` one above
        that, for as many members as the rest of the division is for."""
        mine, topics = self._of_member[member], self._topics_of[member]
        for partition in sorted(current & set(mine) - self.shares[member]):
            rivals = len(self._subscribers[partition[0]])
            fair, rest = divmod(len(mine), rivals)
            most_readers = max(1, -(-rivals // len(mine)))
            if self._readers[partition] >= most_readers:
                continue
            if len(self.shares[member]) < max(fair, 1):
                self._give(member, partition)
            elif more and fair and self._kept_more[topics] < rest:
                self._kept_more[topics] += 1
                self._give(member, partition)
                return

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
