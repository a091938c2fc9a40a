"""A small data folder of one log: several segments, transactions, two leader epochs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from pylog.codec import Compression, Record, TransactionMarker, encode_batch, encode_marker
from pylog.engine.engine import Engine
from pylog.engine.partition import Partition
from pylog.engine.values import EngineOptions, LogConfig, PartitionSpec
from pylog.log.checkpoint import (
    CLEANER_FILE,
    HIGH_WATERMARK_FILE,
    LOG_START_FILE,
    RECOVERY_POINT_FILE,
    write_checkpoint,
)
from pylog.log.layout import DataFolder, make_log_folder

NODE_ID = 1
TOPIC_ID = bytes(range(16))
NAME = "topic-0"
START = 2  # of the log, behind DeleteRecords
TIME_MS = 1_700_000_000_000
CONFIG = LogConfig(segment_bytes=700, index_interval_bytes=1, timestamp_after_max_ms=2**60)


def batches() -> Iterator[tuple[bytes, bool]]:
    """Plain, compressed and transactional ones, and whether a coordinator writes them."""
    for number, compression in enumerate([*Compression, *Compression]):
        records = [Record(b"key", b"%d" % number * 20, TIME_MS + 10 * number + i) for i in (0, 1)]
        yield encode_batch(records, compression=compression), False
    for producer_id, commit in ((7, True), (8, False), (7, False)):
        sequence = 0 if commit or producer_id == 8 else 1
        options = {"producer_id": producer_id, "producer_epoch": 0, "base_sequence": sequence}
        yield encode_batch([Record(None, b"of 7", TIME_MS)], transactional=True, **options), True
        marker = TransactionMarker(commit, 3)
        yield encode_marker(marker, producer_id, 0, TIME_MS + 500 + producer_id), True


def spec(folder: Path, *, clean: bool = True, epoch: int = 4) -> PartitionSpec:
    return PartitionSpec(
        "topic", 0, TOPIC_ID, str(folder / NAME), CONFIG, clean, 0, START if clean else 0, epoch
    )


async def write(folder: Path) -> int:
    """A log of several segments and two leader epochs; its end."""
    engine = Engine(EngineOptions(worker_threads=1, housekeep_interval_ms=0))
    pending = list(batches())
    end = 0
    for epoch, part in ((4, pending[:6]), (5, pending[6:])):
        (log,) = await engine.open_partitions([spec(folder, clean=epoch == 5, epoch=epoch)])
        assert isinstance(log, Partition)
        for batch, coordinator in part:
            end = (await log.append(batch, coordinator=coordinator)).end_offset
        await log.delete_records(START)
        await engine.close_partitions([log], delete=False)
    engine.close()
    return end


def make(path: Path) -> Path:
    """Make the data folder, as it is when its broker has ended in order."""
    folder = DataFolder(path)
    folder.identify(NODE_ID)
    make_log_folder(str(path / NAME), TOPIC_ID)
    end = asyncio.run(write(path))
    write_checkpoint(path / RECOVERY_POINT_FILE, {("topic", 0): end})
    write_checkpoint(path / LOG_START_FILE, {("topic", 0): START})
    write_checkpoint(path / CLEANER_FILE, {("topic", 0): START})
    write_checkpoint(path / HIGH_WATERMARK_FILE, {("topic", 0): end})
    folder.leave_clean_mark()
    folder.close()
    return path
