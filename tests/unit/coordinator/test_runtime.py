"""The host of a shard: appends, commits, replies, failures and reloads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.coordinator.fake_partition import FakePartition

from pylog.cluster.image import Image, PartitionImage, TopicImage
from pylog.coordinator import runtime
from pylog.coordinator.effects import Effects, Marker, Producer, Promise, Record, TimerName
from pylog.coordinator.records import RecordSchema
from pylog.coordinator.runtime import ShardHost, partition_of
from pylog.coordinator.shards import Shards
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records.offsets import OffsetCommitKey, OffsetCommitValue
from pylog.protocol.records.types import GROUP


class Counter:
    """A shard that adds up offsets; its log is what it was told."""

    def __init__(self) -> None:
        self.total = 0
        self.ended: list[tuple[Producer, bool]] = []
        self.fired: list[TimerName] = []
        self.parked: list[Promise] = []

    def replay(self, record: Record, producer_id: int) -> None:
        self.total += record.value.offset

    def replay_marker(self, producer: Producer, commit: bool) -> None:
        self.ended.append((producer, commit))

    def on_loaded(self, now_ms: int) -> Effects:
        return Effects()

    def on_timer(self, name: TimerName, now_ms: int) -> Effects:
        self.fired.append(name)
        return Effects()

    def add(self, number: int, promise: Promise, producer: Producer | None = None) -> Effects:
        out = Effects(producer=producer)
        key = OffsetCommitKey(group="g", topic="t", partition=0)
        out.write(key, OffsetCommitValue(offset=number), 3)
        out.reply(promise, self.total + number)
        return out

    def read(self, promise: Promise) -> Effects:
        out = Effects()
        out.reply(promise, self.total)
        return out

    def park(self, promise: Promise) -> Effects:
        self.parked.append(promise)
        return Effects()


def new_host(partition: FakePartition | None, orders: list[Any]) -> ShardHost[Counter]:
    return ShardHost(
        lambda: partition, RecordSchema(GROUP), Counter, lambda: 1_000, "test-0", orders.append
    )


@pytest.fixture
def partition() -> FakePartition:
    return FakePartition()


@pytest.fixture
def orders() -> list[Any]:
    return []


@pytest.fixture
async def host(partition: FakePartition, orders: list[Any]) -> AsyncIterator[ShardHost[Counter]]:
    host = new_host(partition, orders)
    host.start()
    await host.loaded()
    yield host
    partition.gate.set()
    await host.close()


def add(host: ShardHost[Counter], number: int) -> asyncio.Future[Any]:
    return host.run(lambda shard, promise, _: shard.add(number, promise))


def read(host: ShardHost[Counter]) -> asyncio.Future[Any]:
    return host.run(lambda shard, promise, _: shard.read(promise))


async def code_of(promise: asyncio.Future[Any]) -> ErrorCode:
    with pytest.raises(ApiError) as caught:
        await promise
    return caught.value.code


async def test_replies_wait_for_the_commit_and_reads_for_what_they_have_seen(
    host: ShardHost[Counter], partition: FakePartition
) -> None:
    partition.gate.clear()
    added = add(host, 5)
    seen = read(host)
    await asyncio.sleep(0)
    assert not added.done()
    assert not seen.done(), "it has seen what is not committed yet"
    partition.gate.set()
    assert (await added, await seen) == (5, 5)


async def test_read_with_nothing_under_way_is_answered_at_once(host: ShardHost[Counter]) -> None:
    assert read(host).done()


async def test_steps_that_gather_share_one_append(
    host: ShardHost[Counter], partition: FakePartition
) -> None:
    partition.gate.clear()
    first = add(host, 1)
    await asyncio.sleep(0)
    rest = [add(host, n) for n in range(2, 12)]
    partition.gate.set()
    await asyncio.gather(first, *rest)
    assert len(partition.appends) == 2
    assert partition.batch_counts() == [1, 1]


async def test_records_of_a_transaction_and_its_marker_have_batches_of_their_own(
    host: ShardHost[Counter], partition: FakePartition
) -> None:
    producer, marker = Producer(7, 1), Marker(7, 2, 0, commit=True)
    promises = [
        add(host, 1),
        host.run(lambda shard, promise, _: shard.add(2, promise, producer)),
        host.run(lambda shard, promise, _: _ended(promise, marker)),
        add(host, 3),
    ]
    await asyncio.gather(*promises)
    assert partition.batch_counts() == [4]
    again = new_host(partition, [])
    again.start()
    await again.loaded()
    assert again.look(lambda shard: (shard.total, shard.ended)) == (6, [(Producer(7, 2), True)])
    await again.close()


def _ended(promise: Promise, marker: Marker) -> Effects:
    out = Effects(marker=marker)
    out.reply(promise, None)
    return out


async def test_failed_append_refuses_everybody_and_loads_the_log_again(
    host: ShardHost[Counter], partition: FakePartition
) -> None:
    await add(host, 1)
    parked = host.run(lambda shard, promise, _: shard.park(promise))
    partition.failing = ErrorCode.KAFKA_STORAGE_ERROR
    lost = add(host, 10)
    assert await code_of(lost) == ErrorCode.NOT_COORDINATOR
    assert await code_of(parked) == ErrorCode.NOT_COORDINATOR
    await host.loaded()
    assert await read(host) == 1, "what was not written has not happened"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
async def test_clients_are_told_what_a_failed_append_means_to_them(
    host: ShardHost[Counter], partition: FakePartition, code: ErrorCode, told: ErrorCode
) -> None:
    partition.failing = code
    assert await code_of(add(host, 1)) == told


async def test_step_that_breaks_is_refused_and_its_half_done_state_is_dropped(
    host: ShardHost[Counter],
) -> None:
    await add(host, 1)

    def breaks(shard: Counter, promise: Promise, now_ms: int) -> Effects:
        shard.total = 99
        raise RuntimeError("half done")

    assert await code_of(host.run(breaks)) == ErrorCode.UNKNOWN_SERVER_ERROR
    await host.loaded()
    assert await read(host) == 1


async def test_refused_step_keeps_the_shard(
    host: ShardHost[Counter], partition: FakePartition
) -> None:
    def refuses(shard: Counter, promise: Promise, now_ms: int) -> Effects:
        raise ApiError(ErrorCode.INVALID_GROUP_ID)

    reads = partition.reads
    assert await code_of(host.run(refuses)) == ErrorCode.INVALID_GROUP_ID
    assert await read(host) == 0
    assert partition.reads == reads


async def test_orders_are_given_when_the_decision_is_committed(
    host: ShardHost[Counter], partition: FakePartition, orders: list[Any]
) -> None:
    def decides(shard: Counter, promise: Promise, now_ms: int) -> Effects:
        out = shard.add(1, promise)
        out.orders.append("go")
        return out

    partition.gate.clear()
    promise = host.run(decides)
    await asyncio.sleep(0)
    assert orders == []
    partition.gate.set()
    await promise
    assert orders == ["go"]


async def test_requests_are_told_that_the_shard_loads_and_later_that_it_is_gone(
    partition: FakePartition,
) -> None:
    host = new_host(partition, [])
    host.start()
    with pytest.raises(ApiError) as loading:
        read(host)
    assert loading.value.code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    await host.loaded()
    parked = host.run(lambda shard, promise, _: shard.park(promise))
    await host.close()
    assert await code_of(parked) == ErrorCode.NOT_COORDINATOR
    with pytest.raises(ApiError) as gone:
        read(host)
    assert gone.value.code == ErrorCode.NOT_COORDINATOR


async def test_close_finishes_what_was_appended(
    host: ShardHost[Counter], partition: FakePartition
) -> None:
    added = add(host, 4)
    await host.close()
    assert await added == 4
    assert len(partition.appends) == 1


async def test_shard_is_loaded_when_its_partition_has_been_opened() -> None:
    found: list[FakePartition] = []
    host: ShardHost[Counter] = ShardHost(
        lambda: found[0] if found else None,
        RecordSchema(GROUP),
        Counter,
        lambda: 1_000,
        "test-0",
        [].append,
    )
    host.start()
    await asyncio.sleep(0)
    found.append(FakePartition())
    await host.loaded()
    assert await read(host) == 0
    await host.close()


class Log:
    """A log that may be offline."""

    def __init__(self) -> None:
        self.partition = FakePartition()
        self.is_offline = False

    def find(self) -> FakePartition:
        if self.is_offline:
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR)
        return self.partition


async def test_nobody_coordinates_while_the_log_is_offline_and_its_return_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "_RELOAD_DELAY", 0.001)
    log = Log()
    host: ShardHost[Counter] = ShardHost(
        log.find, RecordSchema(GROUP), Counter, lambda: 1_000, "test-0", [].append
    )
    host.start()
    await host.loaded()
    await add(host, 3)
    waiting = host.run(lambda shard, promise, now_ms: shard.park(promise))
    log.is_offline = True
    for _ in range(2):
        with pytest.raises(ApiError) as refused:
            await read(host)
        assert refused.value.code == ErrorCode.NOT_COORDINATOR
    with pytest.raises(ApiError) as refused:
        await waiting
    assert refused.value.code == ErrorCode.NOT_COORDINATOR
    assert host.offline
    log.is_offline = False
    await host.loaded()
    assert await read(host) == 3
    await host.close()


async def test_who_looks_for_the_coordinator_of_an_offline_log_is_told_that_there_is_none() -> None:
    async def create(topic: str) -> None:
        raise AssertionError("it is there")

    log = Log()
    shards: Shards[Counter] = Shards(
        "test", GROUP, Counter, 1, lambda topic, index: log.find(), create
    )
    topic = TopicImage("test", bytes(16), (PartitionImage((1,), (1,), 1),))
    log.is_offline = True
    shards.follow(Image(topics={"test": topic}))
    with pytest.raises(ApiError) as refused:
        await shards.prepare("key")
    assert refused.value.code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert list(shards.hosts()) == []
    log.is_offline = False
    assert await shards.prepare("key") == 1
    assert len(list(shards.hosts())) == 1
    await shards.stop()


def test_partition_of_a_key_is_that_of_java() -> None:
    # Math.abs("...".hashCode()) % 50 as a JVM says it
    found = [partition_of(key, 50) for key in ("", "orders", "gr\u00fc\u00dfe-\U0001f600")]
    assert found == [0, 31, 27]
    assert partition_of("polygenelubricants", 50) == 0, "its hash is the smallest int"
