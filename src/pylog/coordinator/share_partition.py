"""The records of one partition that a share group works on (KIP-932), as a pure state machine.

Each offset from the start offset on is in one state; what lies below it is done.

    (not read yet) ──acquire──▶ ACQUIRED ──accept──▶ ACKNOWLEDGED
          │                      │   ▲  └──reject, gap──▶ ARCHIVED
          │                      │   └── renew: its lock begins anew
          │      release, lock over, member gone
          │                      ├── deliveries are left ──▶ AVAILABLE ──acquire──▶ ACQUIRED
          │                      └── it was the last one ──▶ ARCHIVED
          └── nothing to deliver there (a hole, a marker, an aborted batch) ──▶ ARCHIVED

In a group with a dead letter queue (KIP-1191) what is rejected or was delivered too often is
ARCHIVING until its dead letter is written. The start offset moves over ACKNOWLEDGED and ARCHIVED.

Locks are not durable: after a restart what was ACQUIRED is read again. Every change that must
survive comes back as a :class:`Change`; whoever asked is answered when that is stored. Times are
milliseconds of one clock, whichever.
"""

from __future__ import annotations

import enum
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pylog.coordinator.offset_ranges import OffsetRanges
from pylog.protocol.errors import ApiError, ErrorCode


class RecordState(enum.IntEnum):
    """As stored and sent."""

    AVAILABLE = 0
    ACQUIRED = 1
    ACKNOWLEDGED = 2
    ARCHIVING = 3
    ARCHIVED = 4


class AcknowledgeType(enum.IntEnum):
    """What a member says of a record; GAP: there is none at this offset."""

    GAP = 0
    ACCEPT = 1
    RELEASE = 2
    REJECT = 3
    RENEW = 4


DONE: Final = frozenset({RecordState.ACKNOWLEDGED, RecordState.ARCHIVED})
NOBODY: Final = ""


class InFlight(NamedTuple):
    """The state of an offset; ``deliveries`` counts the one under way too."""

    state: RecordState
    deliveries: int
    member_id: str = NOBODY
    lock_until_ms: int = 0


class StateBatch(NamedTuple):
    """Offsets in one state that is worth to be stored."""

    first_offset: int
    last_offset: int
    state: int
    deliveries: int


class Failure(enum.Enum):
    """Why a record is given up; UNTOLD: a restart has forgotten it."""

    REJECTED = enum.auto()
    TOO_OFTEN = enum.auto()
    UNTOLD = enum.auto()


class DeadLetter(NamedTuple):
    """Offsets that are given up, all delivered so many times."""

    first_offset: int
    last_offset: int
    deliveries: int
    failure: Failure


@dataclass(slots=True)
class Change:
    """What has to be stored; then ``letters`` are to be written. ``start_offset``: where the
    partition begins now."""

    start_offset: int
    batches: list[StateBatch] = field(default_factory=list)
    done_count: int = 0  # offsets from the start offset on that are done
    letters: list[DeadLetter] = field(default_factory=list)

    @property
    def gives_back(self) -> bool:
        """Whether there are records among it that somebody else may have."""
        return any(batch.state is RecordState.AVAILABLE for batch in self.batches)


class Acquired(NamedTuple):
    """Offsets that a member got, all delivered so many times."""

    first_offset: int
    last_offset: int
    deliveries: int


class LogBatch(NamedTuple):
    """A batch of the log. ``deliverable`` is false for markers and what is to be skipped."""

    first_offset: int
    last_offset: int
    deliverable: bool


class AcknowledgedBatch(NamedTuple):
    """Acknowledgement types of a range: one for all of it, or one for each offset."""

    first_offset: int
    last_offset: int
    types: Sequence[int]


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of the group: most deliveries of a record, most records in flight."""

    deliveries: int = 5
    in_flight: int = 2000
    lock_ms: int = 30_000
    dead_letters: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What a member wants. ``max_records`` is exceeded to the end of a batch unless ``strict``;
    ``batch_size`` is how many records it likes to acknowledge together."""

    member_id: str
    max_records: int
    batch_size: int
    strict: bool = False


