"""Consumer groups as dialogues between members and their coordinator (KIP-848)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sim.classic import Member, subscription
from tests.sim.consumer import GROUP, Consumer, ConsumerWorld, settle
from tests.sim.world import Waiting

from pylog.coordinator.classic_state import ClassicGroup
from pylog.coordinator.consumer_protocol import decode_assignment, encode_assignment
from pylog.coordinator.consumer_state import MemberState
from pylog.coordinator.group_base import Committer
from pylog.coordinator.group_consumer import ConsumerSettings
from pylog.coordinator.offsets import OffsetToCommit
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.consumer_protocol import (
    ConsumerProtocolSubscription,
    ConsumerProtocolSubscriptionTopicPartition,
)
from pylog.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from pylog.protocol.wire import encode


@pytest.fixture
def world() -> ConsumerWorld:
    return ConsumerWorld(events=4)


def refusal(waiting: Waiting) -> ErrorCode:
    assert waiting.error is not None, f"not refused: {waiting.answer}"
    return waiting.error.code


def indexes(consumer: Consumer) -> list[int]:
    return sorted(index for _, index in consumer.assigned)


def test_first_member_is_given_everything_at_once(world: ConsumerWorld) -> None:
    anna = Consumer(world, "anna").joins()
    assert (anna.epoch, indexes(anna)) == (1, [0, 1, 2, 3])
    answer = anna.beats().heard()
    assert answer.assignment is None, "nothing has changed"
    assert answer.heartbeat_interval_ms == 5_000
    assert world.group.state_name() == "Stable"


def test_partition_moves_only_when_its_owner_has_given_it_up(world: ConsumerWorld) -> None:
    anna = Consumer(world, "anna").joins()
    bob = Consumer(world, "bob").joins()
    assert (bob.epoch, indexes(bob)) == (2, []), "his partitions are still hers"
    assert world.group.state_name() == "Reconciling"

    anna.hears(anna.asks())
    assert (anna.epoch, len(anna.assigned)) == (1, 2), "told to give up two, not yet moved on"
    bob.beats()
    assert indexes(bob) == []

    anna.beats()
    assert anna.epoch == 2
    bob.beats()
    assert len(bob.assigned) == 2
    assert anna.assigned.isdisjoint(bob.assigned)
    assert world.group.state_name() == "Stable"


def test_member_that_does_not_give_up_in_time_is_fenced(world: ConsumerWorld) -> None:
    anna = Consumer(world, "anna", rebalance_timeout_ms=30_000).joins()
    bob = Consumer(world, "bob").joins()
    anna.owned = set(anna.assigned)
    everything = anna._partitions()
    anna.hears(anna.asks(topic_partitions=everything))
    for _ in range(3):
        world.after(10_000)
        bob.beats()
        waiting = anna.asks(topic_partitions=everything)
    assert refusal(waiting) == ErrorCode.UNKNOWN_MEMBER_ID
    settle(bob)
    assert indexes(bob) == [0, 1, 2, 3]


def test_silent_member_is_fenced_and_its_partitions_go_to_the_others(
    world: ConsumerWorld,
) -> None:
    anna, bob = Consumer(world, "anna").joins(), Consumer(world, "bob").joins()
    settle(anna, bob)
    for _ in range(5):
        world.after(10_000)
        anna.beats()
    assert refusal(bob.asks()) == ErrorCode.UNKNOWN_MEMBER_ID
    settle(anna)
    assert indexes(anna) == [0, 1, 2, 3]


def test_leaving_frees_the_partitions_at_once(world: ConsumerWorld) -> None:
    anna, bob = Consumer(world, "anna").joins(), Consumer(world, "bob").joins()
    settle(anna, bob)
    assert bob.leaves().heard().member_epoch == -1
    settle(anna)
    assert indexes(anna) == [0, 1, 2, 3]


def test_topic_that_grows_or_appears_raises_the_epoch(world: ConsumerWorld) -> None:
    anna = Consumer(world, "anna", topics=["events", "later"]).joins()
    assert anna.epoch == 1
    world.set_topics(events=4, other=9)
    settle(anna)
    assert anna.epoch == 1, "a topic of others"
    world.set_topics(events=5, other=9, later=1)
    settle(anna)
    assert anna.epoch == 2
    assert anna.assigned == {("events", i) for i in range(5)} | {("later", 0)}


def test_subscription_may_change_and_says_the_rest_stays(world: ConsumerWorld) -> None:
    world.set_topics(events=2, totals=1)
    anna = Consumer(world, "anna").joins()
    anna.owned = set(anna.assigned)
    anna.hears(anna.asks(subscribed_topic_names=["totals"], topic_partitions=anna._partitions()))
    settle(anna)
    assert anna.assigned == {("totals", 0)}


def test_lost_answer_is_told_again_to_the_previous_epoch(world: ConsumerWorld) -> None:
    anna = Consumer(world, "anna").joins()
    bob = Consumer(world, "bob").joins()
    settle(anna, bob)
    bob.leaves()
    anna.owned = set(anna.assigned)
    before = anna.epoch
    lost = anna.asks(topic_partitions=anna._partitions()).heard()
    assert lost.member_epoch > before
    again = anna.asks(topic_partitions=anna._partitions()).heard()
    assert again.member_epoch == lost.member_epoch


@pytest.mark.parametrize("epoch", [1, 7])
def test_epoch_that_is_neither_the_present_nor_the_previous_is_fenced(
    world: ConsumerWorld, epoch: int
) -> None:
    anna = Consumer(world, "anna").joins()
    for name in ("b", "c", "d"):
        settle(anna, Consumer(world, name).joins())
    assert 1 < anna.epoch < 7
    anna.epoch = epoch
    assert refusal(anna.asks(topic_partitions=[])) == ErrorCode.FENCED_MEMBER_EPOCH


def test_member_that_joins_again_is_told_its_whole_assignment(world: ConsumerWorld) -> None:
    anna = Consumer(world, "anna").joins()
    settle(anna)
    assert indexes(anna.joins()) == [0, 1, 2, 3]


class TestStaticMembers:
    def test_keeps_its_partitions_while_it_is_away(self, world: ConsumerWorld) -> None:
        anna = Consumer(world, "anna", instance="desk-1").joins()
        bob = Consumer(world, "bob").joins()
        settle(anna, bob)
        held = set(anna.assigned)
        assert anna.leaves(-2).heard().member_epoch == -2
        settle(bob)
        assert bob.assigned.isdisjoint(held)
        back = Consumer(world, "anna-2", instance="desk-1").joins()
        assert back.assigned == held
        anna.epoch = 2
        assert refusal(anna.asks()) == ErrorCode.FENCED_INSTANCE_ID

    def test_is_given_up_when_it_stays_away(self, world: ConsumerWorld) -> None:
        anna = Consumer(world, "anna", instance="desk-1").joins()
        bob = Consumer(world, "bob").joins()
        settle(anna, bob)
        anna.leaves(-2)
        for _ in range(5):
            world.after(10_000)
            bob.beats()
        settle(bob)
        assert indexes(bob) == [0, 1, 2, 3]

    def test_place_that_is_in_use_is_not_given_to_another(self, world: ConsumerWorld) -> None:
        Consumer(world, "anna", instance="desk-1").joins()
        twin = Consumer(world, "twin", instance="desk-1")
        assert refusal(twin.asks_to_join()) == ErrorCode.UNRELEASED_INSTANCE_ID

    def test_unknown_instance_is_told_so(self, world: ConsumerWorld) -> None:
        Consumer(world, "anna").joins()
        ghost = Consumer(world, "ghost", instance="desk-9")
        ghost.epoch = 3
        assert refusal(ghost.asks()) == ErrorCode.UNKNOWN_MEMBER_ID


class TestRegularExpressions:
    def test_subscribes_to_the_topics_that_match(self) -> None:
        world = ConsumerWorld(events=1, event_totals=1, other=1)
        anna = Consumer(world, "anna", topics=None, regex="event.*").joins()
        assert anna.assigned == {("events", 0), ("event_totals", 0)}
        world.set_topics(events=1, event_totals=1, other=1, event_new=2)
        settle(anna)
        assert ("event_new", 1) in anna.assigned
        world.restart()
        settle(anna)
        assert len(anna.assigned) == 4

    def test_one_that_can_not_be_read_is_refused(self, world: ConsumerWorld) -> None:
        anna = Consumer(world, "anna", topics=None, regex="(")
        assert refusal(anna.asks_to_join()) == ErrorCode.INVALID_REGULAR_EXPRESSION

    def test_is_forgotten_with_its_last_user(self, world: ConsumerWorld) -> None:
        anna = Consumer(world, "anna", topics=None, regex="e.*").joins()
        anna.hears(
            anna.asks(
                subscribed_topic_names=["events"], subscribed_topic_regex="", topic_partitions=[]
            )
        )
        assert world.group.regexes == {}


def test_assignor_that_most_members_ask_for_is_used() -> None:
    world = ConsumerWorld(left=2, right=2)
    both = ("left", "right")
    anna = Consumer(world, "anna", topics=both, assignor="range").joins()
    bob = Consumer(world, "bob", topics=both, assignor="range").joins()
    settle(anna, bob)
    assert {index for _, index in anna.assigned} == {0}, "the same number of each topic"
    assert {index for _, index in bob.assigned} == {1}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"group_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"member_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"instance_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"rack_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"rebalance_timeout_ms": -1}, ErrorCode.INVALID_REQUEST),
        ({"topic_partitions": None}, ErrorCode.INVALID_REQUEST),
        ({"subscribed_topic_names": None}, ErrorCode.INVALID_REQUEST),
        ({"member_epoch": -3}, ErrorCode.INVALID_REQUEST),
        ({"member_epoch": -2}, ErrorCode.INVALID_REQUEST),
        ({"server_assignor": "mine"}, ErrorCode.UNSUPPORTED_ASSIGNOR),
        ({"member_epoch": 5}, ErrorCode.GROUP_ID_NOT_FOUND),
        ({"member_epoch": -1}, ErrorCode.GROUP_ID_NOT_FOUND),
    ],
)
def test_fields_out_of_range_get_their_code(
    world: ConsumerWorld, fields: dict[str, object], code: ErrorCode
) -> None:
    request: dict[str, object] = {
        "rebalance_timeout_ms": 1_000,
        "subscribed_topic_names": ["events"],
        "topic_partitions": [],
    }
    assert refusal(Consumer(world, "anna").asks(**{**request, **fields})) == code
    assert world.shard.groups == {}
    assert world.log == []


def test_group_takes_no_more_than_its_maximum() -> None:
    world = ConsumerWorld(ConsumerSettings(max_size=1), events=4)
    anna = Consumer(world, "anna").joins()
    assert refusal(Consumer(world, "bob").asks_to_join()) == ErrorCode.GROUP_MAX_SIZE_REACHED
    anna.beats()


def test_members_assignments_and_epochs_survive_a_restart(world: ConsumerWorld) -> None:
    anna, bob = Consumer(world, "anna").joins(), Consumer(world, "bob").joins()
    anna.beats()
    world.restart()
    assert world.group.members["anna"].state == MemberState.UNREVOKED_PARTITIONS
    settle(anna, bob)
    assert anna.assigned.isdisjoint(bob.assigned)
    assert len(anna.assigned | bob.assigned) == 4
    held = set(anna.assigned)
    world.restart()
    settle(anna, bob)
    assert anna.assigned == held


def test_commit_needs_the_members_epoch(world: ConsumerWorld) -> None:
    anna = Consumer(world, "anna").joins()

    def commit(epoch: int, member: str = "anna", version: int = 9) -> Waiting:
        offsets = [OffsetToCommit("events", 0, 5, -1, "")]
        committer = Committer(member, None, epoch, version)
        return world.ask(lambda s, p, now: s.commit(GROUP, committer, offsets, -1, p, now))

    assert commit(anna.epoch).heard() == [ErrorCode.NONE]
    assert refusal(commit(anna.epoch - 1)) == ErrorCode.STALE_MEMBER_EPOCH
    assert refusal(commit(anna.epoch, "ghost")) == ErrorCode.UNKNOWN_MEMBER_ID
    assert refusal(commit(-1, "")) == ErrorCode.UNKNOWN_MEMBER_ID
    assert refusal(commit(anna.epoch, version=8)) == ErrorCode.UNSUPPORTED_VERSION


def test_transaction_of_nobody_may_commit_beside_members(world: ConsumerWorld) -> None:
    """Its producer does not say for whom (KIP-447); an epoch other than -1 is somebody's."""
    Consumer(world, "anna").joins()

    def commit(epoch: int) -> Waiting:
        committer = Committer("", None, epoch, 3, transactional=True)
        return world.ask(lambda s, p, now: s.commit(GROUP, committer, [], 7, p, now))

    assert commit(-1).heard() == []
    assert refusal(commit(-2)) == ErrorCode.UNKNOWN_MEMBER_ID


