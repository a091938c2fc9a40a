"""Compaction as an operator sees it: its settings, its checkpoint, its metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from tests.support.wait import wait_until

from pylog.log.checkpoint import CLEANER_FILE, read_checkpoint
from pylog.testing import Broker

TOPIC = "compacted"
TIMEOUT_S = 30
KEYS = 10
CONFIG = {
    "cleanup.policy": "compact",
    "segment.bytes": "1048576",
    "min.cleanable.dirty.ratio": "0.01",
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker({"log.cleaner.threads": "0"}, folder=tmp_path / "data") as broker:
        yield broker


def write(broker: Broker, megabytes: int) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 1})
    for number in range(megabytes * 32):
        producer.produce(TOPIC, b"x" * 32_768, key=str(number % KEYS))
        if number % 16 == 15:
            producer.flush(TIMEOUT_S)


def create(broker: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(TOPIC, 1, 1, config=CONFIG)])[TOPIC].result(TIMEOUT_S)


def alter(broker: Broker, **settings: str) -> None:
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)


def size(broker: Broker) -> int:
    partition = broker.server.partitions.get(TOPIC, 0)
    assert partition is not None
    return partition.offsets().size_bytes


def test_altered_settings_hold_without_a_restart(broker: Broker) -> None:
    create(broker)
    write(broker, 4)
    before = size(broker)
    alter(broker, log_cleaner_threads="2", log_cleaner_backoff_ms="20")
    wait_until(lambda: size(broker) < before / 2)
    counters = broker.server.engine.counters()
    assert counters.clean_records_removed > 60
    assert counters.clean_bytes_read > 2 * counters.clean_bytes_written > 0


def test_a_restarted_broker_goes_on_where_compaction_had_come(
    broker: Broker, tmp_path: Path
) -> None:
    create(broker)
    write(broker, 4)
    alter(broker, log_cleaner_threads="1", log_cleaner_backoff_ms="20")
    wait_until(lambda: broker.server.engine.counters().cleans > 0)
    partition = broker.server.partitions.get(TOPIC, 0)
    assert partition is not None
    cleaned_end = partition.offsets().cleaned_end
    broker.restart()
    checkpoint = read_checkpoint(tmp_path / "data" / CLEANER_FILE)
    assert checkpoint == {(TOPIC, 0): cleaned_end}
    partition = broker.server.partitions.get(TOPIC, 0)
    assert partition is not None
    assert partition.offsets().cleaned_end == cleaned_end
    write(broker, 2)
    wait_until(lambda: broker.server.engine.counters().cleans > 0)
    assert partition.offsets().cleaned_end > cleaned_end


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log.cleaner.dedupe.buffer.size", "1000"),
        ("log.cleaner.threads", "-1"),
        ("log.cleaner.io.buffer.load.factor", "1.5"),
        ("log.cleaner.enable", "false"),  # read-only
    ],
)
def test_settings_that_make_no_cleaner_are_refused(broker: Broker, name: str, value: str) -> None:
    with pytest.raises(Exception, match=name):
        alter(broker, **{name.replace(".", "_"): value})
