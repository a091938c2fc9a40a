"""Committed offsets: who may commit, what is told, what transactions and time do to them."""

from __future__ import annotations

import pytest
from tests.sim.classic import GROUP, Member, committed, form, new_world, subscription
from tests.sim.world import Waiting, World

from pylog.coordinator.effects import Marker, Producer
from pylog.coordinator.group import GroupShard
from pylog.coordinator.group_base import Committer, GroupSettings
from pylog.coordinator.offsets import OffsetToCommit
from pylog.protocol.errors import ErrorCode

DAY_MS = 24 * 60 * 60 * 1000
TOPIC_ID, OTHER_ID, NO_ID = b"a" * 16, b"b" * 16, bytes(16)
PRODUCER = Producer(7, 3)


@pytest.fixture
def world() -> World[GroupShard]:
    return new_world()


def refusal(waiting: Waiting) -> ErrorCode:
    assert waiting.error is not None, f"not refused: {waiting.answer}"
    return waiting.error.code


def commit(
    world: World[GroupShard],
    *offsets: OffsetToCommit,
    committer: Committer | None = None,
    retention_ms: int = -1,
) -> Waiting:
    who = committer or Committer("", None, -1, 9)
    return world.ask(lambda shard, p, now: shard.commit(GROUP, who, offsets, retention_ms, p, now))


def commit_in_transaction(
    world: World[GroupShard], offset: int, producer: Producer = PRODUCER
) -> Waiting:
    committer = Committer("", None, -1, 3, transactional=True)
    offsets = [OffsetToCommit("events", 0, offset, -1, "")]
    return world.ask(
        lambda shard, p, now: shard.commit_in_transaction(
            GROUP, committer, producer, offsets, p, now
        )
    )


def end(world: World[GroupShard], commits: bool, producer: Producer = PRODUCER) -> None:
    marker = Marker(producer.producer_id, producer.epoch, 0, commits)
    world.ask(lambda shard, p, now: shard.end_transaction(marker, p)).heard()


def fetch(world: World[GroupShard], topic_id: bytes = NO_ID, stable: bool = True) -> object:
    topics = [("events", topic_id, [0])]
    waiting = world.ask(
        lambda shard, p, now: shard.fetch_offsets(GROUP, (None, -1), topics, stable, p)
    )
    [(_, [fetched])] = waiting.heard()
    if fetched.error:
        return fetched.error
    return None if fetched.committed is None else fetched.committed.offset


def offset_of(offset: int, metadata: str | None = "", topic_id: bytes = NO_ID) -> OffsetToCommit:
    return OffsetToCommit("events", 0, offset, 5, metadata, topic_id)


def test_consumer_without_a_group_commits_to_a_group_without_members(
    world: World[GroupShard],
) -> None:
    assert commit(world, offset_of(10)).heard() == [ErrorCode.NONE]
    [group] = world.shard.list_groups(set(), set())
    assert (group.group_id, group.group_state, group.protocol_type) == (GROUP, "Empty", "")
    world.restart()
    assert fetch(world) == 10


def test_consumer_without_a_group_may_not_commit_beside_members(
    world: World[GroupShard],
) -> None:
    form(world, [Member(world, "anna")])
    assert refusal(commit(world, offset_of(10))) == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize(
    ("version", "code"), [(8, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND)]
)
def test_generation_of_a_group_that_does_not_exist_is_refused(
    world: World[GroupShard], version: int, code: ErrorCode
) -> None:
    committer = Committer("anna", None, 3, version)
    assert refusal(commit(world, offset_of(1), committer=committer)) == code


def test_metadata_and_leader_epoch_are_kept(world: World[GroupShard]) -> None:
    commit(world, offset_of(10, "where I was"))
    world.restart()
    [(_, [fetched])] = world.ask(
        lambda shard, p, now: shard.fetch_offsets(GROUP, (None, -1), None, False, p)
    ).heard()
    assert (fetched.committed.metadata, fetched.committed.leader_epoch) == ("where I was", 5)


def test_metadata_that_is_too_long_is_refused_and_the_rest_is_committed(
    world: World[GroupShard],
) -> None:
    long = OffsetToCommit("events", 1, 3, -1, "x" * 4097)
    codes = commit(world, long, offset_of(10, "x" * 4096)).heard()
    assert codes == [ErrorCode.OFFSET_METADATA_TOO_LARGE, ErrorCode.NONE]
    assert fetch(world) == 10


def test_topic_that_was_made_again_starts_without_offsets(world: World[GroupShard]) -> None:
    commit(world, offset_of(10, topic_id=TOPIC_ID))
    assert fetch(world, TOPIC_ID) == fetch(world, NO_ID) == 10
    assert fetch(world, OTHER_ID) is None


def test_deleted_topic_takes_its_offsets_along(world: World[GroupShard]) -> None:
    commit(world, offset_of(10), OffsetToCommit("totals", 0, 4, -1, ""))
    commit_in_transaction(world, 20)
    world.ask(lambda shard, p, now: shard.delete_topics({"events"}, p)).heard()
    end(world, commits=True)
    world.restart()
    assert fetch(world) is None
    assert committed(world, topic="totals") == 4


