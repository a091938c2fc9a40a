"""Share groups as dialogues between members and their coordinator."""

from __future__ import annotations

import pytest
from tests.sim.world import Waiting, World

from pylog.coordinator.group import GroupShard, Surroundings
from pylog.coordinator.group_base import Client
from pylog.coordinator.group_share import Beat, ShareSettings
from pylog.coordinator.topics_view import TopicInfo, TopicsView
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest

TOPIC = bytes([1]) * 16
GROUP = "workers"


class Cluster:
    """A shard, and the topics that it sees."""

    def __init__(self, partitions: int = 2, assignment_interval_ms: int = 0) -> None:
        self.partitions = partitions
        self.revision = 0
        settings = ShareSettings(5_000, 45_000, assignment_interval_ms, max_size=2)
        around = Surroundings(topics=self.view, share_settings=lambda _: settings)
        self.world: World[GroupShard] = World(lambda: GroupShard(around))

    def view(self) -> TopicsView:
        self.revision += 1
        return TopicsView.of(self.revision, [("jobs", TopicInfo(TOPIC, self.partitions))])

    def beat(self, member: str, epoch: int, topics: list[str] | None = None) -> Waiting:
        request = ShareGroupHeartbeatRequest(
            group_id=GROUP, member_id=member, member_epoch=epoch, subscribed_topic_names=topics
        )
        client = Client(member, "/10.0.0.1", 1)
        return self.world.ask(lambda s, p, now: s.share_heartbeat(request, client, p, now))

    def hear(self, member: str, epoch: int, topics: list[str] | None = None) -> Beat:
        """The answer, with what has to be initialized initialized before."""
        beat = self.beat(member, epoch, topics).heard()
        assert isinstance(beat, Beat)
        if beat.uninitialized:
            missing = beat.uninitialized
            self.world.ask(lambda s, p, _: s.share_initialized(GROUP, missing, p)).heard()
            return self.hear(member, beat.response.member_epoch, topics)
        return beat

    def state(self) -> str:
        return self.world.shard.groups[GROUP].state_name()


def assigned(beat: Beat) -> list[int] | None:
    """Partitions of the only topic; None when the answer tells none."""
    told = beat.response.assignment
    return None if told is None else [i for t in told.topic_partitions for i in t.partitions]


def refusal(waiting: Waiting) -> ErrorCode:
    with pytest.raises(ApiError) as refused:
        waiting.heard()
    return refused.value.code


def test_first_member_gets_everything() -> None:
    cluster = Cluster()
    first = cluster.beat("anna", 0, ["jobs"]).heard()
    assert assigned(first) == []
    assert {t: s.partitions for t, s in first.uninitialized.items()} == {TOPIC: {0, 1}}
    beat = cluster.hear("anna", first.response.member_epoch)
    assert assigned(beat) == [0, 1]
    assert cluster.state() == "Stable"
    again = cluster.hear("anna", beat.response.member_epoch)
    assert assigned(again) is None, "nothing new is not told"


def test_members_share_partitions_and_one_partition_too() -> None:
    cluster = Cluster(partitions=2)
    anna = cluster.hear("anna", 0, ["jobs"])
    bob = cluster.hear("bob", 0, ["jobs"])
    anna = cluster.hear("anna", anna.response.member_epoch)
    assert sorted([*(assigned(anna) or []), *(assigned(bob) or [])]) == [0, 1]

    narrow = Cluster(partitions=1)
    anna, bob = narrow.hear("anna", 0, ["jobs"]), narrow.hear("bob", 0, ["jobs"])
    assert assigned(anna) == assigned(bob) == [0]


def test_group_is_full_at_its_size() -> None:
    cluster = Cluster()
    cluster.hear("anna", 0, ["jobs"])
    cluster.hear("bob", 0, ["jobs"])
    assert refusal(cluster.beat("carl", 0, ["jobs"])) == ErrorCode.GROUP_MAX_SIZE_REACHED


def test_wrong_epochs_and_strangers_are_refused() -> None:
    cluster = Cluster()
    assert refusal(cluster.beat("anna", 1)) == ErrorCode.GROUP_ID_NOT_FOUND
    epoch = cluster.hear("anna", 0, ["jobs"]).response.member_epoch
    assert refusal(cluster.beat("anna", epoch + 1)) == ErrorCode.FENCED_MEMBER_EPOCH
    assert refusal(cluster.beat("bob", epoch)) == ErrorCode.UNKNOWN_MEMBER_ID
    assert refusal(cluster.beat("bob", -1)) == ErrorCode.UNKNOWN_MEMBER_ID


def test_silent_member_is_removed_and_its_partitions_go_to_the_other() -> None:
    cluster = Cluster()
    cluster.hear("anna", 0, ["jobs"])
    cluster.world.after(40_000)
    bob = cluster.hear("bob", 0, ["jobs"])
    cluster.world.after(10_000)
    beat = cluster.hear("bob", bob.response.member_epoch)
    assert assigned(beat) == [0, 1]
    assert refusal(cluster.beat("anna", 1)) == ErrorCode.UNKNOWN_MEMBER_ID


def test_new_partitions_are_initialized_and_assigned() -> None:
    cluster = Cluster(partitions=1)
    epoch = cluster.hear("anna", 0, ["jobs"]).response.member_epoch
    cluster.partitions = 3
    assert assigned(cluster.hear("anna", epoch)) == [0, 1, 2]


def test_restart_keeps_members_assignments_and_sessions() -> None:
    cluster = Cluster()
    epoch = cluster.hear("anna", 0, ["jobs"]).response.member_epoch
    cluster.world.restart()
    assert assigned(cluster.hear("anna", epoch, ["jobs"])) == [0, 1]
    cluster.world.restart()
    cluster.world.after(46_000)
    assert cluster.state() == "Empty"
    assert refusal(cluster.beat("anna", epoch)) == ErrorCode.UNKNOWN_MEMBER_ID


def test_group_is_deleted_when_it_is_empty() -> None:
    cluster = Cluster()
    cluster.hear("anna", 0, ["jobs"])

    def delete() -> int:
        asked = cluster.world.ask(lambda s, p, _: s.delete_groups([GROUP], p))
        [result] = asked.heard()
        return int(result.error_code)

    assert delete() == ErrorCode.NON_EMPTY_GROUP
    cluster.beat("anna", -1).heard()
    assert delete() == ErrorCode.NONE
    cluster.world.restart()
    assert GROUP not in cluster.world.shard.groups


def test_members_that_come_soon_after_an_assignment_wait_for_the_next() -> None:
    cluster = Cluster(partitions=2, assignment_interval_ms=1_000)
    first = cluster.hear("anna", 0, ["jobs"])
    assert assigned(first) == [0, 1], "nobody was there to be disturbed"
    cluster.world.after(400)
    second = cluster.hear("bob", 0, ["jobs"])
    assert assigned(second) == []
    assert second.response.heartbeat_interval_ms == 600, "it asks again when it is time"
    assert assigned(cluster.hear("anna", first.response.member_epoch)) is None
    cluster.world.after(600)
    second = cluster.hear("bob", second.response.member_epoch)
    assert second.response.heartbeat_interval_ms == 5_000
    assert assigned(second) == [1]
    assert assigned(cluster.hear("anna", first.response.member_epoch)) == [0]