def test_commit_of_nothing_needs_no_newer_epoch_than_the_members(world: ConsumerWorld) -> None:
    anna = Consumer(world, "anna").joins()
    committer = Committer("anna", None, anna.epoch + 1, 9)
    waiting = world.ask(lambda s, p, now: s.commit(GROUP, committer, [], -1, p, now))
    assert refusal(waiting) == ErrorCode.STALE_MEMBER_EPOCH


def test_offsets_are_fetched_by_members_of_this_epoch_or_by_nobody(world: ConsumerWorld) -> None:
    anna = Consumer(world, "anna").joins()

    def fetch(member: str | None, epoch: int) -> Waiting:
        who = (member, epoch)
        return world.ask(lambda s, p, now: s.fetch_offsets(GROUP, who, None, False, p))

    assert fetch("anna", anna.epoch).heard() == []
    assert fetch(None, -1).heard() == []
    assert refusal(fetch("", -1)) == ErrorCode.UNKNOWN_MEMBER_ID
    assert refusal(fetch("anna", anna.epoch - 1)) == ErrorCode.STALE_MEMBER_EPOCH


def test_older_epoch_may_commit_what_the_member_has_had_ever_since(world: ConsumerWorld) -> None:
    """KIP-1251: a commit that was sent before the epoch grew is no commit of a zombie."""
    anna = Consumer(world, "anna").joins()
    first = anna.epoch
    bob = Consumer(world, "bob").joins()
    settle(anna, bob)
    kept, given = min(indexes(anna)), min(indexes(bob))
    assert anna.epoch > first

    def commit(member: Consumer, epoch: int, partition: int) -> Waiting:
        offsets = [OffsetToCommit("events", partition, 5, -1, "", world.ids["events"])]
        committer = Committer(member.name, None, epoch, 9)
        return world.ask(lambda s, p, now: s.commit(GROUP, committer, offsets, -1, p, now))

    for _ in range(2):
        assert commit(anna, first, kept).heard() == [ErrorCode.NONE]
        assert commit(bob, bob.epoch, given).heard() == [ErrorCode.NONE]
        assert refusal(commit(anna, first - 1, kept)) == ErrorCode.STALE_MEMBER_EPOCH
        assert refusal(commit(anna, anna.epoch + 1, kept)) == ErrorCode.STALE_MEMBER_EPOCH
        assert refusal(commit(anna, first, given)) == ErrorCode.STALE_MEMBER_EPOCH
        assert refusal(commit(bob, first, given)) == ErrorCode.STALE_MEMBER_EPOCH
        world.restart()  # what is since when outlives the broker


