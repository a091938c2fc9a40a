"""Disks that are full or refuse writes, under a whole broker process."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.load import (
    PARTITIONS,
    IdempotentLoad,
    TransactionalLoad,
    Watcher,
    await_commit,
    create_topic,
    end_and_check,
    read_all,
)
from tests.support.records import fetch, offline_partitions, produce
from tests.support.small_disk import MIB, fill_up, small_disk
from tests.support.wait import wait_until
from tests.support.wire import Wire

from pylog.protocol.errors import ErrorCode

FULL_DISKS = int(os.environ.get("PYLOG_TEST_KILLS", "4"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 48) as path:
        yield path


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "disk" / "data"


def start(data_dir: Path, durability: str = "fsync", log_path: Path | None = None) -> BrokerProcess:
    settings = {
        **QUICK_GROUPS,
        "log.durability": durability,
        "log.flush.offset.checkpoint.interval.ms": "100",
        "transaction.state.log.num.partitions": "2",
    }
    broker = BrokerProcess(data_dir, settings)
    broker.log_path = log_path or data_dir.parents[1] / "broker.log"  # on a disk that works
    broker.start()
    return broker


def fill(wire: Wire, topic: str, value_bytes: int) -> None:
    """Produce until that is refused."""
    answers = {ErrorCode.NONE}
    while ErrorCode.KAFKA_STORAGE_ERROR not in answers:
        answers.add(produce(wire, topic, bytes(value_bytes)))
    assert answers == {ErrorCode.NONE, ErrorCode.KAFKA_STORAGE_ERROR}


def test_a_full_disk_stops_writes_alone_and_until_there_is_room(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(24 * MIB))
    broker = start(disk / "data")
    for topic in ("topic", "filler", "load"):
        create_topic(broker.address, topic, **{"segment.bytes": str(MIB)})
    with Wire(broker.address) as wire:
        assert produce(wire, "topic", b"first") == ErrorCode.NONE
        load = IdempotentLoad(broker.address, "load", value_bytes=20_000)
        for value_bytes in (900_000, 20_000, 1000):
            fill(wire, "filler", value_bytes)
        assert fetch(wire, "topic") == b"first"
        ballast.unlink()
        load.end()
        load.check(read_all(broker.address, "load"))
        assert produce(wire, "topic", b"last") == ErrorCode.NONE
    broker.kill()
    broker.start()
    load.check(read_all(broker.address, "load"))
    assert broker.terminate() == 0


def test_a_full_disk_lets_a_broker_end_and_the_next_one_says_why_it_cannot_start(
    disk: Path,
) -> None:
    broker = start(disk / "data")
    create_topic(broker.address, "topic")
    ballast = disk / "ballast"
    with Wire(broker.address) as wire:
        assert produce(wire, "topic", b"first") == ErrorCode.NONE
        fill_up(ballast)
        fill(wire, "topic", 1000)
    assert broker.terminate() == 0
    fill_up(ballast)  # what the broker's own files have given back
    with pytest.raises(RuntimeError, match="disk is full"):
        broker.start()
    ballast.unlink()
    broker.start()
    with Wire(broker.address) as wire:
        assert fetch(wire, "topic") == b"first"
        assert produce(wire, "topic", b"last") == ErrorCode.NONE
    assert broker.terminate() == 0


def test_a_log_that_cannot_be_written_goes_offline_alone(data_dir: Path) -> None:
    """A limit on the size of files stands for a bad disk: one log has reached it."""
    broker = start(data_dir)
    for topic in ("large", "small"):
        create_topic(broker.address, topic)
    with Wire(broker.address) as wire:
        for value in (b"first", bytes(900_000)):
            assert produce(wire, "large", value) == ErrorCode.NONE
        limits = resource.prlimit(broker.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (950_000, limits[1]))
        assert produce(wire, "large", bytes(90_000)) == ErrorCode.KAFKA_STORAGE_ERROR
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, limits)
        assert produce(wire, "large", b"refused") == ErrorCode.KAFKA_STORAGE_ERROR
        assert produce(wire, "small", b"first") == ErrorCode.NONE
        assert offline_partitions(wire) == {("large", 0)}
    assert broker.terminate() == 0
    broker.start()
    with Wire(broker.address) as wire:
        assert fetch(wire, "large") == b"first"
        assert produce(wire, "large", b"last") == ErrorCode.NONE
        assert offline_partitions(wire) == set()
    assert broker.terminate() == 0


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_nothing_acknowledged_is_lost_or_doubled_by_a_disk_that_fills_up(
    disk: Path, durability: str
) -> None:
    """Again and again, and now and then the broker is killed while it is full."""
    broker = start(disk / "data", durability)
    for topic in ("plain", "transactions", "probe"):
        create_topic(broker.address, topic, **{"internal.segment.bytes": "65536"})
    plain = IdempotentLoad(broker.address, "plain", pause_s=0.002)
    transactions = TransactionalLoad(broker.address, "transactions", pause_s=0.02)
    loads = [
        plain,
        Watcher(broker.address, "plain"),
        transactions,
        Watcher(broker.address, "transactions"),
    ]
    try:
        for number in range(FULL_DISKS):
            await_commit(transactions)
            fill_up(disk / "ballast")
            await_refusal(broker, disk / "ballast")
            if number % 2:
                broker.kill()
            (disk / "ballast").unlink()
            if number % 2:
                broker.start()
        end_and_check(loads)
    finally:
        for load in loads:
            load.cancel()
    assert broker.terminate() == 0
    assert "offline" not in broker.log_path.read_text()


def test_logs_that_found_no_room_are_opened_when_there_is(disk: Path, tmp_path: Path) -> None:
    folders = tmp_path / "one", disk / "two"
    data_dir = Path(",".join(map(str, folders)))
    broker = start(data_dir, log_path=tmp_path / "broker.log")
    fill_up(disk / "ballast")
    create_topic(broker.address, "topic")
    with Wire(broker.address) as wire:
        codes = {produce(wire, "topic", b"first", index) for index in range(PARTITIONS)}
        assert codes == {ErrorCode.NONE, ErrorCode.KAFKA_STORAGE_ERROR}
        (disk / "ballast").unlink()
        for index in range(PARTITIONS):
            wait_until(lambda at=index: produce(wire, "topic", b"more", at) == ErrorCode.NONE)
        assert offline_partitions(wire) == set()
    assert broker.terminate() == 0
    assert all((folder / ".kafka_cleanshutdown").exists() for folder in folders)


def await_refusal(broker: BrokerProcess, ballast: Path) -> None:
    """What compaction or retention frees meanwhile is taken, too."""

    def is_refused() -> bool:
        fill_up(ballast)
        with Wire(broker.address) as wire:
            return produce(wire, "probe", bytes(5000)) == ErrorCode.KAFKA_STORAGE_ERROR

    wait_until(is_refused)
