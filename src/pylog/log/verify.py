"""Checks of a log's files against each other, without changing any.

Every batch by its checksum and records; offsets in order; every entry of an index against the
batch it points to; aborted transactions and producer snapshots against the batches before them;
leader epochs against those in the batches. What compaction has taken away is not missed: behind
a gap of offsets, transactions and producers are compared only as far as batches still tell.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from pylog.codec import CodecError, RecordBatch
from pylog.engine.producers import ProducerTracker
from pylog.engine.values import AbortedTransaction
from pylog.log.checkpoint import LEADER_EPOCH_FILE, MalformedCheckpoint, read_leader_epochs
from pylog.log.files import (
    LOG,
    OFFSET_INDEX,
    SNAPSHOT,
    TIME_INDEX,
    TXN_INDEX,
    DamagedFile,
    OffsetEntry,
    TimeEntry,
    entry_bytes,
    file_name,
    offsets_of,
    read_batches,
    read_offset_index,
    read_time_index,
    read_txn_index,
)

_MAX_RELATIVE_OFFSET: Final = 2**31 - 1


class Finding(NamedTuple):
    """Something wrong; ``position`` is a byte of the file, None for the file as a whole."""

    path: Path
    position: int | None
    what: str

    def __str__(self) -> str:
        at = "" if self.position is None else f" at byte {self.position}"
        return f"{self.path}{at}: {self.what}"


class LogEnd(NamedTuple):
    """What checkpoints say of a log; None when they say nothing."""

    start_offset: int | None = None
    end_offset: int | None = None  # exact: the log was closed in order


_UNKNOWN_END: Final = LogEnd()


class LogCheck:
    """One walk over a log. ``growing``: a broker may be writing to its last segment."""

    def __init__(self, folder: Path, *, end: LogEnd = _UNKNOWN_END, growing: bool = False) -> None:
        self._folder = folder
        self._end = end
        self._growing = growing
        self.findings: list[Finding] = []
        self.end_offset = 0  # behind the last good batch
        self._compacted = False
        self._tracker = ProducerTracker()
        self._epochs: list[tuple[int, int]] = []

    def run(self) -> list[Finding]:
        """Look at everything."""
        bases = offsets_of(self._folder, LOG)
        self._snapshots = offsets_of(self._folder, SNAPSHOT)
        self._known_from = bases[0] if bases else 0
        self.end_offset = self._known_from
        self._guard(self._read_epochs)
        self._begin_producers()
        for base in bases:
            last = base == bases[-1]
            self._guard(partial(self._check_segment, base, last))
        if not self.findings:
            self._check_end(bool(bases))
        return self.findings

    def _tell(self, suffix: str, base: int, position: int | None, what: str) -> None:
        self.findings.append(Finding(self._folder / file_name(base, suffix), position, what))

    def _guard(self, check: Callable[[], None]) -> None:
        try:
            check()
        except DamagedFile as error:
            self.findings.append(Finding(error.path, error.position, error.what))
        except FileNotFoundError:
            if not self._growing:  # retention may have taken it meanwhile
                raise
        except MalformedCheckpoint as error:
            path = self._folder / LEADER_EPOCH_FILE
            self.findings.append(Finding(path, None, str(error).removeprefix(f"{path}: ")))

    # ---- segments ----

    def _check_segment(self, base: int, last: bool) -> None:
        """Indexes are read first: a broker writes a batch before its entries."""
        if base < self.end_offset:
            self._tell(
                LOG, base, None, f"begins below {self.end_offset}, the end of the one before"
            )
        self._compacted |= base > self.end_offset
        self.end_offset = max(base, self.end_offset)
        checks: list[_IndexCheck] = []
        self._guard(lambda: checks.append(_OffsetCheck(self._offset_entries(base))))
        self._guard(lambda: checks.append(_TimeCheck(self._time_entries(base))))
        aborted: list[AbortedTransaction] = []
        self._guard(lambda: aborted.extend(read_txn_index(self._path(base, TXN_INDEX))))
        expected = self._walk(base, last, checks)
        sealed = not last or self._end.end_offset is not None
        for check in checks:
            for number, what in check.end(sealed):
                self._tell(check.suffix, base, number * entry_bytes(check.suffix), what)
        self._check_aborted(base, aborted, expected)

    def _path(self, base: int, suffix: str) -> Path:
        return self._folder / file_name(base, suffix)

    def _offset_entries(self, base: int) -> list[OffsetEntry]:
        path = self._path(base, OFFSET_INDEX)
        return read_offset_index(path, base) if path.exists() else []

    def _time_entries(self, base: int) -> list[TimeEntry]:
        path = self._path(base, TIME_INDEX)
        return read_time_index(path, base) if path.exists() else []

    def _walk(self, base: int, last: bool, checks: list[_IndexCheck]) -> list[AbortedTransaction]:
        expected = []
        try:
            for position, batch in read_batches(self._path(base, LOG)):
                self._check_batch(base, position, batch)
                self._check_snapshots(batch.base_offset)
                self.end_offset = batch.last_offset + 1
                for check in checks:
                    check.add(position, batch)
                if batch.producer_id >= 0 and (ended := self._tracker.add(bytes(batch))):
                    expected.append(ended)
        except DamagedFile as error:
            if not (last and self._growing and error.what == "torn batch"):
                raise
        return expected

    def _check_batch(self, base: int, position: int, batch: RecordBatch) -> None:
        path = self._path(base, LOG)
        if batch.base_offset < self.end_offset:
            what = f"offset {batch.base_offset} where {self.end_offset} is the lowest possible"
            raise DamagedFile(path, position, what)
        if batch.last_offset - base > _MAX_RELATIVE_OFFSET:
            raise DamagedFile(path, position, f"offset {batch.last_offset} is too far away")
        self._compacted |= batch.base_offset > self.end_offset
        epoch = self._epoch_of(batch)
        newer = self._growing and batch.partition_leader_epoch > epoch
        if batch.partition_leader_epoch != epoch and not newer:
            what = f"leader epoch {batch.partition_leader_epoch}, not {epoch} as checkpointed"
            self._tell(LOG, base, position, what)
        try:
            for _ in batch:
                pass
        except CodecError as error:
            raise DamagedFile(path, position, str(error)) from None

    # ---- leader epochs ----

    def _read_epochs(self) -> None:
        self._epochs = read_leader_epochs(self._folder / LEADER_EPOCH_FILE)

    def _epoch_of(self, batch: RecordBatch) -> int:
        """As checkpointed. Nothing is, below the start of the log: then its own."""
        number = bisect_right(self._epochs, batch.base_offset, key=lambda entry: entry[1])
        if number == 0 and self._epochs:
            return batch.partition_leader_epoch
        return self._epochs[number - 1][0] if number else -1

    # ---- producers ----

    def _begin_producers(self) -> None:
        """Retention has taken batches: the oldest snapshot stands for them."""
        if self._snapshots and self._snapshots[0] <= self._known_from:
            self._load(self._tracker, self._snapshots.pop(0))

    def _load(self, tracker: ProducerTracker, offset: int) -> None:
        path = self._path(offset, SNAPSHOT)
        try:
            tracker.load(path.read_bytes())
        except ValueError as error:
            self.findings.append(Finding(path, None, str(error)))

    def _check_snapshots(self, offset: int) -> None:
        """Those that stand for everything below an offset, now that it is reached."""
        while self._snapshots and self._snapshots[0] <= offset:
            at = self._snapshots.pop(0)
            stored = ProducerTracker()
            self._load(stored, at)
            known = self._tracker.producers()
            for producer_id, view in stored.producers().items():
                walked = known.get(producer_id)
                if walked and not self._compacted and walked[1:3] != view[1:3]:
                    self._tell(SNAPSHOT, at, None, f"producer {producer_id} is not as its batches")

    def _check_aborted(
        self, base: int, stored: list[AbortedTransaction], expected: list[AbortedTransaction]
    ) -> None:
        if self._compacted:
            markers = {(item.producer_id, item.last_offset) for item in stored}
            wrong = [i for i in expected if (i.producer_id, i.last_offset) not in markers]
        else:
            wrong = [item for item in {*stored} ^ {*expected} if item[1] >= self._known_from]
        for item in wrong:
            where = "is not among the batches" if item in stored else "is missing"
            what = f"aborted transaction of producer {item.producer_id} {where}"
            self._tell(TXN_INDEX, base, None, f"{what}, marker at {item.last_offset}")

    # ---- the end ----

    def _check_end(self, any_segment: bool) -> None:
        self._check_snapshots(self.end_offset)
        if self._snapshots and not self._growing:
            self._tell(SNAPSHOT, self._snapshots[0], None, f"beyond the end, {self.end_offset}")
        end = self._end.end_offset
        if end is not None and any_segment and end != self.end_offset:
            what = f"the log ends at {self.end_offset}, but was closed at {end}"
            self.findings.append(Finding(self._folder, None, what))
        for epoch, start in self._epochs:
            if start > self.end_offset and not self._growing:
                what = f"epoch {epoch} begins at {start}, beyond the end {self.end_offset}"
                self.findings.append(Finding(self._folder / LEADER_EPOCH_FILE, None, what))
        start_offset = self._end.start_offset
        if end is not None and self._epochs and start_offset is not None:
            first = self._epochs[0][1]
            if max(start_offset, self._known_from) != first:
                what = f"epochs begin at {first}, the log at {start_offset}"
                self.findings.append(Finding(self._folder / LEADER_EPOCH_FILE, None, what))


# ---- entries against batches ----


class _IndexCheck:
    suffix: str

    def add(self, position: int, batch: RecordBatch) -> None:
        raise NotImplementedError

    def end(self, sealed: bool) -> Iterator[tuple[int, str]]:
        """Entry numbers and what is wrong with them; no more batches come."""
        raise NotImplementedError


class _OffsetCheck(_IndexCheck):
    suffix = OFFSET_INDEX

    def __init__(self, entries: list[OffsetEntry]) -> None:
        self._entries = entries
        self._next = 0
        self._wrong: list[tuple[int, str]] = []

    def add(self, position: int, batch: RecordBatch) -> None:
        while self._next < len(self._entries) and self._entries[self._next].position <= position:
            entry = self._entries[self._next]
            if entry != (batch.last_offset, position):
                self._wrong.append((self._next, f"no batch {tuple(entry)}"))
            self._next += 1

    def end(self, sealed: bool) -> Iterator[tuple[int, str]]:
        yield from self._wrong
        if self._next < len(self._entries):
            yield self._next, f"no batch {tuple(self._entries[self._next])}"


class _TimeCheck(_IndexCheck):
    suffix = TIME_INDEX

    def __init__(self, entries: list[TimeEntry]) -> None:
        self._entries = entries
        self._next = 0
        self._highest = -1
        self._wrong: list[tuple[int, str]] = []

    def add(self, position: int, batch: RecordBatch) -> None:
        if batch.max_timestamp_ms <= self._highest:
            return
        self._highest = batch.max_timestamp_ms
        while self._next < len(self._entries):
            entry = self._entries[self._next]
            if entry.timestamp_ms > self._highest:
                return
            inside = batch.base_offset <= entry.offset <= batch.last_offset
            if entry.timestamp_ms != self._highest or not inside:
                self._wrong.append((self._next, f"no batch has {tuple(entry)}"))
            self._next += 1

    def end(self, sealed: bool) -> Iterator[tuple[int, str]]:
        yield from self._wrong
        if self._next < len(self._entries):
            yield self._next, f"no batch has {tuple(self._entries[self._next])}"
        elif sealed and self._highest > -1:
            last = self._entries[-1].timestamp_ms if self._entries else None
            if last != self._highest:
                yield len(self._entries), f"the highest timestamp, {self._highest}, is missing"
