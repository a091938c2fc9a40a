"""Pruning of the stored states of share partitions: short logs, and nothing is lost with them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.unit.coordinator.fake_partition import FakePartition

from pylog.coordinator.records import RecordSchema
from pylog.coordinator.runtime import ShardHost
from pylog.coordinator.share_partition import StateBatch
from pylog.coordinator.share_pruning import prune
from pylog.coordinator.share_state import SharePartitionKey, ShareState, ShareStateShard, StateWrite
from pylog.protocol.records.types import SHARE_STATE

UPDATES = 3
BUSY, IDLE = (SharePartitionKey("group", bytes(16), index) for index in range(2))

Host = ShardHost[ShareStateShard]


def new_host(partition: FakePartition) -> Host:
    return ShardHost(
        lambda: partition,
        RecordSchema(SHARE_STATE),
        lambda: ShareStateShard(UPDATES),
        lambda: 1_000,
        "test-0",
        lambda order: None,
    )


@pytest.fixture
def partition() -> FakePartition:
    return FakePartition()


@pytest.fixture
async def host(partition: FakePartition) -> AsyncIterator[Host]:
    host = new_host(partition)
    host.start()
    await host.loaded()
    yield host
    await host.close()


async def begin(host: Host, key: SharePartitionKey) -> None:
    await host.run(lambda shard, promise, now: shard.initialize(key, 1, 0, promise, now))


async def write(host: Host, key: SharePartitionKey, start_offset: int) -> None:
    batches = [StateBatch(start_offset + 1, start_offset + 2, 2, 1)]
    change = StateWrite(0, 1, start_offset, 2, batches)
    await host.run(lambda shard, promise, now: shard.write(key, change, promise, now))


async def states_after_a_load(partition: FakePartition) -> dict[SharePartitionKey, ShareState]:
    host = new_host(partition)
    host.start()
    await host.loaded()
    states: dict[SharePartitionKey, ShareState] = dict(host.look(lambda shard: shard.states))
    await host.close()
    return states


def told(states: dict[SharePartitionKey, ShareState]) -> dict[SharePartitionKey, object]:
    return {key: (s.start_offset, s.done_count, s.batches) for key, s in states.items()}


async def test_what_lies_below_the_newest_snapshot_goes(
    host: Host, partition: FakePartition
) -> None:
    await begin(host, BUSY)
    for number in range(10):
        await write(host, BUSY, number)
    before = host.look(lambda shard: dict(shard.states))
    await prune(host)
    assert partition.log_end - partition.log_start <= UPDATES + 1
    assert told(await states_after_a_load(partition)) == told(before)


async def test_a_state_that_never_changes_does_not_hold_up_the_others(
    host: Host, partition: FakePartition
) -> None:
    await begin(host, IDLE)
    await write(host, IDLE, 7)
    await begin(host, BUSY)
    for number in range(60):
        await write(host, BUSY, number)
        await prune(host)
        usual: int = host.look(lambda shard: shard.usual_length())
        assert partition.log_end - partition.log_start <= usual + len((IDLE, BUSY))
    before = host.look(lambda shard: dict(shard.states))
    assert before[IDLE].start_offset == 7
    assert told(await states_after_a_load(partition)) == told(before)


async def test_nothing_is_written_where_nothing_changes(
    host: Host, partition: FakePartition
) -> None:
    await begin(host, IDLE)
    for _ in range(3):
        await prune(host)
    assert (partition.log_start, partition.log_end) == (0, 1)


async def test_where_no_state_is_left_no_record_is(host: Host, partition: FakePartition) -> None:
    await begin(host, IDLE)
    await host.run(lambda shard, promise, _: shard.delete(IDLE, promise))
    await prune(host)
    assert partition.log_start == partition.log_end
    assert await states_after_a_load(partition) == {}


async def test_pruning_goes_on_after_a_load(host: Host, partition: FakePartition) -> None:
    await begin(host, BUSY)
    for number in range(10):
        await write(host, BUSY, number)
    await host.close()
    host = new_host(partition)
    host.start()
    await host.loaded()
    await prune(host)
    assert partition.log_end - partition.log_start <= UPDATES + 1
    await host.close()
