"""A process that writes to one log while it is compacted, and says so, until it is killed.

    python -m tests.support.compacting_log FOLDER SEED POLICY

Each line on standard output is JSON: what is appended next (``try``), and where it is (``ack``).
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any, Final

from pylog.codec import Record, TransactionMarker, encode_batch, encode_marker
from pylog.engine.engine import Engine
from pylog.engine.partition import Partition
from pylog.engine.values import CleanerSettings, EngineOptions, LogConfig, PartitionSpec
from pylog.log.checkpoint import (
    CLEANER_FILE,
    LOG_START_FILE,
    RECOVERY_POINT_FILE,
    read_checkpoint,
    write_checkpoint,
)

KEY: Final = ("topic", 0)
KEYS: Final = 60
RETENTION_BYTES: Final = 30_000
SEGMENT_BYTES: Final = 3000
PRODUCERS: Final = (1, 2, 3)  # the first is idempotent, the others are transactional
CLEANER: Final = CleanerSettings(threads=1, backoff_ms=1, map_bytes=1 << 20)


def config(policy: str) -> LogConfig:
    return LogConfig(
        segment_bytes=SEGMENT_BYTES,
        index_interval_bytes=200,
        retention_bytes=RETENTION_BYTES,
        file_delete_delay_ms=0,
        min_cleanable_dirty_ratio=0.0,
        compact_policy="compact" in policy,
        delete_policy="delete" in policy,
    )


async def open_log(folder: Path, policy: str) -> tuple[Engine, Partition]:
    """The log as a broker opens it after a crash, with its checkpoints."""
    engine = Engine(EngineOptions(worker_threads=2, housekeep_interval_ms=3))
    engine.configure_cleaner(CLEANER)
    names = (RECOVERY_POINT_FILE, LOG_START_FILE, CLEANER_FILE)
    known = [read_checkpoint(folder / name).get(KEY, 0) for name in names]
    spec = PartitionSpec(
        *KEY, bytes(16), f"{folder}/topic-0", config(policy), False, *known[:2], 0, known[2]
    )
    (log,) = await engine.open_partitions([spec])
    assert isinstance(log, Partition), log
    return engine, log


class Writer:
    """Appends at random; a seed gives the same batches as long as nobody ends it."""

    def __init__(self, log: Partition, folder: Path, seed: int) -> None:
        self._log = log
        self._folder = folder
        self._random = random.Random(seed)
        self._open: set[int] = set()
        self._next: dict[int, int] = dict.fromkeys(PRODUCERS, 0)  # sequences

    async def run(self) -> None:
        for view in self._log.producers():
            self._next[view.producer_id] = view.last_sequence + 1
            if view.transaction_start >= 0:
                self._open.add(view.producer_id)
        for producer_id in sorted(self._open):
            await self._end(producer_id, commit=False)
        while True:
            await self._step()
            if self._random.random() < 0.1:
                self._checkpoint()

    async def _step(self) -> None:
        producer_id = self._random.choice((-1, *PRODUCERS))
        if producer_id in self._open and self._random.random() < 0.4:
            await self._end(producer_id, commit=self._random.random() < 0.6)
        else:
            await self._write(producer_id)

    async def _write(self, producer_id: int) -> None:
        now_ms = int(time.time() * 1000)
        records = [self._record(now_ms) for _ in range(self._random.randrange(1, 6))]
        options: dict[str, Any] = {"compression": self._random.choice((0, 0, 3, 4))}
        if producer_id >= 0:
            options |= {"producer_id": producer_id, "producer_epoch": 0}
            options |= {"base_sequence": self._next[producer_id]}
            self._next[producer_id] += len(records)
        if producer_id > PRODUCERS[0]:
            options["transactional"] = True
            self._open.add(producer_id)
        told = [[_text(item.key), _text(item.value)] for item in records]
        await self._append(encode_batch(records, **options), {"of": producer_id, "records": told})

    def _record(self, now_ms: int) -> Record:
        key = b"key-%d" % int(self._random.triangular(0, KEYS, 0))
        value = None if self._random.random() < 0.2 else b"%020d" % self._random.getrandbits(60)
        return Record(key, value, now_ms)

    async def _end(self, producer_id: int, commit: bool) -> None:
        marker = encode_marker(TransactionMarker(commit, 0), producer_id, 0, 1)
        await self._append(marker, {"of": producer_id, "commit": commit})
        self._open.discard(producer_id)

    async def _append(self, batch: bytes, told: dict[str, Any]) -> None:
        print(json.dumps({"try": told}), flush=True)
        done = await self._log.append(batch)
        print(json.dumps({"ack": done.first_offset}), flush=True)

    def _checkpoint(self) -> None:
        offsets = self._log.offsets()
        write_checkpoint(self._folder / RECOVERY_POINT_FILE, {KEY: offsets.flushed_end})
        write_checkpoint(self._folder / LOG_START_FILE, {KEY: offsets.log_start})
        write_checkpoint(self._folder / CLEANER_FILE, {KEY: offsets.cleaned_end})


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode()


async def main(folder: Path, seed: int, policy: str) -> None:
    _, log = await open_log(folder, policy)
    await Writer(log, folder, seed).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
