"""One shard of ``__share_group_state``: how far share groups are in partitions (KIP-932).

    nothing ──initialize──▶ kept ──write (leader epoch, state epoch)──▶ kept
                             └──────────────delete──▶ nothing

A share partition's leader reads its state once and writes every change. Two epochs fence old
writers: that of the leader, and that of the state, which an initialization raises. In the log a
snapshot holds the whole state and updates what changed since; so a load begins anew at each
snapshot, and what lies below the first of the newest snapshots is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from pylog.coordinator.effects import Effects, Producer, Promise, Record, TimerName
from pylog.coordinator.offset_ranges import OffsetRanges
from pylog.coordinator.share_partition import DONE, StateBatch
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records.share_state import (
    ShareSnapshotKey,
    ShareSnapshotValue,
    ShareSnapshotValueStateBatch,
    ShareUpdateKey,
    ShareUpdateValue,
    ShareUpdateValueStateBatch,
)
from pylog.protocol.uuids import uuid_from_text, uuid_to_text

B = TypeVar("B")

UNSET = -1  # start offset that nobody has chosen yet
NO_EPOCH = 0  # of the leader, until one has read the state
Ranges = OffsetRanges[tuple[int, int]]  # state and deliveries


class SharePartitionKey(NamedTuple):
    """A partition for a share group."""

    group_id: str
    topic_id: bytes
    partition: int

    def text(self) -> str:
        """What FindCoordinator names it; its hash gives the shard."""
        return f"{self.group_id}:{uuid_to_text(self.topic_id)}:{self.partition}"

    @classmethod
    def parse(cls, text: str) -> SharePartitionKey:
        """The key of a text, as FindCoordinator has it; ValueError for anything else."""
        parts = text.rsplit(":", 2)
        if len(parts) < 3 or not parts[0] or not parts[2].isdecimal():
            raise ValueError(f"no share partition: {text!r}")
        group_id, topic_id, partition = parts
        return cls(group_id, uuid_from_text(topic_id), int(partition))


@dataclass(frozen=True, slots=True)
class ShareState:
    """What is known of a share partition; ``done_count`` -1: not told. ``ranges`` have the state
    and the deliveries of offsets, and are changed in place by what is replayed."""

    state_epoch: int
    leader_epoch: int = NO_EPOCH
    start_offset: int = UNSET
    done_count: int = -1
    ranges: Ranges = field(default_factory=OffsetRanges)
    snapshot_epoch: int = 0
    created_ms: int = 0
    updates: int = 0  # since the snapshot

    @property
    def batches(self) -> tuple[StateBatch, ...]:
        return tuple(StateBatch(item.first, item.last, *item.value) for item in self.ranges)

    def copy(self) -> ShareState:
        """It stays as it is now."""
        return replace(self, ranges=OffsetRanges(self.ranges))


@dataclass(frozen=True, slots=True)
class StateWrite:
    """A change by the leader of a share partition; ``start_offset`` UNSET leaves it."""

    leader_epoch: int
    state_epoch: int
    start_offset: int
    done_count: int = -1
    batches: Sequence[StateBatch] = field(default_factory=tuple)


class ShareStateShard:
    """States by share partition. Every public method is one step, or a look."""

    def __init__(self, updates_per_snapshot: int = 500) -> None:
        self.states: dict[SharePartitionKey, ShareState] = {}
        self._updates_per_snapshot = updates_per_snapshot
        self._snapshots: dict[SharePartitionKey, int] = {}  # offsets of the newest

    # ---- steps ----

    def begin(
        self, key: SharePartitionKey, state_epoch: int, promise: Promise, now_ms: int
    ) -> Effects:
        """Initialize where there is no state yet: what is there may have records in flight."""
        if key not in self.states:
            return self.initialize(key, state_epoch, UNSET, promise, now_ms)
        out = Effects()
        out.reply(promise, None)
        return out

    def initialize(
        self,
        key: SharePartitionKey,
        state_epoch: int,
        start_offset: int,
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        """Begin anew; FENCED_STATE_EPOCH when a later state is here."""
        _check_numbers(key, "state", state_epoch)
        before = self.states.get(key)
        if before is not None and before.state_epoch > state_epoch:
            raise ApiError(ErrorCode.FENCED_STATE_EPOCH)
        epoch = 0 if before is None else before.snapshot_epoch + 1
        state = ShareState(
            state_epoch, start_offset=start_offset, snapshot_epoch=epoch, created_ms=now_ms
        )
        out = Effects()
        _write_snapshot(key, state, now_ms, out)
        out.reply(promise, None)
        return out

    def read(
        self, key: SharePartitionKey, leader_epoch: int, promise: Promise, now_ms: int
    ) -> Effects:
        """The answer is a ShareState; from now on a leader of an earlier epoch is refused."""
        _check_numbers(key, "leader", leader_epoch)
        state = self.find(key)
        out = Effects()
        if leader_epoch < state.leader_epoch:
            raise ApiError(ErrorCode.FENCED_LEADER_EPOCH)
        if leader_epoch > state.leader_epoch:
            self._write_change(
                key, state, StateWrite(leader_epoch, state.state_epoch, UNSET), now_ms, out
            )
        out.reply(promise, state.copy())
        return out

    def write(
        self, key: SharePartitionKey, write: StateWrite, promise: Promise, now_ms: int
    ) -> Effects:
        _check_numbers(key, "leader", write.leader_epoch)
        _check_numbers(key, "state", write.state_epoch)
        if any(batch.first_offset > batch.last_offset for batch in write.batches):
            raise ApiError(ErrorCode.INVALID_REQUEST, "A range of offsets ends before it begins.")
        state = self.find(key)
        if write.leader_epoch < state.leader_epoch:
            raise ApiError(ErrorCode.FENCED_LEADER_EPOCH)
        if write.state_epoch < state.state_epoch:
            raise ApiError(ErrorCode.FENCED_STATE_EPOCH)
        out = Effects()
        # Who leads is settled by reading: a write leaves that as it is.
        kept = replace(write, leader_epoch=state.leader_epoch)
        self._write_change(key, state, kept, now_ms, out)
        out.reply(promise, None)
        return out

    def delete(self, key: SharePartitionKey, promise: Promise) -> Effects:
        """Deleting what is not there is no error."""
        _check_numbers(key)
        out = Effects()
        if key in self.states:
            out.write(_snapshot_key(key), None)
        out.reply(promise, None)
        return out

    def find(self, key: SharePartitionKey) -> ShareState:
        state = self.states.get(key)
        if state is None:
            raise ApiError(ErrorCode.INVALID_REQUEST, "There is no such share state.")
        return state

    def delete_topics(self, topic_ids: set[bytes], promise: Promise) -> Effects:
        out = Effects()
        for key in self.states:
            if key.topic_id in topic_ids:
                out.write(_snapshot_key(key), None)
        out.reply(promise, None)
        return out

    def _write_change(
        self,
        key: SharePartitionKey,
        state: ShareState,
        write: StateWrite,
        now_ms: int,
        out: Effects,
    ) -> None:
        if state.updates >= self._updates_per_snapshot:
            after = replace(_changed(state.copy(), write), snapshot_epoch=state.snapshot_epoch + 1)
            _write_snapshot(key, after, now_ms, out)
        else:
            _write_update(key, state.snapshot_epoch, write, out)

    # ---- what is needed of the log ----

    def lowest_needed(self, end_offset: int) -> int:
        """From where on a load needs the log, which is committed up to ``end_offset``."""
        return min(self._snapshots.values(), default=end_offset)

    def usual_length(self) -> int:
        """Records that all states together take up, where all change equally often."""
        return 2 * len(self.states) * (self._updates_per_snapshot + 1)

    def renew_snapshots(self, below_offset: int, promise: Promise, now_ms: int) -> Effects:
        """Write again what has its snapshot below an offset: it changes less often than others."""
        out = Effects()
        for key, offset in self._snapshots.items():
            state = self.states.get(key)
            if offset < below_offset and state is not None:
                newer = replace(state, snapshot_epoch=state.snapshot_epoch + 1)
                _write_snapshot(key, newer, now_ms, out)
        out.reply(promise, None)
        return out

    # ---- what the runtime asks ----

    def on_stored(self, record: Record, offset: int) -> None:
        key = _key_of(record)
        if isinstance(record.value, ShareSnapshotValue):
            self._snapshots[key] = offset
        elif isinstance(record.key, ShareSnapshotKey):
            self._snapshots.pop(key, None)

    def on_loaded(self, now_ms: int) -> Effects:
        return Effects()

    def on_timer(self, name: TimerName, now_ms: int) -> Effects:
        raise AssertionError(f"no timer is ever set, but {name} is due")

    # ---- replay ----

    def replay(self, record: Record, producer_id: int) -> None:
        key = _key_of(record)
        value = record.value
        if isinstance(value, ShareSnapshotValue):
            self.states[key] = _restored(value)
        elif isinstance(value, ShareUpdateValue):
            state = self.states.get(key)
            if state is not None:
                self.states[key] = _changed(state, _restored_write(state, value))
        elif isinstance(record.key, ShareSnapshotKey):
            self.states.pop(key, None)

    def replay_marker(self, producer: Producer, commit: bool) -> None:
        raise AssertionError("share states are written outside transactions")


def _check_numbers(key: SharePartitionKey, whose: str = "", epoch: int = 0) -> None:
    if key.partition < 0:
        raise ApiError(ErrorCode.INVALID_REQUEST, "The partition is negative.")
    if epoch < 0:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"The {whose} epoch is negative.")


def _changed(state: ShareState, write: StateWrite) -> ShareState:
    """The state after a write: newer batches lie over older ones, what is done goes. The ranges
    are those of the state before, changed."""
    start = state.start_offset if write.start_offset == UNSET else write.start_offset
    for batch in write.batches:
        state.ranges.put(batch.first_offset, batch.last_offset, (batch.state, batch.deliveries))
    state.ranges.drop_below(start)
    return replace(
        state,
        leader_epoch=max(write.leader_epoch, state.leader_epoch),
        start_offset=start,
        done_count=write.done_count,
        updates=state.updates + 1,
    )


def done_count(state: ShareState) -> int:
    """Offsets from the start offset on that are done."""
    if state.done_count >= 0:
        return state.done_count
    return sum(
        batch.last_offset - batch.first_offset + 1 for batch in state.batches if batch.state in DONE
    )


# ---- records ----


def told(batches: Iterable[StateBatch], cls: Callable[..., B]) -> list[B]:
    """Batches as the structs of a record or an answer."""
    return [
        cls(
            first_offset=batch.first_offset,
            last_offset=batch.last_offset,
            delivery_state=batch.state,
            delivery_count=batch.deliveries,
        )
        for batch in batches
    ]


def _key_of(record: Record) -> SharePartitionKey:
    return SharePartitionKey(record.key.group_id, record.key.topic_id, record.key.partition)


def _snapshot_key(key: SharePartitionKey) -> ShareSnapshotKey:
    return ShareSnapshotKey(group_id=key.group_id, topic_id=key.topic_id, partition=key.partition)


def _write_snapshot(key: SharePartitionKey, state: ShareState, now_ms: int, out: Effects) -> None:
    value = ShareSnapshotValue(
        snapshot_epoch=state.snapshot_epoch,
        state_epoch=state.state_epoch,
        leader_epoch=state.leader_epoch,
        start_offset=state.start_offset,
        delivery_complete_count=state.done_count,
        create_timestamp=state.created_ms,
        write_timestamp=now_ms,
        state_batches=told(state.batches, ShareSnapshotValueStateBatch),
    )
    out.write(_snapshot_key(key), value)


def _write_update(
    key: SharePartitionKey, snapshot_epoch: int, write: StateWrite, out: Effects
) -> None:
    value = ShareUpdateValue(
        snapshot_epoch=snapshot_epoch,
        leader_epoch=write.leader_epoch,
        start_offset=write.start_offset,
        delivery_complete_count=write.done_count,
        state_batches=told(write.batches, ShareUpdateValueStateBatch),
    )
    out.write(
        ShareUpdateKey(group_id=key.group_id, topic_id=key.topic_id, partition=key.partition),
        value,
    )


def _restored(value: ShareSnapshotValue) -> ShareState:
    ranges: Ranges = OffsetRanges()
    for batch in _batches_of(value.state_batches):
        ranges.put(batch.first_offset, batch.last_offset, (batch.state, batch.deliveries))
    return ShareState(
        state_epoch=value.state_epoch,
        leader_epoch=value.leader_epoch,
        start_offset=value.start_offset,
        done_count=value.delivery_complete_count,
        ranges=ranges,
        snapshot_epoch=value.snapshot_epoch,
        created_ms=value.create_timestamp,
    )


def _restored_write(state: ShareState, value: ShareUpdateValue) -> StateWrite:
    return StateWrite(
        value.leader_epoch,
        state.state_epoch,
        value.start_offset,
        value.delivery_complete_count,
        _batches_of(value.state_batches),
    )


def _batches_of(
    batches: Iterable[ShareSnapshotValueStateBatch] | Iterable[ShareUpdateValueStateBatch],
) -> tuple[StateBatch, ...]:
    return tuple(
        StateBatch(b.first_offset, b.last_offset, b.delivery_state, b.delivery_count)
        for b in batches
    )
