"""Streams groups as dialogues between threads of an application and coordinator (KIP-1071)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sim.classic import Member
from tests.sim.streams import (
    AT_ONCE,
    GROUP,
    WITH_STANDBY,
    StreamsWorld,
    Thread,
    settle,
    stateful,
    stateless,
    tasks,
)
from tests.sim.world import Waiting

from pylog.coordinator.classic_state import ClassicGroup
from pylog.coordinator.effects import Effects, Record
from pylog.coordinator.group_base import Committer
from pylog.coordinator.group_streams import StreamsSettings
from pylog.coordinator.offsets import OffsetToCommit
from pylog.coordinator.records import RecordSchema
from pylog.coordinator.streams_records import write_current, write_member
from pylog.coordinator.streams_state import MemberState
from pylog.coordinator.streams_tasks import HeldTasks, Tasks
from pylog.coordinator.streams_topics import StatusCode
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.streams_group_heartbeat import RequestTaskIds, TaskOffset
from pylog.protocol.records.types import GROUP as GROUP_RECORDS


@pytest.fixture
def world() -> StreamsWorld:
    return StreamsWorld(lines=4)


def refusal(waiting: Waiting) -> ErrorCode:
    assert waiting.error is not None, f"not refused: {waiting.answer}"
    return waiting.error.code


# ---- tasks ----


def test_first_thread_is_given_a_task_for_each_partition(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    assert (anna.epoch, anna.active) == (2, tasks(0, 1, 2, 3))
    answer = anna.beats().heard().response
    assert answer.active_tasks is None, "nothing has changed"
    assert (answer.heartbeat_interval_ms, answer.task_offset_interval_ms) == (5_000, 60_000)
    assert world.group.state_name() == "Stable"


def test_task_moves_only_when_its_owner_has_given_it_up(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    bob = Thread(world, "bob").joins()
    assert (bob.epoch, bob.active) == (3, set()), "his tasks are still hers"
    assert world.group.state_name() == "Reconciling"

    anna.hears(anna.asks())
    assert (anna.epoch, len(anna.active)) == (2, 2), "told to give up two, not yet moved on"
    bob.beats()
    assert bob.active == set()

    anna.beats()
    assert anna.epoch == 3
    bob.beats()
    assert anna.active | bob.active == tasks(0, 1, 2, 3)
    assert not anna.active & bob.active


def test_tasks_of_who_leaves_go_to_the_others(world: StreamsWorld) -> None:
    anna, bob = Thread(world, "anna").joins(), Thread(world, "bob").joins()
    settle(anna, bob)
    bob.leaves()
    anna.beats()
    assert anna.active == tasks(0, 1, 2, 3)


def test_tasks_stay_where_they_are_when_a_third_comes(world: StreamsWorld) -> None:
    world.set_topics(lines=6)
    anna, bob = Thread(world, "anna").joins(), Thread(world, "bob").joins()
    settle(anna, bob)
    before = {anna.name: anna.active, bob.name: bob.active}
    cora = Thread(world, "cora").joins()
    settle(anna, bob, cora)
    for thread in (anna, bob):
        assert thread.active < before[thread.name]
    assert [len(t.active) for t in (anna, bob, cora)] == [2, 2, 2]


def test_standby_is_on_another_process(world: StreamsWorld) -> None:
    world.settings = WITH_STANDBY
    world.set_topics(lines=4, counts=4)
    anna = Thread(world, "anna", process="a", topology=stateful()).joins()
    anne = Thread(world, "anne", process="a", topology=stateful()).joins()
    bob = Thread(world, "bob", process="b", topology=stateful()).joins()
    settle(anna, anne, bob)
    on_a, on_b = anna.active | anne.active, bob.active
    assert on_a | on_b == tasks(0, 1, 2, 3)
    assert anna.standby | anne.standby == on_b
    assert bob.standby == on_a


def test_standby_becomes_active_where_it_is(world: StreamsWorld) -> None:
    world.settings = WITH_STANDBY
    world.set_topics(lines=2, counts=2)
    anna = Thread(world, "anna", topology=stateful()).joins()
    bob = Thread(world, "bob", topology=stateful()).joins()
    settle(anna, bob)
    followed = bob.standby
    anna.leaves()
    bob.beats()
    assert bob.active == tasks(0, 1) >= followed
    assert bob.standby == set()


def test_state_on_disk_draws_a_task(world: StreamsWorld) -> None:
    world.settings = replace(AT_ONCE, initial_rebalance_delay_ms=3_000)
    world.set_topics(lines=2, counts=2)
    anna = Thread(world, "anna", topology=stateful())
    anna.hears(anna.asks_to_join())
    bob = Thread(world, "bob", topology=stateful()).joins()
    bob.beats(task_offsets=[TaskOffset(subtopology_id="0", partition=0, offset=900)])
    anna.beats(task_offsets=[TaskOffset(subtopology_id="0", partition=1, offset=900)])
    world.after(3_000)
    settle(anna, bob)
    assert (anna.active, bob.active) == (tasks(1), tasks(0))


def test_new_settings_make_a_new_assignment(world: StreamsWorld) -> None:
    world.set_topics(lines=1, counts=1)
    anna = Thread(world, "anna", topology=stateful()).joins()
    bob = Thread(world, "bob", topology=stateful()).joins()
    settle(anna, bob)
    assert anna.standby | bob.standby == set()
    world.settings = WITH_STANDBY
    settle(anna, bob)
    assert anna.standby | bob.standby == tasks(0)


def test_more_partitions_make_more_tasks(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    world.set_topics(lines=6)
    anna.beats()
    assert anna.active == tasks(0, 1, 2, 3, 4, 5)


# ---- when ----


def test_first_assignment_waits_for_more_threads(world: StreamsWorld) -> None:
    world.settings = replace(AT_ONCE, initial_rebalance_delay_ms=3_000)
    anna = Thread(world, "anna").joins()
    assert (anna.epoch, anna.active) == (1, set())
    assert anna.notes == [StatusCode.ASSIGNMENT_DELAYED]
    world.after(2_000)
    bob = Thread(world, "bob").joins()
    world.after(1_000)
    for thread in (anna, bob):
        thread.beats()
        assert (len(thread.active), thread.notes) == (2, [])
    assert world.group.target_epoch == world.group.epoch == 3


def test_delay_ends_with_a_group_that_nobody_is_in(world: StreamsWorld) -> None:
    world.settings = replace(AT_ONCE, initial_rebalance_delay_ms=3_000)
    Thread(world, "anna").joins().leaves()
    world.after(3_000)
    assert world.group.state_name() == "Empty"
    anna = Thread(world, "anna").joins()
    assert anna.notes == [StatusCode.ASSIGNMENT_DELAYED], "it begins anew"


def test_assignments_keep_their_interval(world: StreamsWorld) -> None:
    world.settings = replace(AT_ONCE, assignment_interval_ms=1_000)
    anna = Thread(world, "anna").joins()
    bob = Thread(world, "bob").joins()
    assert (bob.epoch, bob.notes) == (2, [StatusCode.ASSIGNMENT_DELAYED])
    world.after(1_000)
    settle(anna, bob)
    assert (len(anna.active), len(bob.active)) == (2, 2)


def test_thread_that_falls_silent_loses_its_tasks(world: StreamsWorld) -> None:
    anna, bob = Thread(world, "anna").joins(), Thread(world, "bob").joins()
    settle(anna, bob)
    world.after(30_000)
    anna.beats()
    world.after(15_000)
    assert list(world.group.members) == ["anna"]
    anna.beats()
    assert anna.active == tasks(0, 1, 2, 3)
    assert refusal(bob.asks()) == ErrorCode.UNKNOWN_MEMBER_ID


def test_thread_that_does_not_give_up_is_fenced_at_its_timeout(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    bob = Thread(world, "bob").joins()
    for _ in range(6):
        anna.hears(anna.asks())
        bob.beats()
        world.after(10_000)
    bob.beats()
    assert bob.active == tasks(0, 1, 2, 3)
    assert refusal(anna.asks()) == ErrorCode.UNKNOWN_MEMBER_ID


# ---- topology and topics ----


def test_missing_source_topic_is_told(world: StreamsWorld) -> None:
    world.set_topics()
    anna = Thread(world, "anna")
    answer = anna.asks_to_join().heard().response
    assert [(s.status_code, s.status_detail) for s in answer.status] == [
        (StatusCode.MISSING_SOURCE_TOPICS, "Source topics lines are missing.")
    ]
    assert (answer.member_epoch, answer.active_tasks) == (2, [])
    assert world.group.state_name() == "NotReady"
    world.set_topics(lines=1)
    anna.epoch = 2
    anna.beats()
    assert (anna.active, anna.notes) == (tasks(0), [])


def test_missing_internal_topics_are_told_and_to_be_made(world: StreamsWorld) -> None:
    anna = Thread(world, "anna", topology=stateful())
    beat = anna.asks_to_join().heard()
    assert [(topic.name, topic.partitions) for topic in beat.missing] == [("counts", 4)]
    anna.hears(anna.asks_to_join())
    assert (anna.active, anna.notes) == (set(), [StatusCode.MISSING_INTERNAL_TOPICS])
    world.set_topics(lines=4, counts=4)
    anna.beats()
    assert (anna.active, anna.notes) == (tasks(0, 1, 2, 3), [])


def test_tasks_are_taken_back_when_a_topic_is_deleted(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    world.set_topics()
    anna.beats()
    assert anna.notes == [StatusCode.MISSING_SOURCE_TOPICS]
    settle(anna)
    assert anna.active == set()


def test_older_topology_is_told_to_be_stale(world: StreamsWorld) -> None:
    Thread(world, "anna", topology=stateless(epoch=3)).joins()
    bob = Thread(world, "bob", topology=stateless(epoch=2)).joins()
    assert bob.notes == [StatusCode.STALE_TOPOLOGY]


def test_another_topology_is_refused(world: StreamsWorld) -> None:
    Thread(world, "anna").joins()
    for other in (stateful(), stateless(epoch=1)):
        refused = Thread(world, "bob", topology=other).asks_to_join()
        assert refusal(refused) == ErrorCode.INVALID_REQUEST
    assert list(world.group.members) == ["anna"]


def test_who_comes_into_an_empty_group_keeps_its_topology(world: StreamsWorld) -> None:
    Thread(world, "anna").joins().leaves()
    refused = Thread(world, "bob", topology=stateful()).asks_to_join()
    assert refusal(refused) == ErrorCode.INVALID_REQUEST


def test_shutdown_is_told_to_all(world: StreamsWorld) -> None:
    anna, bob = Thread(world, "anna").joins(), Thread(world, "bob").joins()
    settle(anna, bob)
    anna.leaves(shutdown_application=True).heard()
    bob.beats()
    assert bob.notes == [StatusCode.SHUTDOWN_APPLICATION]
    bob.leaves()
    cora = Thread(world, "cora").joins()
    assert cora.notes == [], "over with the last member"


def test_missing_client_tags_are_told(world: StreamsWorld) -> None:
    world.settings = replace(AT_ONCE, rack_aware_tags=("zone",))
    assert Thread(world, "anna").joins().notes == [StatusCode.MISSING_CLIENT_TAGS]
    assert Thread(world, "bob", tags={"zone": "b"}).joins().notes == []


# ---- endpoints ----


def test_endpoints_are_told_when_tasks_have_moved(world: StreamsWorld) -> None:
    anna = Thread(world, "anna", endpoint=("10.0.0.1", 80))
    answer = anna.asks_to_join().heard().response
    (entry,) = answer.partitions_by_user_endpoint
    assert (entry.user_endpoint.host, entry.user_endpoint.port) == ("10.0.0.1", 80)
    assert [(p.topic, p.partitions) for p in entry.active_partitions] == [("lines", [0, 1, 2, 3])]
    anna.joins()
    assert anna.beats().heard().response.partitions_by_user_endpoint is None, "nothing is new"

    bob = Thread(world, "bob", endpoint=("10.0.0.2", 80)).joins()
    settle(anna, bob)
    anna.endpoint_epoch = -1
    told = anna.asks().heard().response.partitions_by_user_endpoint
    active = {e.user_endpoint.host: e.active_partitions[0].partitions for e in told}
    assert active == {
        "10.0.0.1": sorted(p for _, p in anna.active),
        "10.0.0.2": sorted(p for _, p in bob.active),
    }


# ---- epochs ----


def test_lost_answer_is_given_again(world: StreamsWorld) -> None:
    anna, bob = Thread(world, "anna").joins(), Thread(world, "bob").joins()
    settle(anna, bob)
    before = anna.epoch
    bob.leaves()
    anna.asks(**anna.owned_fields()).heard()
    anna.epoch = before
    anna.owned = anna.assigned
    answer = anna.asks(**anna.owned_fields()).heard().response
    assert answer.member_epoch == before + 1


def test_wrong_epochs_are_fenced(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    for epoch in (anna.epoch + 1, anna.epoch - 1):
        assert refusal(anna.asks(member_epoch=epoch)) == ErrorCode.FENCED_MEMBER_EPOCH
    assert refusal(Thread(world, "bob").asks(member_epoch=1)) == ErrorCode.UNKNOWN_MEMBER_ID


def test_rejoining_with_epoch_zero_tells_the_tasks_again(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    answer = anna.asks_to_join().heard().response
    assert (answer.member_epoch, answer.active_tasks[0].partitions) == (2, [0, 1, 2, 3])


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"member_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"group_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"instance_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"rack_id": " "}, ErrorCode.INVALID_REQUEST),
        ({"rebalance_timeout_ms": -1}, ErrorCode.INVALID_REQUEST),
        ({"topology": None}, ErrorCode.INVALID_REQUEST),
        ({"warmup_tasks": None}, ErrorCode.INVALID_REQUEST),
        (
            {"active_tasks": [RequestTaskIds(subtopology_id="0", partitions=[0])]},
            ErrorCode.INVALID_REQUEST,
        ),
        ({"member_epoch": -3}, ErrorCode.INVALID_REQUEST),
        ({"member_epoch": -2}, ErrorCode.INVALID_REQUEST),
        ({"member_epoch": 1}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_fields_that_do_not_go_together_are_refused(
    world: StreamsWorld, fields: dict[str, object], code: ErrorCode
) -> None:
    anna = Thread(world, "anna")
    joining = {
        "rebalance_timeout_ms": 1_000,
        "topology": stateless(),
        "active_tasks": [],
        "standby_tasks": [],
        "warmup_tasks": [],
    }
    assert refusal(anna.asks(**joining | fields)) == code
    assert world.log == []


def test_tasks_that_are_not_in_the_topology_are_refused(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    for wrong in (tasks(4), tasks(0, of="9")):
        anna.owned = Tasks(frozenset(wrong))
        assert refusal(anna.asks(**anna.owned_fields())) == ErrorCode.INVALID_REQUEST


def test_full_group_takes_nobody(world: StreamsWorld) -> None:
    world.settings = replace(AT_ONCE, max_size=1)
    Thread(world, "anna").joins()
    assert refusal(Thread(world, "bob").asks_to_join()) == ErrorCode.GROUP_MAX_SIZE_REACHED


# ---- static members ----


def test_static_thread_comes_back_to_its_tasks(world: StreamsWorld) -> None:
    anna = Thread(world, "anna", instance="one").joins()
    bob = Thread(world, "bob", instance="two").joins()
    settle(anna, bob)
    had, epoch = anna.active, world.group.epoch
    assert anna.leaves(epoch=-2).heard().response.member_epoch == -2
    bob.beats()
    again = Thread(world, "anna2", instance="one", process=anna.process).joins()
    assert (again.active, world.group.epoch) == (had, epoch)
    assert refusal(anna.asks(member_epoch=epoch)) == ErrorCode.FENCED_INSTANCE_ID


def test_instance_that_is_there_is_not_given_away(world: StreamsWorld) -> None:
    Thread(world, "anna", instance="one").joins()
    refused = Thread(world, "bob", instance="one").asks_to_join()
    assert refusal(refused) == ErrorCode.UNRELEASED_INSTANCE_ID
    unknown = Thread(world, "bob", instance="two").asks(member_epoch=5)
    assert refusal(unknown) == ErrorCode.UNKNOWN_MEMBER_ID


def test_static_thread_that_stays_away_is_fenced(world: StreamsWorld) -> None:
    anna = Thread(world, "anna", instance="one").joins()
    anna.leaves(epoch=-2)
    world.after(45_000)
    assert world.group.is_empty()


# ---- other types of group ----


def test_empty_classic_group_becomes_one_of_streams(world: StreamsWorld) -> None:
    world.ask(
        lambda shard, p, now: shard.commit(
            GROUP,
            Committer("", None, -1, 9),
            [OffsetToCommit("lines", 0, 5, -1, "", bytes(16))],
            -1,
            p,
            now,
        )
    )
    assert isinstance(world.shard.groups[GROUP], ClassicGroup)
    anna = Thread(world, "anna").joins()
    assert anna.active == tasks(0, 1, 2, 3)
    world.restart()
    assert world.group.state_name() == "Stable"
    assert world.shard.offsets.topics(GROUP) == {"lines": [0]}


def test_group_with_classic_members_is_not_one_of_streams(world: StreamsWorld) -> None:
    Member(world, "mary", group=GROUP).joins()
    assert refusal(Thread(world, "anna").asks_to_join()) == ErrorCode.GROUP_ID_NOT_FOUND


def test_classic_member_takes_an_empty_group_over(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    mary = Member(world, "mary", group=GROUP)
    assert refusal(mary.joins()) == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    anna.leaves()
    mary.joins()
    assert isinstance(world.shard.groups[GROUP], ClassicGroup)
    assert refusal(anna.asks_to_join()) == ErrorCode.GROUP_ID_NOT_FOUND
    world.restart()
    assert GROUP not in world.shard.groups, "nothing of it was stored yet"


# ---- offsets ----


def commit(world: StreamsWorld, thread: Thread, epoch: int, partition: int, **how: int) -> Waiting:
    committer = Committer(thread.name, None, epoch, how.get("version", 9))
    offset = OffsetToCommit("lines", partition, 7, -1, "", bytes(16))
    return world.ask(lambda shard, p, now: shard.commit(GROUP, committer, [offset], -1, p, now))


def test_member_commits_at_its_epoch(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    assert commit(world, anna, anna.epoch, 0).heard() == [ErrorCode.NONE]
    assert refusal(commit(world, anna, anna.epoch + 1, 0)) == ErrorCode.STALE_MEMBER_EPOCH
    assert refusal(commit(world, anna, anna.epoch, 0, version=8)) == ErrorCode.UNSUPPORTED_VERSION
    stranger = Thread(world, "bob")
    assert refusal(commit(world, stranger, 1, 0)) == ErrorCode.UNKNOWN_MEMBER_ID


def test_member_commits_at_an_older_epoch_what_it_has_had_ever_since(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    before = anna.epoch
    bob = Thread(world, "bob").joins()
    settle(anna, bob)
    kept, given = min(anna.active)[1], min(bob.active)[1]
    assert anna.epoch > before
    assert commit(world, anna, before, kept).heard() == [ErrorCode.NONE]
    assert refusal(commit(world, anna, before, given)) == ErrorCode.STALE_MEMBER_EPOCH
    assert refusal(commit(world, bob, before, given)) == ErrorCode.STALE_MEMBER_EPOCH


def test_offsets_of_the_topology_are_in_use(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    commit(world, anna, anna.epoch, 0).heard()
    delete = [("lines", 0), ("others", 0)]
    codes = world.ask(lambda shard, p, now: shard.delete_offsets(GROUP, delete, p)).heard()
    assert codes == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.NONE]
    anna.leaves()
    codes = world.ask(lambda shard, p, now: shard.delete_offsets(GROUP, delete, p)).heard()
    assert codes == [ErrorCode.NONE, ErrorCode.NONE]


def test_group_is_listed_and_deleted(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    (listed,) = world.shard.list_groups(set(), {"streams"})
    assert (listed.group_id, listed.group_state, listed.protocol_type) == (
        GROUP,
        "Stable",
        "streams",
    )
    delete = [GROUP]
    (result,) = world.ask(lambda shard, p, now: shard.delete_groups(delete, p)).heard()
    assert result.error_code == ErrorCode.NON_EMPTY_GROUP
    anna.leaves()
    (result,) = world.ask(lambda shard, p, now: shard.delete_groups(delete, p)).heard()
    assert result.error_code == ErrorCode.NONE
    world.restart()
    assert world.shard.groups == {}


# ---- restart ----


def test_restart_keeps_tasks_and_what_is_being_given_up(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    bob = Thread(world, "bob").joins()
    anna.hears(anna.asks())
    member = world.group.members["anna"]
    assert member.state is MemberState.UNREVOKED_TASKS
    world.restart()
    assert world.group.members["anna"] == member
    settle(anna, bob)
    assert (len(anna.active), len(bob.active)) == (2, 2)
    world.restart()
    world.after(45_000)
    assert world.group.is_empty(), "nobody has been heard since"


def test_state_of_a_later_release_makes_the_member_come_back(world: StreamsWorld) -> None:
    anna = Thread(world, "anna").joins()
    record, _ = world.log[-1]
    assert isinstance(record, Record)
    record.value.state = 5
    world.restart()
    anna.owned = anna.assigned
    assert refusal(anna.asks(**anna.owned_fields())) == ErrorCode.FENCED_MEMBER_EPOCH
    anna.joins()
    assert anna.active == tasks(0, 1, 2, 3)


def test_thousand_threads_have_all_tasks_after_a_round() -> None:
    world = StreamsWorld(StreamsSettings(), lines=1_500)
    threads = [Thread(world, f"t{number}").joins() for number in range(1_000)]
    world.after(3_000)
    for thread in threads:
        thread.beats()
    assert {task for t in threads for task in t.active} == tasks(*range(1_500))
    assert max(len(t.active) for t in threads) == 2
    assert world.group.state_name() == "Stable"


KAFKAS_RECORDS = (
    (
        "001300026732000178",
        "0000000005776972650b2f3132372e302e302e310000ea6000000000035078ff0100",
    ),
    (
        "001600026732000178",
        "0000000000020000000202020230020000000001000502000000020202300200000001000102023002000000"
        "010100050200000002010100",
    ),
)
"""Key and value as Kafka's group coordinator 4.4 wrote them: a member that gives up a task."""


def test_records_are_those_of_apache_kafka() -> None:
    shard, schema = StreamsWorld().shard, RecordSchema(GROUP_RECORDS)
    for key, value in KAFKAS_RECORDS:
        record = schema.decode(bytes.fromhex(key), bytes.fromhex(value))
        assert record is not None
        shard.replay(record, -1)
    member = shard.streams_group("g2").members["x"]
    assert (member.state, member.epoch) == (MemberState.UNREVOKED_TASKS, 2)
    assert (member.process_id, member.rebalance_timeout_ms) == ("Px", 60_000)
    assert member.assigned == HeldTasks({("0", 0): 2}, frozenset({("0", 1)}))
    assert member.revoking == HeldTasks({("0", 1): 2})

    out = Effects()
    write_member("g2", member, out)
    write_current("g2", member, out)
    written = [tuple(part.hex() for part in schema.encode(r) if part) for r in out.records]
    assert written == list(KAFKAS_RECORDS)


def test_restart_during_the_delay_assigns_at_the_next_heartbeat() -> None:
    world = StreamsWorld(StreamsSettings(), lines=1)
    anna = Thread(world, "anna").joins()
    world.restart()
    anna.beats()
    assert (anna.active, anna.notes) == (tasks(0), [])
