"""What coordinators of groups see of topics."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class TopicInfo(NamedTuple):
    topic_id: bytes
    partition_count: int


@dataclass(frozen=True)
class TopicsView:
    """The topics of one moment. ``revision`` is higher for each later moment."""

    revision: int = 0
    by_name: dict[str, TopicInfo] = field(default_factory=dict)
    names: dict[bytes, str] = field(default_factory=dict)

    @classmethod
    def of(cls, revision: int, topics: Iterable[tuple[str, TopicInfo]]) -> TopicsView:
        by_name = dict(topics)
        return cls(revision, by_name, {info.topic_id: name for name, info in by_name.items()})

    def ids(self, names: Iterable[str]) -> frozenset[bytes]:
        """Of those that exist."""
        return frozenset(self.by_name[name].topic_id for name in names if name in self.by_name)

    def counts(self, names: Iterable[str]) -> dict[bytes, int]:
        """Partitions by topic id, of those that exist."""
        found = (self.by_name[name] for name in names if name in self.by_name)
        return {info.topic_id: info.partition_count for info in found}

    def fingerprint(self, names: Iterable[str]) -> int:
        """Changes when one of these topics is made, deleted or grown; 0 for no topic (KIP-1101)."""
        known = sorted(name for name in names if name in self.by_name)
        if not known:
            return 0
        digest = hashlib.blake2b(digest_size=8)
        for name in known:
            info = self.by_name[name]
            digest.update(f"{name}\0{info.partition_count}\0".encode() + info.topic_id)
        return int.from_bytes(digest.digest(), "big", signed=True)