class SharePartition:
    """The state machine; ``start_offset`` and ``batches`` are what was stored."""

    def __init__(self, start_offset: int, batches: Iterable[StateBatch] = ()) -> None:
        self.start_offset = start_offset
        self._offsets: OffsetRanges[InFlight] = OffsetRanges()
        self._done = 0  # offsets from the start offset on that are done
        self._nothing_below = start_offset  # nobody can be given what lies below
        for batch in batches:
            state = RecordState(batch.state)
            if state is RecordState.ACQUIRED:  # a lock does not outlive its broker
                state = RecordState.AVAILABLE
            if batch.last_offset >= start_offset:
                first = max(batch.first_offset, start_offset)
                self._put(first, batch.last_offset, InFlight(state, batch.deliveries))
        self._count_done()
        self._trim()

    # ---- looking ----

    @property
    def end_offset(self) -> int:
        """The first offset that nobody was given yet, above all that somebody was."""
        return max(self._offsets.last + 1, self.start_offset)

    def next_offset(self, limits: Limits) -> int | None:
        """Where to read for the next member; None: too many records are in flight."""
        at = max(self.start_offset, self._nothing_below)
        for item in self._offsets.from_offset(at):
            if item.first > at or item.value.state is RecordState.AVAILABLE:
                break
            at = item.last + 1
        self._nothing_below = at
        if at < self.end_offset or at - self.start_offset < limits.in_flight:
            return at
        return None

    def next_lock_end_ms(self) -> int | None:
        """When the first lock is over; None when nothing is acquired."""
        return min(
            (item.value.lock_until_ms for item in self._offsets if _is_acquired(item.value)),
            default=None,
        )

    def undelivered(self) -> list[DeadLetter]:
        """Dead letters that are still to be written, as far as was stored."""
        return [
            DeadLetter(item.first, item.last, item.value.deliveries, Failure.UNTOLD)
            for item in self._offsets
            if item.value.state is RecordState.ARCHIVING
        ]

    def acquired_by(self, member_id: str) -> bool:
        return any(item.value.member_id == member_id for item in self._offsets)

    # ---- acquiring ----

    def acquire(
        self, wish: Wish, read_from: int, batches: Sequence[LogBatch], limits: Limits, now_ms: int
    ) -> list[Acquired]:
        """Give a member what it may have of ``batches``, which were read at ``read_from``."""
        given: list[Acquired] = []
        left = wish.max_records
        at = max(read_from, self.start_offset)
        lock = InFlight(RecordState.ACQUIRED, 0, wish.member_id, now_ms + limits.lock_ms)
        for batch in batches:
            if batch.first_offset > at:
                self._archive_unread(at, batch.first_offset - 1)
            first = max(batch.first_offset, self.start_offset)
            at = max(at, batch.last_offset + 1)
            if first > batch.last_offset:
                continue
            if not batch.deliverable:
                self._archive_unread(first, batch.last_offset)
                continue
            if left <= 0 or self._is_full(first, limits):
                break
            free, isolated = self._free(first, batch.last_offset, limits)
            if isolated and given:
                break
            taken = self._lock(free, lock, left if wish.strict else batch.last_offset - first + 1)
            left = 0 if isolated else left - sum(_size(item) for item in taken)
            given += taken
        return _in_pieces(given, batches, wish.batch_size)

    def _is_full(self, offset: int, limits: Limits) -> bool:
        return offset >= self.end_offset and offset - self.start_offset >= limits.in_flight

    def _free(self, first: int, last: int, limits: Limits) -> tuple[list[Acquired], bool]:
        """What may be delivered next in a range; whether that is to go alone."""
        free: list[Acquired] = []
        for item in self._offsets.over(first, last):
            deliveries = 0
            if item.value is not None:
                if item.value.state is not RecordState.AVAILABLE:
                    continue
                deliveries = item.value.deliveries
            together = _most_together(deliveries, len(item), limits)
            if together is not None:
                part = Acquired(item.first, item.first + together - 1, deliveries + 1)
                return (free, False) if free else ([part], True)
            free.append(Acquired(item.first, item.last, deliveries + 1))
        return free, False

    def _lock(self, free: Iterable[Acquired], lock: InFlight, room: int) -> list[Acquired]:
        """Give these to the lock's member, up to ``room`` records."""
        taken = []
        for first, last, deliveries in free:
            last = min(last, first + room - 1)
            if first > last:
                break
            self._put(first, last, lock._replace(deliveries=deliveries))
            taken.append(Acquired(first, last, deliveries))
            room -= last - first + 1
        return taken

    def _archive_unread(self, first: int, last: int) -> None:
        for item in self._offsets.over(max(first, self.start_offset), last):
            if item.value is None or item.value.state is RecordState.AVAILABLE:
                self._put(item.first, item.last, InFlight(RecordState.ARCHIVED, 0))
        self._trim()

    # ---- acknowledging ----

    def acknowledge(
        self, member_id: str, batches: Sequence[AcknowledgedBatch], limits: Limits, now_ms: int
    ) -> Change:
        """All of it or nothing: INVALID_RECORD_STATE when the member does not hold a record,
        INVALID_REQUEST for offsets above all that is in flight. What lies below the start offset
        is done already and passed over."""
        pieces = [piece for batch in batches for piece in self._pieces_of(batch, member_id)]
        rejected = {first for first, _, _, kind in pieces if kind == AcknowledgeType.REJECT}
        return self._change(
            [
                (first, last, _after(value, kind, limits, now_ms))
                for first, last, value, kind in pieces
            ],
            rejected,
        )

    def _pieces_of(
        self, batch: AcknowledgedBatch, member_id: str
    ) -> list[tuple[int, int, InFlight, int]]:
        if batch.last_offset >= self.end_offset and self._offsets:
            raise ApiError(ErrorCode.INVALID_REQUEST, "Records were acknowledged before delivery.")
        pieces = []
        for first, last, kind in _by_type(batch):
            if last < self.start_offset:
                continue
            for item in self._offsets.over(max(first, self.start_offset), last):
                value = item.value
                if value is None or not _is_acquired(value) or value.member_id != member_id:
                    raise ApiError(
                        ErrorCode.INVALID_RECORD_STATE, "The member does not hold these records."
                    )
                pieces.append((item.first, item.last, value, kind))
        return pieces

    def release(self, member_id: str, limits: Limits) -> Change:
        """The member is gone, or does not want what it has not acknowledged."""
        return self._change(
            [
                (item.first, item.last, _released(item.value, limits))
                for item in self._offsets
                if item.value.member_id == member_id
            ]
        )

    def expire(self, limits: Limits, now_ms: int) -> Change:
        """Take back what is locked for too long."""
        return self._change(
            [
                (item.first, item.last, _released(item.value, limits))
                for item in self._offsets
                if _is_acquired(item.value) and item.value.lock_until_ms <= now_ms
            ]
        )

    def buried(self, letters: Iterable[DeadLetter]) -> Change:
        """These dead letters are written, or can't be."""
        return self._change(
            [
                (item.first, item.last, item.value._replace(state=RecordState.ARCHIVED))
                for letter in letters
                for item in self._offsets.over(letter.first_offset, letter.last_offset)
                if item.value is not None and item.value.state is RecordState.ARCHIVING
            ]
        )

    def log_starts_at(self, offset: int) -> Change:
        """What lies below was deleted from the log."""
        if offset > self.start_offset:
            self.start_offset = offset
            self._offsets.drop_below(offset)
            self._count_done()
            self._trim()
        return self._change([])

    def _change(
        self, pieces: Iterable[tuple[int, int, InFlight]], rejected: Container[int] = ()
    ) -> Change:
        """``rejected``: first offsets of pieces that a member did not want."""
        stored, letters = [], []
        for first, last, value in pieces:
            self._put(first, last, value)
            if not _is_acquired(value):
                stored.append(StateBatch(first, last, value.state, value.deliveries))
            if value.state is RecordState.ARCHIVING:
                failure = Failure.REJECTED if first in rejected else Failure.TOO_OFTEN
                letters.append(DeadLetter(first, last, value.deliveries, failure))
        self._trim()
        live = [batch for batch in stored if batch.last_offset >= self.start_offset]
        return Change(self.start_offset, live, self._done, letters)

    def _put(self, first: int, last: int, value: InFlight) -> None:
        """No offset that is done is ever put again."""
        self._offsets.put(first, last, value)
        if value.state in DONE:
            self._done += last - first + 1
        elif value.state is RecordState.AVAILABLE:
            self._nothing_below = min(self._nothing_below, first)

    def _count_done(self) -> None:
        self._done = sum(len(item) for item in self._offsets if item.value.state in DONE)

    def _trim(self) -> None:
        """Move the start offset over what is done."""
        for item in self._offsets:
            if item.first > self.start_offset or item.value.state not in DONE:
                break
            self._done -= len(item)
            self.start_offset = item.last + 1
        self._offsets.drop_below(self.start_offset)


