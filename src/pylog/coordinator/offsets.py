"""Committed offsets of the groups of one shard: commit, fetch, delete, expire; in transactions too.

Steps write OffsetCommit records; ``replay`` is the only place that changes the maps, so that what a
restart reads is what clients were told. An offset committed inside a transaction is *pending* until
the transaction's marker is in the log; an abort forgets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pylog.coordinator.effects import Effects, Producer
from pylog.coordinator.group_base import Group, GroupSettings
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records.offsets import OffsetCommitKey, OffsetCommitValue

NO_PRODUCER = -1
NO_TOPIC_ID = bytes(16)

_VERSION_WITH_EXPIRY = 1  # the only version that has expireTimestamp
_VERSION = 3
_VERSION_WITH_TOPIC_ID = 4

_EPOCHS_MAX = 100_000  # producers whose last marker is remembered

TopicPartition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """``order``: place in the log, so that of two commits the later one stays."""

    offset: int
    leader_epoch: int  # -1: not told
    metadata: str
    commit_timestamp_ms: int
    expire_timestamp_ms: int  # -1: by the broker's retention
    topic_id: bytes
    order: int


@dataclass(frozen=True, slots=True)
class OffsetToCommit:
    """One partition of an OffsetCommit or TxnOffsetCommit request."""

    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str | None
    topic_id: bytes = NO_TOPIC_ID


@dataclass(frozen=True, slots=True)
class FetchedOffset:
    """``committed`` None: no offset, or ``error`` says why it is not told."""

    partition: int
    committed: CommittedOffset | None
    error: ErrorCode = ErrorCode.NONE


_GroupOffsets = dict[TopicPartition, CommittedOffset]


class Offsets:
    """All committed and pending offsets of a shard, by group."""

    def __init__(self, settings: GroupSettings) -> None:
        self._settings = settings
        self._committed: dict[str, _GroupOffsets] = {}
        self._pending: dict[int, dict[str, _GroupOffsets]] = {}  # by producer id, then group
        self._producers: dict[str, set[int]] = {}  # with pending offsets, by group
        self._epochs: dict[int, int] = {}  # of the last marker, by producer id; oldest first
        self._order = 0

    # ---- commit ----

    def commit(
        self,
        group_id: str,
        offsets: Iterable[OffsetToCommit],
        retention_ms: int,
        now_ms: int,
        out: Effects,
    ) -> list[ErrorCode]:
        """Write them; a code for each, in order. ``retention_ms`` -1: the broker's."""
        expire_ms = -1 if retention_ms == -1 else now_ms + retention_ms
        codes = []
        for offset in offsets:
            if len(offset.metadata or "") > self._settings.offset_metadata_max_bytes:
                codes.append(ErrorCode.OFFSET_METADATA_TOO_LARGE)
                continue
            key = OffsetCommitKey(group=group_id, topic=offset.topic, partition=offset.partition)
            value = OffsetCommitValue(
                offset=offset.offset,
                leader_epoch=offset.leader_epoch,
                metadata=offset.metadata or "",
                commit_timestamp=now_ms,
                expire_timestamp=expire_ms,
                topic_id=offset.topic_id,
            )
            out.write(key, value, _version_of(value))
            codes.append(ErrorCode.NONE)
        return codes

    # ---- fetch ----

    def fetch(
        self, group_id: str, topic: str, topic_id: bytes, partitions: Iterable[int], stable: bool
    ) -> list[FetchedOffset]:
        """``stable``: an offset that an open transaction may move is an error (KIP-447)."""
        offsets = self._committed.get(group_id, {})
        return [
            self._fetched(group_id, (topic, partition), topic_id, offsets, stable)
            for partition in partitions
        ]

    def _fetched(
        self,
        group_id: str,
        key: TopicPartition,
        topic_id: bytes,
        offsets: _GroupOffsets,
        stable: bool,
    ) -> FetchedOffset:
        if stable and self.is_pending(group_id, key):
            return FetchedOffset(key[1], None, ErrorCode.UNSTABLE_OFFSET_COMMIT)
        committed = offsets.get(key)
        if committed is not None and _is_of_another_topic(committed, topic_id):
            committed = None
        return FetchedOffset(key[1], committed)

    def topics(self, group_id: str) -> dict[str, list[int]]:
        """Every partition with a committed offset, by topic."""
        topics: dict[str, list[int]] = {}
        for topic, partition in self._committed.get(group_id, {}):
            topics.setdefault(topic, []).append(partition)
        return topics

    def is_pending(self, group_id: str, key: TopicPartition) -> bool:
        producers = self._producers.get(group_id)
        return producers is not None and any(
            key in self._pending[producer_id].get(group_id, {}) for producer_id in producers
        )

    # ---- delete and expire ----

    def delete(self, group_id: str, keys: Iterable[TopicPartition], out: Effects) -> None:
        committed = self._committed.get(group_id, {})
        for key in keys:
            if key in committed or self.is_pending(group_id, key):
                _write_tombstone(group_id, key, out)

    def delete_all(self, group_id: str, out: Effects) -> None:
        for key in {*self._committed.get(group_id, {}), *self._pending_keys(group_id)}:
            _write_tombstone(group_id, key, out)

    def delete_topics(self, topics: set[str], out: Effects) -> None:
        """The topics are gone, and with them what groups have committed for them."""
        for group_id in self._committed.keys() | self._producers.keys():
            keys = {*self._committed.get(group_id, {}), *self._pending_keys(group_id)}
            for key in keys:
                if key[0] in topics:
                    _write_tombstone(group_id, key, out)

    def expire(self, group: Group, now_ms: int, out: Effects) -> bool:
        """Remove offsets that nobody uses any more (KIP-211); True when none is left."""
        left = group.group_id in self._producers
        for key, committed in self._committed.get(group.group_id, {}).items():
            if self._is_expired(group, key, committed, now_ms):
                _write_tombstone(group.group_id, key, out)
            else:
                left = True
        return not left

    def _is_expired(
        self, group: Group, key: TopicPartition, committed: CommittedOffset, now_ms: int
    ) -> bool:
        idle_since_ms = group.offsets_idle_since_ms(committed.commit_timestamp_ms)
        if idle_since_ms is None or group.is_subscribed(key[0]):
            return False
        if self.is_pending(group.group_id, key):
            return False
        if committed.expire_timestamp_ms != -1:
            return now_ms >= committed.expire_timestamp_ms
        return now_ms - idle_since_ms >= self._settings.offsets_retention_ms

    # ---- replay ----

    def replay(
        self, key: OffsetCommitKey, value: OffsetCommitValue | None, producer_id: int
    ) -> None:
        partition = (key.topic, key.partition)
        if value is None:
            self._forget(key.group, partition)
            return
        self._order += 1
        committed = CommittedOffset(
            offset=value.offset,
            leader_epoch=value.leader_epoch,
            metadata=value.metadata,
            commit_timestamp_ms=value.commit_timestamp,
            expire_timestamp_ms=value.expire_timestamp,
            topic_id=value.topic_id,
            order=self._order,
        )
        if producer_id == NO_PRODUCER:
            self._committed.setdefault(key.group, {})[partition] = committed
        else:
            groups = self._pending.setdefault(producer_id, {})
            groups.setdefault(key.group, {})[partition] = committed
            self._producers.setdefault(key.group, set()).add(producer_id)

    def replay_marker(self, producer: Producer, commit: bool) -> None:
        self._remember_epoch(producer)
        for group_id, offsets in self._pending.pop(producer.producer_id, {}).items():
            producers = self._producers[group_id]
            producers.discard(producer.producer_id)
            if not producers:
                del self._producers[group_id]
            if not commit:
                continue
            committed = self._committed.setdefault(group_id, {})
            for key, offset in offsets.items():
                known = committed.get(key)
                if known is None or known.order < offset.order:
                    committed[key] = offset

    def check_epoch(self, producer: Producer) -> None:
        """Refuse a commit that comes after the marker that has fenced its producer."""
        if producer.epoch < self._epochs.get(producer.producer_id, -1):
            raise ApiError(ErrorCode.INVALID_PRODUCER_EPOCH)

    def _remember_epoch(self, producer: Producer) -> None:
        self._epochs.pop(producer.producer_id, None)
        self._epochs[producer.producer_id] = producer.epoch
        if len(self._epochs) > _EPOCHS_MAX:
            del self._epochs[next(iter(self._epochs))]

    def _forget(self, group_id: str, key: TopicPartition) -> None:
        committed = self._committed.get(group_id)
        if committed is not None and committed.pop(key, None) is not None and not committed:
            del self._committed[group_id]
        for producer_id in self._producers.get(group_id, ()):
            self._pending[producer_id].get(group_id, {}).pop(key, None)

    def _pending_keys(self, group_id: str) -> Iterator[TopicPartition]:
        for producer_id in self._producers.get(group_id, ()):
            yield from self._pending[producer_id].get(group_id, {})


def _version_of(value: OffsetCommitValue) -> int:
    if value.expire_timestamp != -1:
        return _VERSION_WITH_EXPIRY
    return _VERSION if value.topic_id == NO_TOPIC_ID else _VERSION_WITH_TOPIC_ID


def _is_of_another_topic(committed: CommittedOffset, topic_id: bytes) -> bool:
    """A topic that was deleted and made again under its name starts without offsets."""
    return NO_TOPIC_ID not in (committed.topic_id, topic_id) and committed.topic_id != topic_id


def _write_tombstone(group_id: str, key: TopicPartition, out: Effects) -> None:
    out.write(OffsetCommitKey(group=group_id, topic=key[0], partition=key[1]), None)
