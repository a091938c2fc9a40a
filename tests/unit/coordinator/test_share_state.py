"""The stored state of share partitions: epochs, snapshots, restarts."""

from __future__ import annotations

import pytest
from tests.sim.world import World

from pylog.coordinator.share_partition import StateBatch
from pylog.coordinator.share_state import SharePartitionKey, ShareState, ShareStateShard, StateWrite
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records.share_state import ShareSnapshotValue

KEY = SharePartitionKey("group", bytes(range(16)), 3)


@pytest.fixture
def world() -> World[ShareStateShard]:
    world: World[ShareStateShard] = World(lambda: ShareStateShard(updates_per_snapshot=3))
    world.ask(lambda shard, p, now: shard.initialize(KEY, 1, -1, p, now))
    return world


def write(world: World[ShareStateShard], write: StateWrite) -> None:
    world.ask(lambda shard, p, now: shard.write(KEY, write, p, now)).heard()


def read(world: World[ShareStateShard], leader_epoch: int = 0) -> ShareState:
    state = world.ask(lambda shard, p, now: shard.read(KEY, leader_epoch, p, now)).heard()
    assert isinstance(state, ShareState)
    return state


def test_key_reads_as_kafka_writes_it() -> None:
    assert KEY.text() == "group:AAECAwQFBgcICQoLDA0ODw:3"
    assert SharePartitionKey.parse(KEY.text()) == KEY


@pytest.mark.parametrize("text", ["", "group", ":AAECAwQFBgcICQoLDA0ODw:3", "g:x:1", "g:AA:-1"])
def test_other_texts_are_no_keys(text: str) -> None:
    with pytest.raises(ValueError, match=r"no (share partition|uuid)"):
        SharePartitionKey.parse(text)


def test_a_second_member_that_joins_does_not_begin_anew(world: World[ShareStateShard]) -> None:
    world.ask(lambda shard, p, now: shard.begin(KEY, 2, p, now)).heard()
    state = read(world)
    assert (state.state_epoch, state.snapshot_epoch) == (1, 0)


def test_later_batches_lie_over_earlier_ones(world: World[ShareStateShard]) -> None:
    write(world, StateWrite(0, 1, 10, 0, [StateBatch(10, 19, 0, 1)]))
    write(world, StateWrite(0, 1, 12, 3, [StateBatch(15, 17, 2, 2)]))
    for _ in range(2):
        state = read(world)
        assert (state.start_offset, state.done_count) == (12, 3)
        assert state.batches == (
            StateBatch(12, 14, 0, 1),
            StateBatch(15, 17, 2, 2),
            StateBatch(18, 19, 0, 1),
        )
        world.restart()


def test_every_so_many_updates_all_is_written_again(world: World[ShareStateShard]) -> None:
    for start in range(8):
        write(world, StateWrite(0, 1, start))
    snapshots = [r for r, _ in world.log if isinstance(r.value, ShareSnapshotValue)]
    assert len(snapshots) == 3
    world.restart()
    assert read(world).start_offset == 7


def test_old_leaders_and_old_states_are_fenced(world: World[ShareStateShard]) -> None:
    read(world, leader_epoch=5)
    for stale, code in (
        (StateWrite(4, 1, 0), ErrorCode.FENCED_LEADER_EPOCH),
        (StateWrite(5, 0, 0), ErrorCode.FENCED_STATE_EPOCH),
    ):
        with pytest.raises(ApiError) as refused:
            write(world, stale)
        assert refused.value.code == code
    with pytest.raises(ApiError) as refused:
        read(world, leader_epoch=4)
    assert refused.value.code == ErrorCode.FENCED_LEADER_EPOCH


def test_who_leads_is_settled_by_reading(world: World[ShareStateShard]) -> None:
    read(world, leader_epoch=5)
    write(world, StateWrite(9, 1, 0))
    assert read(world, leader_epoch=5).leader_epoch == 5
    world.restart()
    assert read(world, leader_epoch=5).leader_epoch == 5


def test_deleted_state_is_gone_after_a_restart_too(world: World[ShareStateShard]) -> None:
    world.ask(lambda shard, p, now: shard.delete(KEY, p))
    world.restart()
    with pytest.raises(ApiError):
        read(world)
