"""Partitions as Python sees them: open, append, read, find, forget, close."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pylog.engine.engine import Engine
from pylog.engine.partition import Partition
from pylog.engine.values import (
    AppendResult,
    BatchView,
    Durability,
    EngineError,
    EngineOptions,
    LogConfig,
    PartitionSpec,
    TimeOffset,
)

CORRUPT_MESSAGE = 2
NOT_LEADER_OR_FOLLOWER = 6
OFFSET_OUT_OF_RANGE = 1
TOPIC_ID = bytes(range(16))


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def record(offset_delta: int, value: bytes) -> bytes:
    """One record without key and headers; all its numbers are below 64, one varint byte each."""
    body = bytes([0, 0, 2 * offset_delta, 1, 2 * len(value)]) + value + b"\x00"
    return bytes([2 * len(body)]) + body


def record_batch(*values: bytes, timestamp_ms: int = 1000) -> bytes:
    """A batch of format version 2 whose records all have one time."""
    records = b"".join(record(delta, value) for delta, value in enumerate(values))
    last_delta = len(values) - 1
    checked = struct.pack(
        ">hiqqqhii", 0, last_delta, timestamp_ms, timestamp_ms, -1, -1, -1, len(values)
    )
    checked += records
    counted = struct.pack(">ibI", -1, 2, crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(counted)) + counted


def base_offsets(data: bytes) -> list[int]:
    offsets, at = [], 0
    while at < len(data):
        offset, length = struct.unpack_from(">qi", data, at)
        offsets.append(offset)
        at += 12 + length
    return offsets


def is_there(spec: PartitionSpec) -> bool:
    return Path(spec.folder).exists()


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[Engine]:
    created = Engine(EngineOptions())
    yield created
    created.close()


@pytest.fixture(params=list(Durability))
def spec(tmp_path: Path, request: pytest.FixtureRequest) -> PartitionSpec:
    config = LogConfig(durability=request.param)
    return PartitionSpec("orders", 0, TOPIC_ID, str(tmp_path / "orders-0"), config)


async def open_one(engine: Engine, spec: PartitionSpec) -> Partition:
    (opened,) = await engine.open_partitions([spec])
    assert isinstance(opened, Partition)
    return opened


async def test_a_new_partition_is_empty(engine: Engine, spec: PartitionSpec) -> None:
    partition = await open_one(engine, spec)
    offsets = partition.offsets()
    assert (offsets.log_start, offsets.log_end, offsets.high_watermark) == (0, 0, 0)
    assert not offsets.offline
    assert (await partition.read(0, 1000)).data == b""


async def test_appended_batches_are_read_back(engine: Engine, spec: PartitionSpec) -> None:
    partition = await open_one(engine, spec)
    assert await partition.append(record_batch(b"a", b"b")) == AppendResult(0, 2)
    assert await partition.append(record_batch(b"c")) == AppendResult(2, 3)
    read = await partition.read(1, 1 << 20)
    assert base_offsets(read.data) == [0, 2]  # from the batch that holds offset 1
    assert read.next_offset == 3
    assert partition.offsets().high_watermark == 3
    at_end = await partition.read(3, 1 << 20)
    assert (at_end.data, at_end.next_offset) == (b"", 3)


async def test_a_read_returns_a_whole_batch_above_its_limit(
    engine: Engine, spec: PartitionSpec
) -> None:
    partition = await open_one(engine, spec)
    batch = record_batch(b"x" * 20)
    await partition.append(batch)
    await partition.append(batch)
    read = await partition.read(0, 1)
    assert base_offsets(read.data) == [0]
    assert read.next_offset == 1


async def test_bytes_that_are_no_batch_are_refused(engine: Engine, spec: PartitionSpec) -> None:
    partition = await open_one(engine, spec)
    damaged = bytearray(record_batch(b"a"))
    damaged[-1] ^= 1
    with pytest.raises(EngineError) as refused:
        await partition.append(bytes(damaged))
    assert refused.value.code == CORRUPT_MESSAGE
    assert partition.offsets().log_end == 0


async def test_an_offset_outside_the_log_is_out_of_range(
    engine: Engine, spec: PartitionSpec
) -> None:
    partition = await open_one(engine, spec)
    with pytest.raises(EngineError) as refused:
        await partition.read(5, 100)
    assert refused.value.code == OFFSET_OUT_OF_RANGE


async def test_records_are_found_by_time(engine: Engine, spec: PartitionSpec) -> None:
    partition = await open_one(engine, spec)
    for time_ms in (1000, 3000, 2000):
        await partition.append(record_batch(b"v", timestamp_ms=time_ms))
    assert await partition.find_time(1500) == TimeOffset(1, 3000, 0)
    assert await partition.find_time(-3) == TimeOffset(1, 3000, 0)
    assert await partition.find_time(3001) is None
    with pytest.raises(ValueError, match="-7"):
        await partition.find_time(-7)


async def test_deleted_records_move_the_start(engine: Engine, spec: PartitionSpec) -> None:
    partition = await open_one(engine, spec)
    for _ in range(3):
        await partition.append(record_batch(b"v"))
    assert await partition.delete_records(2) == 2
    assert partition.offsets().log_start == 2
    with pytest.raises(EngineError) as refused:
        await partition.read(1, 100)
    assert refused.value.code == OFFSET_OUT_OF_RANGE


async def test_epochs_tell_where_they_ended(engine: Engine, spec: PartitionSpec) -> None:
    partition = await open_one(engine, spec._replace(leader_epoch=4))
    await partition.append(record_batch(b"v"))
    assert partition.epoch_end(4) == (4, 1)
    assert partition.epoch_end(3) == (3, 0)  # before the first known: where that one began
    assert partition.epoch_end(5) == (-1, -1)


async def test_a_closed_log_is_opened_where_it_ended(engine: Engine, spec: PartitionSpec) -> None:
    partition = await open_one(engine, spec)
    await partition.append(record_batch(b"a"))
    await engine.close_partitions([partition], delete=False)
    with pytest.raises(EngineError) as refused:
        await partition.append(record_batch(b"b"))
    assert refused.value.code == NOT_LEADER_OR_FOLLOWER
    again = await open_one(engine, spec)
    assert await again.append(record_batch(b"b")) == AppendResult(1, 2)
    assert base_offsets((await again.read(0, 1 << 20)).data) == [0, 1]


async def test_a_deleted_partition_leaves_no_folder_of_its_name(
    engine: Engine, spec: PartitionSpec
) -> None:
    partition = await open_one(engine, spec)
    await partition.append(record_batch(b"a"))
    await engine.close_partitions([partition], delete=True)
    assert not is_there(spec)
    assert (await open_one(engine, spec)).offsets().log_end == 0


async def test_partitions_can_be_closed_after_serving_has_ended(
    engine: Engine, spec: PartitionSpec
) -> None:
    partition = await open_one(engine, spec)
    engine.listen(0, "127.0.0.1", 0)
    engine.start(lambda request: None)
    await partition.append(record_batch(b"a"))
    await engine.stop()
    await engine.close_partitions([partition], delete=False)


async def test_close_keeps_what_open_partitions_hold(spec: PartitionSpec) -> None:
    first = Engine(EngineOptions())
    await (await open_one(first, spec)).append(record_batch(b"a"))
    first.close()
    second = Engine(EngineOptions())
    assert (await open_one(second, spec)).offsets().log_end == 1
    second.close()


async def test_one_bad_folder_does_not_fail_the_others(
    engine: Engine, spec: PartitionSpec, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    bad = spec._replace(partition=1, folder=str(tmp_path / "file" / "orders-1"))
    opened = await engine.open_partitions([bad, spec])
    assert isinstance(opened[0], EngineError)
    assert isinstance(opened[1], Partition)


async def test_configure_holds_for_later_appends(engine: Engine, spec: PartitionSpec) -> None:
    partition = await open_one(engine, spec)
    batch = record_batch(b"x" * 30)
    await partition.append(batch, coordinator=False)
    partition.configure(spec.config._replace(max_message_bytes=len(batch) - 1))
    with pytest.raises(EngineError) as refused:
        await partition.append(batch, coordinator=False)
    assert refused.value.code == 10  # MESSAGE_TOO_LARGE


def segments(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("*.log"))


async def test_torn_bytes_are_cut_and_told_to_the_operator(
    engine: Engine, spec: PartitionSpec, caplog: pytest.LogCaptureFixture
) -> None:
    partition = await open_one(engine, spec)
    await partition.append(record_batch(b"a"))
    await engine.close_partitions([partition], delete=False)
    (log,) = segments(spec.folder)
    with log.open("ab") as file:
        file.write(b"torn")
    reopened = await open_one(engine, spec)
    assert reopened.offsets().log_end == 1
    assert "orders-0: 4 torn bytes are cut, offset 1 is next" in caplog.text


# ---- what share groups need: where batches lie, and when there are more ----


async def test_survey_tells_batches_without_their_records(
    engine: Engine, spec: PartitionSpec
) -> None:
    partition = await open_one(engine, spec)
    sizes = []
    for values in ((b"a", b"b"), (b"c",), (b"d", b"e", b"f")):
        batch = record_batch(*values)
        sizes.append(len(batch))
        await partition.append(batch)
    survey = await partition.survey(0, 100, 1 << 20)
    assert survey.next_offset == 6
    assert survey.batches == [
        BatchView(0, 1, sizes[0], True),
        BatchView(2, 2, sizes[1], True),
        BatchView(3, 5, sizes[2], True),
    ]


async def test_survey_ends_with_the_batch_that_reaches_the_offset(
    engine: Engine, spec: PartitionSpec
) -> None:
    partition = await open_one(engine, spec)
    for _ in range(5):
        await partition.append(record_batch(b"a", b"b"))
    survey = await partition.survey(3, 4, 1 << 20)
    assert [(b.first_offset, b.last_offset) for b in survey.batches] == [(2, 3), (4, 5)]
    assert survey.next_offset == 6
    first = await partition.survey(0, 100, 1)
    assert [(b.first_offset, b.last_offset) for b in first.batches] == [(0, 1)]
    assert (await partition.survey(10, 100, 1 << 20)).batches == []
    with pytest.raises(EngineError) as refused:
        await partition.survey(11, 100, 1 << 20)
    assert refused.value.code == OFFSET_OUT_OF_RANGE


async def test_await_readable_ends_when_something_is_appended(
    engine: Engine, spec: PartitionSpec
) -> None:
    partition = await open_one(engine, spec)
    waiting = asyncio.ensure_future(partition.await_readable(0))
    later = asyncio.ensure_future(partition.await_readable(1))
    await partition.append(record_batch(b"a"))
    await asyncio.wait_for(waiting, 10)
    assert not later.done()
    await partition.append(record_batch(b"b"))
    await asyncio.wait_for(later, 10)


async def test_await_readable_ends_with_its_partition(engine: Engine, spec: PartitionSpec) -> None:
    partition = await open_one(engine, spec)
    waiting = asyncio.ensure_future(partition.await_readable(0))
    await engine.close_partitions([partition], delete=False)
    with pytest.raises(EngineError) as refused:
        await asyncio.wait_for(waiting, 10)
    assert refused.value.code == NOT_LEADER_OR_FOLLOWER