class TestTransactions:
    def test_offset_counts_when_its_transaction_commits(self, world: World[GroupShard]) -> None:
        commit(world, offset_of(10))
        commit_in_transaction(world, 20)
        assert fetch(world) == ErrorCode.UNSTABLE_OFFSET_COMMIT
        assert fetch(world, stable=False) == 10
        end(world, commits=True)
        assert fetch(world) == 20
        world.restart()
        assert fetch(world) == 20

    def test_offset_is_forgotten_when_it_aborts(self, world: World[GroupShard]) -> None:
        commit(world, offset_of(10))
        commit_in_transaction(world, 20)
        world.restart()
        assert fetch(world) == ErrorCode.UNSTABLE_OFFSET_COMMIT
        end(world, commits=False)
        assert fetch(world) == 10

    def test_later_commit_is_not_undone_by_the_end_of_an_earlier_one(
        self, world: World[GroupShard]
    ) -> None:
        commit_in_transaction(world, 20)
        commit(world, offset_of(30))
        end(world, commits=True)
        assert fetch(world) == 30
        world.restart()
        assert fetch(world) == 30

    def test_offset_that_comes_after_the_marker_is_fenced(self, world: World[GroupShard]) -> None:
        end(world, commits=False, producer=Producer(7, 4))
        late = commit_in_transaction(world, 20)
        assert refusal(late) == ErrorCode.INVALID_PRODUCER_EPOCH
        world.restart()
        assert refusal(commit_in_transaction(world, 20)) == ErrorCode.INVALID_PRODUCER_EPOCH
        assert commit_in_transaction(world, 20, Producer(7, 4)).heard() == [ErrorCode.NONE]

    def test_member_of_an_older_generation_is_refused(self, world: World[GroupShard]) -> None:
        form(world, [Member(world, "anna")])
        committer = Committer("anna-1", None, 9, 3, transactional=True)
        waiting = world.ask(
            lambda shard, p, now: shard.commit_in_transaction(
                GROUP, committer, PRODUCER, [offset_of(1)], p, now
            )
        )
        assert refusal(waiting) == ErrorCode.ILLEGAL_GENERATION


class TestExpiry:
    @pytest.fixture
    def world(self) -> World[GroupShard]:
        settings = GroupSettings(
            offsets_retention_ms=DAY_MS, offsets_retention_check_interval_ms=60_000
        )
        return new_world(settings)

    def test_offsets_of_no_member_go_a_retention_after_they_were_committed(
        self, world: World[GroupShard]
    ) -> None:
        commit(world, offset_of(10))
        world.after(DAY_MS - 60_000)
        assert fetch(world) == 10
        world.after(120_000)
        assert fetch(world) is None
        assert world.shard.groups == {}, "and the group with them"
        world.restart()
        assert world.shard.groups == {}

    def test_offsets_of_members_stay_until_a_retention_after_the_last_has_left(
        self, world: World[GroupShard]
    ) -> None:
        anna = Member(world, "anna", session_timeout_ms=100_000)
        form(world, [anna])
        anna.commits(10)
        for _ in range(30):
            world.after(DAY_MS // 1_000)
            anna.beats()
        anna.leaves()
        world.after(DAY_MS - 60_000)
        assert fetch(world) == 10
        world.after(120_000)
        assert fetch(world) is None

    def test_offsets_of_a_topic_that_nobody_reads_any_more_go_meanwhile(
        self, world: World[GroupShard]
    ) -> None:
        protocols = {"range": subscription("other")}
        anna = Member(world, "anna", protocols=protocols, session_timeout_ms=1_800_000)
        form(world, [anna])
        anna.commits(10)
        for _ in range(60):
            world.after(1_500_000)
            anna.beats()
        assert fetch(world) is None

    def test_commit_may_ask_for_a_time_of_its_own(self, world: World[GroupShard]) -> None:
        commit(world, offset_of(10), retention_ms=3_600_000)
        world.after(3_500_000)
        assert fetch(world) == 10
        world.after(200_000)
        assert fetch(world) is None


def test_delete_spares_topics_that_members_read(world: World[GroupShard]) -> None:
    anna = Member(world, "anna")
    form(world, [anna])
    anna.commits(10)
    anna.commits(4, topic="totals")

    def delete() -> list[ErrorCode]:
        wanted = [("events", 0), ("totals", 0)]
        waiting = world.ask(lambda shard, p, now: shard.delete_offsets(GROUP, wanted, p))
        codes: list[ErrorCode] = waiting.heard()
        return codes

    assert delete() == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.NONE]
    assert (fetch(world), committed(world, topic="totals")) == (10, None)
    anna.leaves()
    assert delete() == [ErrorCode.NONE, ErrorCode.NONE]
    assert fetch(world) is None


def test_delete_of_an_unknown_group_is_refused(world: World[GroupShard]) -> None:
    for group, code in ((GROUP, ErrorCode.GROUP_ID_NOT_FOUND), ("", ErrorCode.INVALID_GROUP_ID)):
        waiting = world.ask(lambda shard, p, now, g=group: shard.delete_offsets(g, [], p))
        assert refusal(waiting) == code
