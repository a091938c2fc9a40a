"""Reading the files of a log without an engine, for tools. Formats: Kafka's; see ``verify``."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pylog.codec import CodecError, RecordBatch, decode_batches
from pylog.engine.values import AbortedTransaction

LOG, OFFSET_INDEX, TIME_INDEX = ".log", ".index", ".timeindex"
TXN_INDEX, SNAPSHOT = ".txnindex", ".snapshot"
_OFFSET_ENTRY: Final = struct.Struct(">II")
_TIME_ENTRY: Final = struct.Struct(">qI")
_TXN_ENTRY: Final = struct.Struct(">hqqqq")
_SIZE_AT: Final = struct.Struct(">8xi")
_SIZE_FROM: Final = 12  # a batch's length counts what follows its base offset and itself
_BLOCK_BYTES: Final = 4 * 1024 * 1024


class DamagedFile(Exception):
    """What is at ``position`` of ``path`` is not what belongs there."""

    def __init__(self, path: Path, position: int, what: str) -> None:
        super().__init__(f"{path} at byte {position}: {what}")
        self.path, self.position, self.what = path, position, what


class OffsetEntry(NamedTuple):
    """``offset``: the last of the batch at ``position``."""

    offset: int
    position: int


class TimeEntry(NamedTuple):
    """The highest timestamp up to an offset."""

    timestamp_ms: int
    offset: int


class PlacedBatch(NamedTuple):
    """A checked batch and where its segment has it."""

    position: int
    batch: RecordBatch


def file_name(offset: int, suffix: str) -> str:
    """The name of a segment's file, or of a snapshot."""
    return f"{offset:020d}{suffix}"


def offsets_of(folder: Path, suffix: str) -> list[int]:
    """Base offsets of the files with a suffix, ascending."""
    names = (path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}"))
    return sorted(int(name) for name in names if len(name) == 20 and name.isdigit())


def read_batches(path: Path) -> Iterator[PlacedBatch]:
    """The batches of a segment; :class:`DamagedFile` at the first that is torn or corrupt."""
    with open(path, "rb", buffering=0) as file:
        position = 0
        while block := _read_block(file.fileno(), path, position):
            for batch in _decode(path, position, block):
                yield PlacedBatch(position, batch)
                position += batch.size


def _read_block(descriptor: int, path: Path, position: int) -> bytes:
    """Some whole batches, or one that is larger than a block."""
    block = os.pread(descriptor, _BLOCK_BYTES, position)
    if not block:
        return block
    if len(block) < _SIZE_FROM:
        raise DamagedFile(path, position, "torn batch")
    size = _SIZE_FROM + _SIZE_AT.unpack_from(block)[0]
    if size > len(block) and len(block) == _BLOCK_BYTES:
        block = os.pread(descriptor, size, position)
    if size > len(block):
        raise DamagedFile(path, position, "torn batch")
    return block


def _decode(path: Path, position: int, block: bytes) -> Iterator[RecordBatch]:
    done = 0
    try:
        for batch in decode_batches(block):
            done += batch.size
            yield batch
    except CodecError as error:
        raise DamagedFile(path, position + done, str(error)) from None
    if not done:
        raise DamagedFile(path, position, "torn batch")


def _entries(path: Path, entry: struct.Struct) -> list[tuple[int, ...]]:
    data = path.read_bytes()
    rest = len(data) % entry.size
    if rest:
        raise DamagedFile(path, len(data) - rest, "torn entry")
    return list(entry.iter_unpack(data))


def read_offset_index(path: Path, base_offset: int) -> list[OffsetEntry]:
    """All entries; :class:`DamagedFile`, FileNotFoundError."""
    entries = _without_room(_entries(path, _OFFSET_ENTRY))
    return [OffsetEntry(base_offset + offset, position) for offset, position in entries]


def read_time_index(path: Path, base_offset: int) -> list[TimeEntry]:
    """All entries; :class:`DamagedFile`, FileNotFoundError."""
    entries = _without_room(_entries(path, _TIME_ENTRY))
    return [TimeEntry(timestamp_ms, base_offset + offset) for timestamp_ms, offset in entries]


def _without_room(entries: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Kafka fills the index of a segment that is written to with zeros, up to its full size."""
    while entries and not any(entries[-1]):
        entries.pop()
    return entries


def read_txn_index(path: Path) -> list[AbortedTransaction]:
    """All entries; none without a file. :class:`DamagedFile`."""
    try:
        entries = _entries(path, _TXN_ENTRY)
    except FileNotFoundError:
        return []
    for number, (version, *_) in enumerate(entries):
        if version != 0:
            raise DamagedFile(path, number * _TXN_ENTRY.size, f"entry of version {version}")
    return [AbortedTransaction(*entry[1:]) for entry in entries]


def entry_bytes(suffix: str) -> int:
    """The size of an entry of an index."""
    return {OFFSET_INDEX: _OFFSET_ENTRY, TIME_INDEX: _TIME_ENTRY, TXN_INDEX: _TXN_ENTRY}[
        suffix
    ].size
