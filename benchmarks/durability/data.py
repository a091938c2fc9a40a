"""Logs made without a broker, so that both get the same ones, and much at the speed of the disk."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Final

from pylog.codec import Compression, Record, RecordBatch, decode_batches, encode_batch
from pylog.log.files import LOG, file_name

OFFSET: Final = struct.Struct(">q")  # at the start of a batch, outside its CRC
TIME_MS: Final = 1_700_000_000_000
_SOURCE: Final = random.Random(7)
WORDS: Final = [bytes(_SOURCE.choices(b"abcdefghij", k=8)) for _ in range(512)]


def plain_batch(batch_bytes: int) -> RecordBatch:
    """One batch of records of 1 kB."""
    records = [Record(None, random.randbytes(1000), TIME_MS) for _ in range(batch_bytes // 1000)]
    return next(decode_batches(encode_batch(records)))


def keyed_batches(
    count: int, keys: int, value_bytes: int, compression: Compression
) -> list[RecordBatch]:
    """Batches of 100 records of keys drawn at random, with values that compress about by half."""
    source = random.Random(1)
    found = []
    for _ in range(count):
        records = [
            Record(b"key-%09d" % source.randrange(keys), _value(source, value_bytes), TIME_MS)
            for _ in range(100)
        ]
        found.append(next(decode_batches(encode_batch(records, compression=compression))))
    return found


def _value(source: random.Random, size: int) -> bytes:
    return b"".join(source.choices(WORDS, k=size // 8))


def write_log(folder: Path, batches: Sequence[RecordBatch], size: int, segment_bytes: int) -> None:
    """A log of `size` bytes, of these batches again and again, and one more as the active segment.

    There is no index: as after a crash, the broker makes them when it starts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    offset, written = 0, 0
    source = cycle([(bytearray(bytes(one)), len(one)) for one in batches])
    while written < size:
        with open(folder / file_name(offset, LOG), "wb", buffering=1 << 20) as file:
            while file.tell() < segment_bytes and written < size:
                data, records = next(source)
                OFFSET.pack_into(data, 0, offset)
                written += file.write(data)
                offset += records
    data, _ = next(source)
    OFFSET.pack_into(data, 0, offset)
    (folder / file_name(offset, LOG)).write_bytes(data)


def install(source: Path, target: Path) -> None:
    """Give a log to a stopped broker, in the place of an empty one; sealed segments are links."""
    for path in target.iterdir():
        if path.suffix in (LOG, ".index", ".timeindex", ".snapshot"):
            path.unlink()
    *sealed, active = sorted(source.glob(f"*{LOG}"))
    for path in sealed:
        os.link(path, target / path.name)
    (target / active.name).write_bytes(active.read_bytes())


def forget_clean_end(data_dir: Path) -> None:
    """As a crash leaves a data folder: nothing says what was flushed."""
    for name in (".kafka_cleanshutdown", "recovery-point-offset-checkpoint"):
        (data_dir / name).unlink(missing_ok=True)


def evict(folders: Iterable[Path]) -> None:
    """Flush the segments and let go of their pages, so that they are read from the disk."""
    for path in segments(folders):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def segments(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob(f"*{LOG}"))


def size_gb(folders: Iterable[Path]) -> float:
    """10^9 bytes of the segments."""
    return sum(path.stat().st_size for path in segments(folders)) / 1e9