def _most_together(deliveries: int, count: int, limits: Limits) -> int | None:
    """How many of ``count`` records go together after so many deliveries; None: any number.

    From half of the limit on they go in ever smaller parts, at last alone: so a record that can't
    be processed does not take its neighbours along to the limit.
    """
    if limits.deliveries <= 2 or 2 * deliveries < limits.deliveries:
        return None
    return 1 if deliveries + 1 >= limits.deliveries else max(count // 2, 1)


def _is_acquired(value: InFlight) -> bool:
    return value.state is RecordState.ACQUIRED


def _released(value: InFlight, limits: Limits) -> InFlight:
    last = value.deliveries >= limits.deliveries
    return InFlight(_given_up(limits) if last else RecordState.AVAILABLE, value.deliveries)


def _given_up(limits: Limits) -> RecordState:
    return RecordState.ARCHIVING if limits.dead_letters else RecordState.ARCHIVED


def _after(value: InFlight, kind: int, limits: Limits, now_ms: int) -> InFlight:
    if kind == AcknowledgeType.ACCEPT:
        return InFlight(RecordState.ACKNOWLEDGED, value.deliveries)
    if kind == AcknowledgeType.RELEASE:
        return _released(value, limits)
    if kind == AcknowledgeType.RENEW:
        return value._replace(lock_until_ms=now_ms + limits.lock_ms)
    state = _given_up(limits) if kind == AcknowledgeType.REJECT else RecordState.ARCHIVED
    return InFlight(state, value.deliveries)


def _by_type(batch: AcknowledgedBatch) -> list[tuple[int, int, int]]:
    """Ranges of one acknowledgement type."""
    if len(batch.types) == 1:
        return [(batch.first_offset, batch.last_offset, batch.types[0])]
    ranges: list[tuple[int, int, int]] = []
    for offset, kind in enumerate(batch.types, batch.first_offset):
        if ranges and ranges[-1][2] == kind:
            ranges[-1] = (ranges[-1][0], offset, kind)
        else:
            ranges.append((offset, offset, kind))
    return ranges


def _in_pieces(
    given: Sequence[Acquired], batches: Sequence[LogBatch], batch_size: int
) -> list[Acquired]:
    """Neighbours joined, cut behind the log batch with which ``batch_size`` is reached."""
    ends = {batch.last_offset for batch in batches}
    pieces: list[Acquired] = []
    for item in given:
        before = pieces[-1] if pieces else None
        if (
            before is not None
            and before.last_offset + 1 == item.first_offset
            and before.deliveries == item.deliveries
            and not (before.last_offset in ends and _size(before) >= max(batch_size, 1))
        ):
            pieces[-1] = before._replace(last_offset=item.last_offset)
        else:
            pieces.append(item)
    return pieces


def _size(acquired: Acquired) -> int:
    return acquired.last_offset - acquired.first_offset + 1
