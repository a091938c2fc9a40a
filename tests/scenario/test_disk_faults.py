"""Disks that are full or refuse writes, under a whole broker process."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.load import IdempotentLoad, create_topic, read_all
from tests.support.wire import Wire

from pylog.codec import Record, decode_batches, encode_batch
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pylog.protocol.messages.metadata import MetadataRequest
from pylog.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)

MIB = 1024 * 1024
NAMED_TOPICS = 12  # the last version of Fetch and Produce that names topics


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "disk" / "data"


def start(data_dir: Path) -> BrokerProcess:
    settings = {**QUICK_GROUPS, "log.flush.offset.checkpoint.interval.ms": "100"}
    broker = BrokerProcess(data_dir, settings)
    broker.log_path = data_dir.parents[1] / "broker.log"  # on a disk that works
    broker.start()
    return broker


def produce(wire: Wire, topic: str, value: bytes) -> int:
    """The error code for one record to partition 0."""
    batch = bytes(encode_batch([Record(None, value)]))
    part = PartitionProduceData(index=0, records=batch)
    request = ProduceRequest(
        acks=-1,
        timeout_ms=10_000,
        topic_data=[TopicProduceData(name=topic, partition_data=[part])],
    )
    return int(wire.ask(request, NAMED_TOPICS).responses[0].partition_responses[0].error_code)


def fetch_first(wire: Wire, topic: str) -> bytes | None:
    """The first value of partition 0."""
    part = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=MIB)
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=MIB,
        topics=[FetchTopic(topic=topic, partitions=[part])],
    )
    (answer,) = wire.ask(request, NAMED_TOPICS).responses[0].partitions
    assert answer.error_code == ErrorCode.NONE
    return next(iter(next(iter(decode_batches(answer.records))))).value


def fill(wire: Wire, topic: str, value_bytes: int) -> None:
    """Produce until that is refused."""
    answers = {ErrorCode.NONE}
    while ErrorCode.KAFKA_STORAGE_ERROR not in answers:
        answers.add(produce(wire, topic, bytes(value_bytes)))
    assert answers == {ErrorCode.NONE, ErrorCode.KAFKA_STORAGE_ERROR}


def test_a_full_disk_stops_writes_alone_and_until_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(24 * MIB))
    broker = start(small_disk / "data")
    for topic in ("topic", "filler", "load"):
        create_topic(broker.address, topic, **{"segment.bytes": str(MIB)})
    with Wire(broker.address) as wire:
        assert produce(wire, "topic", b"first") == ErrorCode.NONE
        load = IdempotentLoad(broker.address, "load", value_bytes=20_000)
        for value_bytes in (900_000, 20_000, 1000):
            fill(wire, "filler", value_bytes)
        assert fetch_first(wire, "topic") == b"first"
        ballast.unlink()
        load.end()
        load.check(read_all(broker.address, "load"))
        assert produce(wire, "topic", b"last") == ErrorCode.NONE
    broker.kill()
    broker.start()
    load.check(read_all(broker.address, "load"))
    assert broker.terminate() == 0


def test_a_full_disk_lets_a_broker_end_and_the_next_one_says_why_it_cannot_start(
    small_disk: Path,
) -> None:
    broker = start(small_disk / "data")
    create_topic(broker.address, "topic")
    ballast = small_disk / "ballast"
    with Wire(broker.address) as wire:
        assert produce(wire, "topic", b"first") == ErrorCode.NONE
        fill_up(ballast)
        fill(wire, "topic", 1000)
    assert broker.terminate() == 0
    with pytest.raises(RuntimeError, match="disk is full"):
        broker.start()
    ballast.unlink()
    broker.start()
    with Wire(broker.address) as wire:
        assert fetch_first(wire, "topic") == b"first"
        assert produce(wire, "topic", b"last") == ErrorCode.NONE
    assert broker.terminate() == 0


def fill_up(ballast: Path) -> None:
    """Take what is left of a disk."""
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))


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
        assert fetch_first(wire, "large") == b"first"
        assert produce(wire, "large", b"last") == ErrorCode.NONE
        assert offline_partitions(wire) == set()
    assert broker.terminate() == 0


def offline_partitions(wire: Wire) -> set[tuple[str, int]]:
    """Those that the broker itself names as not to be used."""
    topics = wire.ask(MetadataRequest(topics=None)).topics
    return {
        (topic.name, part.partition_index)
        for topic in topics
        for part in topic.partitions
        if part.error_code == ErrorCode.LEADER_NOT_AVAILABLE or part.offline_replicas
    }
