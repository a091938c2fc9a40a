"""Compaction by Apache Kafka and by pylog of the same files: the same batches are left.

Kafka writes a log that nobody compacts. One copy of it is compacted by Kafka, the other by
pylog, three times: each time the delete horizons that the time before has set are over.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from tests.support.kafka import KafkaBroker, run_tool
from tests.support.wait import wait_until

from pylog.cli.log import command
from pylog.codec import Compression, RecordBatch, TransactionMarker
from pylog.log.checkpoint import CLEANER_FILE, MalformedCheckpoint, read_checkpoint
from pylog.log.files import LOG, TXN_INDEX, file_name, offsets_of, read_batches, read_txn_index
from pylog.testing import Broker

TOPIC = "compacted"
TIMEOUT_S = 60
KEYS = 40
SEGMENT_BYTES = 1 << 20
RETENTION_MS = 1000  # of tombstones
KAFKA = {"log.cleaner.backoff.ms": "100", "log.segment.delete.delay.ms": "0"}
PYLOG = {
    "log.cleaner.backoff.ms": "100",
    "log.segment.delete.delay.ms": "0",
    "log.flush.offset.checkpoint.interval.ms": "100",
}
COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.0",
    "delete.retention.ms": str(RETENTION_MS),
}


class Writer:
    """Writes what compaction has to know about: the same for the same seed."""

    def __init__(self, address: str, seed: int, now_ms: int) -> None:
        self._address = address
        self._random = random.Random(seed)
        self._now_ms = now_ms

    def write(self) -> None:
        for compression in ("none", "gzip", "snappy", "lz4", "zstd"):
            self._plain(compression)
        producer = self._producer(**{"enable.idempotence": True})
        for number in range(5):
            self._send(producer, f"without a key {number}", key=None)
        producer.flush(TIMEOUT_S)
        self._transactions()
        self._fill()

    def write_more(self) -> None:
        """Nothing that depends on the broker, such as producer ids."""
        producer = self._producer(**{"enable.idempotence": False})
        for _ in range(100):
            self._some(producer, 1)
            producer.flush(TIMEOUT_S)
        self._fill()

    def _producer(self, **settings: Any) -> Producer:
        return Producer({"bootstrap.servers": self._address, "linger.ms": 20, **settings})

    def _send(self, producer: Producer, value: str | None, key: str | None) -> None:
        self._now_ms += self._random.randrange(-3, 5)
        headers = [("h", "1")] if self._random.random() < 0.2 else None
        producer.produce(TOPIC, value, key, timestamp=self._now_ms, headers=headers)

    def _some(self, producer: Producer, count: int) -> None:
        for _ in range(count):
            key = f"key-{self._random.randrange(KEYS)}"
            value = "x" * self._random.randrange(300) if self._random.random() < 0.7 else None
            self._send(producer, value, key)

    def _plain(self, compression: str) -> None:
        idempotent = self._random.random() < 0.7
        producer = self._producer(
            **{"compression.type": compression, "enable.idempotence": idempotent}
        )
        for _ in range(15):
            self._some(producer, self._random.randrange(1, 9))
            producer.flush(TIMEOUT_S)

    def _transactions(self) -> None:
        producers = [self._producer(**{"transactional.id": f"t{number}"}) for number in range(2)]
        for producer in producers:
            producer.init_transactions(TIMEOUT_S)
        for number in range(8):
            for producer in producers:
                producer.begin_transaction()
            for producer in producers:
                self._some(producer, 4)
                producer.flush(TIMEOUT_S)
            for place, producer in enumerate(producers):
                if (number + place) % 3 == 0:
                    producer.abort_transaction(TIMEOUT_S)
                else:
                    producer.commit_transaction(TIMEOUT_S)

    def _fill(self) -> None:
        """So much that all of the above is in sealed segments."""
        producer = self._producer(**{"enable.idempotence": False})
        for number in range(SEGMENT_BYTES // 100_000 + 3):
            self._send(producer, "f" * 100_000, key=f"filler-{number % 3}")
            producer.flush(TIMEOUT_S)


def create(address: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    config = {"segment.bytes": str(SEGMENT_BYTES), "cleanup.policy": "delete"}
    admin.create_topics([NewTopic(TOPIC, 1, 1, config=config)])[TOPIC].result(TIMEOUT_S)


def configure(address: str, settings: dict[str, str]) -> None:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": address})
    admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)


def await_clean(data_dir: Path) -> None:
    """Until everything but the active segment is clean and swapped."""
    folder = data_dir / f"{TOPIC}-0"

    def is_clean() -> bool:
        checkpoint = data_dir / CLEANER_FILE
        if not checkpoint.exists() or any(folder.glob("*.cleaned")) or any(folder.glob("*.swap")):
            return False
        return read_checkpoint(checkpoint).get((TOPIC, 0)) == offsets_of(folder, LOG)[-1]

    wait_until(is_clean, TIMEOUT_S, ignoring=MalformedCheckpoint)  # Kafka's is empty at first


class Batch(NamedTuple):
    """What must be the same of a batch."""

    segment: int
    base_offset: int
    last_offset: int
    producer: tuple[int, int, int]
    transactional: bool
    marker: TransactionMarker | None
    compression: Compression
    has_horizon: bool
    max_timestamp_ms: int
    records: list[tuple[Any, ...]]


def sealed_batches(folder: Path) -> Iterator[tuple[int, RecordBatch]]:
    """Those in front of the active segment, with the segment's base offset."""
    for base in offsets_of(folder, LOG)[:-1]:
        for _, batch in read_batches(folder / file_name(base, LOG)):
            yield base, batch