def test_empty_group_is_deleted_with_everything_that_was_stored(world: ConsumerWorld) -> None:
    Consumer(world, "anna", topics=None, regex="e.*").joins().leaves()

    def delete() -> ErrorCode:
        waiting = world.ask(lambda shard, p, now: shard.delete_groups([GROUP], p))
        code: ErrorCode = waiting.heard()[0].error_code
        return code

    assert delete() == ErrorCode.NONE
    assert GROUP not in world.shard.groups
    world.restart()
    assert GROUP not in world.shard.groups


def test_thousand_members_share_a_topic_of_as_many_partitions() -> None:
    world = ConsumerWorld(events=1_000)
    members = [Consumer(world, f"m{n}") for n in range(1_000)]
    for member in members[:50]:
        member.joins()
    settle(*members[:50])
    assert {len(member.assigned) for member in members[:50]} == {20}


class TestBothProtocols:
    """Classic members, and members of the new protocol, in one group."""

    @staticmethod
    def classic(world: ConsumerWorld, name: str) -> Member:
        protocols = {"range": subscription("events")}
        return Member(world, name, protocols=protocols, group=GROUP)

    @staticmethod
    def check_old_generation(world: ConsumerWorld, member: Member, *partitions: int) -> None:
        """It may commit what its member has had then, as an old epoch may; else it is illegal."""
        held = world.group.members[member.id]
        since = held.since[world.ids["events"], partitions[0]]

        def commit(generation: int, partition: int) -> Waiting:
            offsets = [OffsetToCommit("events", partition, 5, -1, "", world.ids["events"])]
            committer = Committer(member.id, None, generation, 8)
            return world.ask(lambda s, p, now: s.commit(GROUP, committer, offsets, -1, p, now))

        world.group.members[member.id] = replace(held, epoch=held.epoch + 1)
        assert commit(since, partitions[0]).heard() == [ErrorCode.NONE]
        other = next(index for index in range(4) if index not in partitions)
        illegal = ErrorCode.ILLEGAL_GENERATION
        assert refusal(commit(since, other)) == illegal
        assert refusal(commit(since - 1, partitions[0])) == illegal
        assert refusal(commit(held.epoch + 2, partitions[0])) == illegal
        world.group.members[member.id] = held

    def form_classic(self, world: ConsumerWorld) -> Member:
        anna = self.classic(world, "anna")
        joined = anna.joins()
        world.after(3_000)
        anna.learns(joined)
        anna.syncs({anna.id: encode_assignment({"events": [0, 1, 2, 3]}, 0)})
        return anna

    def test_classic_group_is_upgraded_by_its_first_new_member(self, world: ConsumerWorld) -> None:
        anna = self.form_classic(world)
        bob = Consumer(world, "bob").joins()
        assert indexes(bob) == []
        assert anna.beats().heard().error_code == ErrorCode.REBALANCE_IN_PROGRESS
        world.restart()
        self.rejoin(anna, [0, 1, 2, 3])
        kept = self.fetch(anna)
        assert len(kept) == 2
        self.rejoin(anna, kept)
        assert self.fetch(anna) == kept
        settle(bob)
        assert sorted([*kept, *indexes(bob)]) == [0, 1, 2, 3]
        assert anna.beats().heard().error_code == 0

    @staticmethod
    def rejoin(member: Member, owned: list[int]) -> None:
        """JoinGroup of a cooperative consumer: it tells what it owns (version 1)."""
        member.protocols = {"range": owning(owned)}
        member.learns(member.joins())

    @staticmethod
    def fetch(member: Member) -> list[int]:
        return decode_assignment(member.syncs().heard().assignment).get("events", [])

    def test_group_is_classic_again_when_its_last_new_member_leaves(
        self, world: ConsumerWorld
    ) -> None:
        anna = self.form_classic(world)
        bob = Consumer(world, "bob").joins()
        self.rejoin(anna, [])
        bob.leaves()
        assert isinstance(world.shard.groups[GROUP], ClassicGroup)
        world.after(0)
        assert anna.beats().heard().error_code == ErrorCode.REBALANCE_IN_PROGRESS
        joined = anna.joins()
        assert {m.member_id for m in joined.heard().members} == {anna.id}
        world.restart()
        assert isinstance(world.shard.groups[GROUP], ClassicGroup)

    def test_group_is_classic_when_a_classic_member_replaces_the_last_static_one(
        self, world: ConsumerWorld
    ) -> None:
        anna = Consumer(world, "anna", instance="i").joins()
        anna.leaves(-2)
        successor = self.classic(world, "successor")
        successor.instance = "i"
        successor.learns(successor.joins())
        assert isinstance(world.shard.groups[GROUP], ClassicGroup)
        for _ in range(2):
            assert successor.beats().heard().error_code == 0, "it need not join again"
            assert self.fetch(successor) == [0, 1, 2, 3]
            world.restart()
        world.after(60_000)
        assert world.shard.groups[GROUP].is_empty(), "its session is kept, and ends"

    def test_classic_member_that_replaces_one_of_several_leaves_the_group_as_it_is(
        self, world: ConsumerWorld
    ) -> None:
        anna, bob = Consumer(world, "anna", instance="i").joins(), Consumer(world, "bob").joins()
        settle(anna, bob)
        anna.leaves(-2)
        successor = self.classic(world, "successor")
        successor.instance = "i"
        successor.learns(successor.joins())
        assert world.group.members.keys() == {"bob", successor.id}

    def test_classic_member_with_another_subscription_has_the_group_rebalance(
        self, world: ConsumerWorld
    ) -> None:
        world.set_topics(events=4, totals=1)
        Consumer(world, "anna", topics=["totals"], instance="i").joins().leaves(-2)
        successor = self.classic(world, "successor")
        successor.instance = "i"
        successor.learns(successor.joins())
        world.after(0)
        assert successor.beats().heard().error_code == ErrorCode.REBALANCE_IN_PROGRESS

    def test_an_admin_removes_members_of_either_protocol(self, world: ConsumerWorld) -> None:
        anna, bob = Consumer(world, "anna").joins(), Consumer(world, "bob").joins()
        settle(anna, bob)
        request = LeaveGroupRequest(
            group_id=GROUP, members=[MemberIdentity(member_id="bob"), MemberIdentity(member_id="x")]
        )
        answer = world.ask(lambda shard, p, now: shard.leave(request, p, now)).heard()
        codes = [member.error_code for member in answer.members]
        assert codes == [ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID]
        settle(anna)
        assert indexes(anna) == [0, 1, 2, 3]

    def test_classic_member_joins_a_consumer_group(self, world: ConsumerWorld) -> None:
        bob = Consumer(world, "bob").joins()
        anna = self.classic(world, "anna")
        anna.learns(anna.joins())
        assert self.fetch(anna) == []
        settle(bob)
        assert anna.beats().heard().error_code == ErrorCode.REBALANCE_IN_PROGRESS
        anna.learns(anna.joins())
        mine = self.fetch(anna)
        assert len(mine) == 2
        self.check_old_generation(world, anna, *mine)
        anna.leaves()
        settle(bob)
        assert indexes(bob) == [0, 1, 2, 3]

    def test_classic_member_that_does_not_join_again_is_fenced(self, world: ConsumerWorld) -> None:
        anna = self.form_classic(world)
        Consumer(world, "bob").joins()
        for _ in range(12):
            anna.beats()
            world.after(5_000)
        assert refusal(anna.beats()) == ErrorCode.UNKNOWN_MEMBER_ID

    def test_empty_group_changes_its_type(self, world: ConsumerWorld) -> None:
        Consumer(world, "bob").joins().leaves()
        anna = self.form_classic(world)
        assert isinstance(world.shard.groups[GROUP], ClassicGroup)
        world.restart()
        assert anna.beats().heard().error_code == 0
        anna.leaves()
        Consumer(world, "bob").joins()
        world.restart()
        assert world.group.members.keys() == {"bob"}

    def test_group_of_another_kind_is_not_upgraded(self, world: ConsumerWorld) -> None:
        worker = self.classic(world, "worker")
        worker.protocol_type = "connect"
        worker.joins()
        world.after(3_000)
        bob = Consumer(world, "bob")
        assert refusal(bob.asks_to_join()) == ErrorCode.GROUP_ID_NOT_FOUND


def owning(partitions: list[int]) -> bytes:
    """A subscription of version 1 to events, with what the member owns."""
    owned = ConsumerProtocolSubscriptionTopicPartition(topic="events", partitions=partitions)
    message = ConsumerProtocolSubscription(topics=["events"], owned_partitions=[owned])
    return b"\0\x01" + encode(message, 1)
