"""Append and read of a partition's log, beside a file that a Python program would keep.

Both check the batch's CRC-32C, give it its offset and know where each offset is.
"""

from __future__ import annotations

import os
import random
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.conftest import NoteRate
from pylog import codec
from pylog.bench.pieces import Log

APPENDS, READS, MAX_BYTES = 1000, 1000, 1 << 20
VALUE = b"x" * 100
LIBRARIES = pytest.mark.parametrize("library", ["pylog", "python"])
COUNTS = pytest.mark.parametrize("count", [1, 10, 100, 1000])
CHECKED_FROM = 21  # of a batch: its CRC-32C covers what follows


class PythonLog:
    """What somebody would write in an afternoon: a file, and a list of its offsets."""

    def __init__(self, folder: Path) -> None:
        self._crc32c = pytest.importorskip("crc32c").crc32c
        folder.mkdir(exist_ok=True)
        self._fd = os.open(folder / "log", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self._offsets: list[int] = []
        self._positions = [0]
        self._next = 0

    def close(self) -> None:
        os.close(self._fd)

    def append(self, batch: bytes, count: int, per_write: int) -> None:
        for start in range(0, count, per_write):
            staged = [self._checked(batch) for _ in range(min(per_write, count - start))]
            os.writev(self._fd, staged)

    def _checked(self, batch: bytes) -> bytearray:
        (crc,) = struct.unpack_from(">I", batch, 17)
        if self._crc32c(batch[CHECKED_FROM:]) != crc:
            raise ValueError("corrupt batch")
        (last_offset_delta,) = struct.unpack_from(">i", batch, 23)
        stored = bytearray(batch)
        struct.pack_into(">q", stored, 0, self._next)
        self._offsets.append(self._next)
        self._positions.append(self._positions[-1] + len(batch))
        self._next += last_offset_delta + 1
        return stored

    def read(self, offsets: Sequence[int], max_bytes: int) -> int:
        return sum(len(self._read(offset, max_bytes)) for offset in offsets)

    def _read(self, offset: int, max_bytes: int) -> bytes:
        first = bisect_right(self._offsets, offset) - 1
        start = self._positions[first]
        last = bisect_right(self._positions, start + max_bytes) - 1
        return os.pread(self._fd, self._positions[last] - start, start)


@contextmanager
def log_of(library: str, folder: Path) -> Iterator[Log | PythonLog]:
    with closing(Log(folder / "topic-0") if library == "pylog" else PythonLog(folder)) as log:
        yield log


def batch_of(count: int) -> bytes:
    builder = codec.BatchBuilder()
    for _ in range(count):
        builder.append(None, VALUE, 1_700_000_000_000)
    return builder.build()


@LIBRARIES
@COUNTS
@pytest.mark.benchmark(group="append 1,000 batches, 16 a write, by records of a batch")
def test_append(
    benchmark: BenchmarkFixture, note_rate: NoteRate, library: str, count: int, tmp_path: Path
) -> None:
    batch = batch_of(count)
    with log_of(library, tmp_path) as log:
        benchmark.pedantic(log.append, (batch, APPENDS, 16), rounds=20, warmup_rounds=1)
    note_rate(APPENDS * len(batch))


@LIBRARIES
@pytest.mark.parametrize("max_bytes", [200, 4096, 65_536, MAX_BYTES])
@pytest.mark.benchmark(group="1,000 reads at random offsets, by size of a read")
def test_read(
    benchmark: BenchmarkFixture, note_rate: NoteRate, library: str, max_bytes: int, tmp_path: Path
) -> None:
    batch = batch_of(1)
    appends = 200_000
    chosen = [random.Random(i).randrange(appends - MAX_BYTES // len(batch)) for i in range(READS)]
    with log_of(library, tmp_path) as log:
        log.append(batch, appends, 1000)
        read = benchmark.pedantic(log.read, (chosen, max_bytes), rounds=20, warmup_rounds=1)
    assert read == READS * (max_bytes // len(batch)) * len(batch)
    note_rate(read)