def contents(folder: Path) -> list[Batch]:
    return [
        Batch(
            base,
            batch.base_offset,
            batch.last_offset,
            (batch.producer_id, batch.producer_epoch, batch.base_sequence),
            batch.is_transactional,
            batch.transaction_marker,
            batch.compression,
            batch.delete_horizon_ms is not None,
            batch.max_timestamp_ms,
            [(r.offset, r.timestamp_ms, r.key, r.value, r.headers) for r in batch],
        )
        for base, batch in sealed_batches(folder)
    ]


def horizon(*folders: Path) -> int:
    """When all delete horizons are over."""
    batches = [batch for path in folders for _, batch in sealed_batches(path)]
    return max(batch.delete_horizon_ms or 0 for batch in batches)


def aborted(folder: Path) -> list[Any]:
    paths = [folder / file_name(base, TXN_INDEX) for base in offsets_of(folder, TXN_INDEX)]
    return [entry for path in paths for entry in read_txn_index(path)]


def compare(by_kafka: Path, by_pylog: Path) -> list[Batch]:
    ours, theirs = contents(by_pylog), contents(by_kafka)
    for mine, other in zip(ours, theirs, strict=False):
        assert mine == other
    assert len(ours) == len(theirs)
    assert aborted(by_pylog) == aborted(by_kafka)
    return ours


def compare_when_clean(by_kafka: Path, by_pylog: Path) -> list[Batch]:
    await_clean(by_kafka.parent)
    await_clean(by_pylog.parent)
    return compare(by_kafka, by_pylog)


def offsets_gone(before: list[Batch], after: list[Batch]) -> set[int]:
    return {batch.base_offset for batch in before} - {batch.base_offset for batch in after}


def dump(log: Path, pattern: str, *options: str) -> str:
    files = ",".join(sorted(map(str, log.glob(pattern))))
    return run_tool("org.apache.kafka.tools.DumpLogSegments", "--files", files, *options)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(tmp_path / "kafka", **KAFKA)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def test_both_leave_the_same_batches(kafka: KafkaBroker, tmp_path: Path) -> None:
    seed, now_ms = random.randrange(1 << 32), int(time.time() * 1000)
    print(f"seed {seed}")
    create(kafka.address)
    Writer(kafka.address, seed, now_ms).write()
    kafka.stop()
    copy, data_dir = tmp_path / "copy", tmp_path / "data"
    shutil.copytree(kafka.data_dir, copy)
    result = CliRunner().invoke(command, ["import", str(copy), "--data-dir", str(data_dir)])
    assert result.exit_code == 0, result.output
    kafka.start()
    by_kafka, by_pylog = (path / f"{TOPIC}-0" for path in (kafka.data_dir, data_dir))
    with Broker(PYLOG, folder=data_dir) as pylog:
        configure(pylog.bootstrap, {"segment.bytes": str(SEGMENT_BYTES), **COMPACTED})
        configure(kafka.address, COMPACTED)
        rounds = [compare_when_clean(by_kafka, by_pylog)]
        for number in (1, 2):
            wait_until(lambda: time.time() * 1000 > horizon(by_kafka, by_pylog))
            for address in (kafka.address, pylog.bootstrap):
                Writer(address, seed + number, now_ms + number * 10_000).write_more()
            rounds.append(compare_when_clean(by_kafka, by_pylog))
    first, second, third = rounds
    assert any(batch.has_horizon for batch in first)
    assert any(not batch.records for batch in first)  # kept for its producer
    assert offsets_gone(first, second) & {batch.base_offset for batch in first if batch.has_horizon}
    assert offsets_gone(second, third) & {batch.base_offset for batch in second if batch.marker}
    no_complaint(by_pylog)


def no_complaint(log: Path) -> None:
    """Kafka's own check of batches and indexes has nothing to say."""
    text = dump(log, "*.log", "--deep-iteration")
    assert "isvalid: false" not in text
    for pattern in ("*.index", "*.timeindex"):
        text = dump(log, pattern, "--verify-index-only")
        for complaint in ("Mismatch", "mismatch", "Found", "out of order"):
            assert complaint not in text
