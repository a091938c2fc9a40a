"""The classic group protocol as dialogues between members and their coordinator."""

from __future__ import annotations

import pytest
from tests.sim.classic import GROUP, Member, assign, committed, form, new_world, subscription
from tests.sim.world import Waiting, World

from pylog.coordinator.group import GroupShard
from pylog.coordinator.group_base import GroupSettings
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.leave_group import MemberIdentity


@pytest.fixture
def world() -> World[GroupShard]:
    return new_world()


def state(world: World[GroupShard]) -> str:
    return world.shard.groups[GROUP].state_name()


def refusal(waiting: Waiting) -> ErrorCode:
    assert waiting.error is not None, f"not refused: {waiting.answer}"
    return waiting.error.code


def test_first_member_learns_its_id_then_leads_a_group_of_its_own(
    world: World[GroupShard],
) -> None:
    anna = Member(world, "anna")
    first = anna.asks_to_join().heard()
    assert (first.error_code, first.member_id) == (ErrorCode.MEMBER_ID_REQUIRED, "anna-1")
    anna.id = first.member_id

    joined = anna.asks_to_join()
    world.after(2_999)
    assert joined.waits, "the initial rebalance waits for others"
    world.after(1)
    answer = joined.heard()
    assert (answer.generation_id, answer.leader, answer.protocol_name) == (1, "anna-1", "range")
    assert [m.member_id for m in answer.members] == ["anna-1"]

    anna.learns(joined)
    assert anna.syncs({anna.id: b"all"}).heard().assignment == b"all"
    assert state(world) == "Stable"
    assert anna.beats().heard().error_code == 0


def test_initial_rebalance_waits_longer_while_members_come(world: World[GroupShard]) -> None:
    anna_joined = Member(world, "anna").joins()
    world.after(2_000)
    Member(world, "bob").joins()
    world.after(2_000)
    assert anna_joined.waits
    Member(world, "carl").joins()
    world.after(2_000)
    assert anna_joined.waits
    world.after(3_000)
    assert len(anna_joined.heard().members) == 3


def test_old_client_joins_in_one_request(world: World[GroupShard]) -> None:
    old = Member(world, "old", version=2)
    assert old.asks_to_join().waits


def test_second_member_makes_the_first_join_again(world: World[GroupShard]) -> None:
    anna, bob = Member(world, "anna"), Member(world, "bob")
    form(world, [anna])
    bob_joined = bob.joins()
    assert bob_joined.waits
    assert anna.beats().heard().error_code == ErrorCode.REBALANCE_IN_PROGRESS
    anna_joined = anna.joins()
    anna.learns(anna_joined)
    bob.learns(bob_joined)
    assert anna.generation == bob.generation == 2
    assert {m.member_id for m in anna_joined.heard().members} == {anna.id, bob.id}
    assert bob_joined.heard().members == [], "only the leader is told the members"
    assign([anna, bob], [anna_joined, bob_joined])


def test_follower_waits_for_the_assignment_of_the_leader(world: World[GroupShard]) -> None:
    anna, bob = Member(world, "anna"), Member(world, "bob")
    joined = [anna.joins(), bob.joins()]
    world.after(6_000)
    anna.learns(joined[0])
    bob.learns(joined[1])
    bob_synced = bob.syncs()
    assert bob_synced.waits
    assert anna.syncs({anna.id: b"a", bob.id: b"b"}).heard().assignment == b"a"
    assert bob_synced.heard().assignment == b"b"


def test_member_that_the_leader_forgot_gets_an_empty_assignment(
    world: World[GroupShard],
) -> None:
    anna, bob = Member(world, "anna"), Member(world, "bob")
    joined = [anna.joins(), bob.joins()]
    world.after(6_000)
    anna.learns(joined[0])
    bob.learns(joined[1])
    anna.syncs({anna.id: b"a"})
    assert bob.syncs().heard().assignment == b""


def test_silent_member_is_removed_and_the_rest_rebalances(world: World[GroupShard]) -> None:
    anna, bob = Member(world, "anna"), Member(world, "bob")
    form(world, [anna, bob])
    world.after(6_000)
    assert anna.beats().heard().error_code == 0
    world.after(5_000)
    assert anna.beats().heard().error_code == ErrorCode.REBALANCE_IN_PROGRESS
    joined = anna.joins()
    assert {m.member_id for m in joined.heard().members} == {anna.id}
    assert refusal(bob.beats()) == ErrorCode.UNKNOWN_MEMBER_ID


def test_member_that_does_not_rejoin_in_time_is_left_behind(world: World[GroupShard]) -> None:
    anna = Member(world, "anna", rebalance_timeout_ms=20_000, session_timeout_ms=30_000)
    form(world, [anna])
    bob_joined = Member(world, "bob", rebalance_timeout_ms=20_000).joins()
    world.after(19_000)
    assert anna.beats().heard().error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert bob_joined.waits
    world.after(1_000)
    answer = bob_joined.heard()
    assert (answer.leader, len(answer.members)) == (answer.member_id, 1)
    assert refusal(anna.beats()) == ErrorCode.UNKNOWN_MEMBER_ID


def test_member_that_joined_but_never_syncs_is_removed(world: World[GroupShard]) -> None:
    anna = Member(world, "anna", rebalance_timeout_ms=9_000)
    bob = Member(world, "bob", rebalance_timeout_ms=9_000)
    joined = [anna.joins(), bob.joins()]
    world.after(9_000)
    anna.learns(joined[0])
    bob.learns(joined[1])
    anna.syncs({})
    world.after(9_000)
    assert anna.beats().heard().error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert refusal(bob.beats()) == ErrorCode.UNKNOWN_MEMBER_ID


def test_last_member_leaves_an_empty_group_with_its_offsets(world: World[GroupShard]) -> None:
    anna = Member(world, "anna")
    form(world, [anna])
    anna.commits(42).heard()
    assert [m.error_code for m in anna.leaves().heard().members] == [0]
    assert state(world) == "Empty"
    assert committed(world) == 42


def test_leave_answers_a_join_that_still_waits(world: World[GroupShard]) -> None:
    anna = Member(world, "anna")
    joined = anna.joins()
    anna.leaves()
    assert joined.heard().error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_leave_of_several_tells_each_its_own_fate(world: World[GroupShard]) -> None:
    anna, bob = Member(world, "anna"), Member(world, "bob", instance="desk-2")
    form(world, [anna, bob])
    answers = anna.ask_to_leave(
        [
            MemberIdentity(member_id=anna.id, group_instance_id=None),
            MemberIdentity(member_id="", group_instance_id="desk-2"),
            MemberIdentity(member_id="ghost", group_instance_id=None),
            MemberIdentity(member_id="", group_instance_id="desk-9"),
        ]
    ).heard()
    unknown = ErrorCode.UNKNOWN_MEMBER_ID
    assert [m.error_code for m in answers.members] == [0, 0, unknown, unknown]
    assert state(world) == "Empty"


def test_protocol_with_most_first_votes_wins_among_those_all_have(
    world: World[GroupShard],
) -> None:
    data = subscription("events")
    members = [
        Member(world, "a", protocols={"sticky": data, "range": data, "own": data}),
        Member(world, "b", protocols={"range": data, "sticky": data}),
        Member(world, "c", protocols={"range": data, "sticky": data}),
    ]
    joined = [member.joins() for member in members]
    world.after(9_000)
    assert {w.heard().protocol_name for w in joined} == {"range"}


def test_member_without_a_common_protocol_is_refused(world: World[GroupShard]) -> None:
    form(world, [Member(world, "anna")])
    bob = Member(world, "bob", protocols={"roundrobin": subscription("events")})
    assert bob.joins().heard().error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    connector = Member(world, "connector")
    connector.protocol_type = "connect"
    assert connector.joins().heard().error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize("session_timeout_ms", [-1, 0, 5_999, 1_800_001, 2**31 - 1])
def test_session_timeout_out_of_range_is_refused(
    world: World[GroupShard], session_timeout_ms: int
) -> None:
    anna = Member(world, "anna", session_timeout_ms=session_timeout_ms)
    assert refusal(anna.joins()) == ErrorCode.INVALID_SESSION_TIMEOUT


def test_empty_group_id_and_foreign_member_id_are_refused(world: World[GroupShard]) -> None:
    assert refusal(Member(world, "anna", group="").joins()) == ErrorCode.INVALID_GROUP_ID
    stranger = Member(world, "stranger")
    stranger.id = "made-up"
    assert refusal(stranger.joins()) == ErrorCode.UNKNOWN_MEMBER_ID
    form(world, [Member(world, "anna")])
    assert stranger.joins().heard().error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert refusal(stranger.beats()) == ErrorCode.UNKNOWN_MEMBER_ID
    assert refusal(stranger.syncs()) == ErrorCode.UNKNOWN_MEMBER_ID


def test_old_generation_is_refused_everywhere(world: World[GroupShard]) -> None:
    anna = Member(world, "anna")
    form(world, [anna])
    anna.generation -= 1
    illegal = ErrorCode.ILLEGAL_GENERATION
    assert refusal(anna.beats()) == illegal
    assert refusal(anna.syncs()) == illegal
    assert refusal(anna.commits(1)) == illegal


def test_group_takes_no_more_than_its_maximum() -> None:
    world = new_world(GroupSettings(max_size=2))
    form(world, [Member(world, "a"), Member(world, "b")])
    assert Member(world, "c").joins().heard().error_code == ErrorCode.GROUP_MAX_SIZE_REACHED


def test_pending_member_that_never_comes_back_does_not_hold_up_the_others(
    world: World[GroupShard],
) -> None:
    anna, ghost = Member(world, "anna"), Member(world, "ghost", session_timeout_ms=8_000)
    form(world, [anna])
    ghost.asks_to_join()
    bob_joined = Member(world, "bob").joins()
    anna_joined = anna.joins()
    assert anna_joined.waits, "the ghost may still join"
    world.after(8_000)
    assert anna_joined.heard().error_code == bob_joined.heard().error_code == 0


def test_leader_that_joins_again_starts_a_rebalance_and_a_follower_does_not(
    world: World[GroupShard],
) -> None:
    anna, bob = Member(world, "anna"), Member(world, "bob")
    leader = form(world, [anna, bob])
    follower = bob if leader is anna else anna
    assert follower.joins().heard().generation_id == 1
    assert state(world) == "Stable"
    assert leader.joins().waits
    assert state(world) == "PreparingRebalance"


def test_lost_answer_to_join_is_told_again(world: World[GroupShard]) -> None:
    anna = Member(world, "anna")
    joined = anna.joins()
    world.after(6_000)
    again = anna.joins()
    assert again.heard().members == joined.heard().members
    assert again.heard().generation_id == joined.heard().generation_id


def test_repeated_join_and_sync_release_the_earlier_request(world: World[GroupShard]) -> None:
    anna, bob = Member(world, "anna"), Member(world, "bob")
    joined = anna.joins()
    again, bob_joined = anna.joins(), bob.joins()
    assert joined.heard().error_code == ErrorCode.REBALANCE_IN_PROGRESS
    world.after(9_000)
    anna.learns(again)
    bob.learns(bob_joined)
    synced = bob.syncs()
    synced_again = bob.syncs()
    assert synced.heard().error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert synced_again.waits


def test_commit_during_the_wait_for_assignments_is_refused(world: World[GroupShard]) -> None:
    anna = Member(world, "anna")
    joined = anna.joins()
    world.after(6_000)
    anna.learns(joined)
    assert refusal(anna.commits(1)) == ErrorCode.REBALANCE_IN_PROGRESS


def test_members_and_assignments_survive_a_restart(world: World[GroupShard]) -> None:
    anna, bob = Member(world, "anna"), Member(world, "bob", instance="desk-2")
    form(world, [anna, bob])
    world.restart()
    assert state(world) == "Stable"
    assert anna.beats().heard().error_code == 0
    assert bob.syncs().heard().assignment == bob.id.encode()
    world.after(11_000)
    assert refusal(anna.beats()) == ErrorCode.UNKNOWN_MEMBER_ID, "a session runs after a restart"


class TestStaticMembers:
    def test_returns_under_a_new_id_without_a_rebalance(self, world: World[GroupShard]) -> None:
        anna, bob = Member(world, "anna", instance="desk-1"), Member(world, "bob")
        form(world, [anna, bob])
        returned = Member(world, "anna", instance="desk-1")
        answer = returned.joins()
        returned.learns(answer)
        assert returned.generation == anna.generation
        assert returned.id != anna.id
        assert returned.syncs().heard().assignment == anna.id.encode()
        assert bob.beats().heard().error_code == 0
        assert refusal(anna.beats()) == ErrorCode.FENCED_INSTANCE_ID
        assert refusal(anna.commits(1)) == ErrorCode.FENCED_INSTANCE_ID

    def test_returning_leader_is_told_to_skip_the_assignment(
        self, world: World[GroupShard]
    ) -> None:
        form(world, [Member(world, "anna", instance="desk-1")])
        returned = Member(world, "anna", instance="desk-1")
        answer = returned.joins().heard()
        assert answer.skip_assignment
        assert answer.leader == answer.member_id
        assert [m.group_instance_id for m in answer.members] == ["desk-1"]

    def test_returning_leader_of_an_older_client_is_not_told_that_it_leads(
        self, world: World[GroupShard]
    ) -> None:
        anna = Member(world, "anna", instance="desk-1", version=5)
        form(world, [anna])
        answer = Member(world, "anna", instance="desk-1", version=5).joins().heard()
        assert answer.leader == anna.id != answer.member_id
        assert answer.members == []

    def test_returning_with_other_protocols_rebalances(self, world: World[GroupShard]) -> None:
        form(world, [Member(world, "anna", instance="desk-1")])
        sticky = {"sticky": subscription("events"), "range": subscription("events")}
        returned = Member(world, "anna", instance="desk-1", protocols=sticky)
        assert returned.joins().heard().protocol_name == "sticky"

    def test_fences_the_join_that_its_twin_waits_for(self, world: World[GroupShard]) -> None:
        waiting = Member(world, "anna", instance="desk-1").joins()
        Member(world, "anna", instance="desk-1").joins()
        assert waiting.heard().error_code == ErrorCode.FENCED_INSTANCE_ID

    def test_keeps_its_place_when_it_is_away_during_a_rebalance(
        self, world: World[GroupShard]
    ) -> None:
        anna = Member(world, "anna", instance="desk-1", session_timeout_ms=120_000)
        form(world, [anna])
        joined = Member(world, "bob", rebalance_timeout_ms=60_000).joins()
        world.after(60_000)
        answer = joined.heard()
        assert {m.group_instance_id for m in answer.members} == {"desk-1", None}
        assert answer.leader == answer.member_id, "who is away can't lead"

    def test_new_id_survives_a_restart(self, world: World[GroupShard]) -> None:
        form(world, [Member(world, "anna", instance="desk-1")])
        returned = Member(world, "anna", instance="desk-1")
        returned.learns(returned.joins())
        world.restart()
        assert returned.beats().heard().error_code == 0


def test_thousand_members_rebalance_in_one_generation() -> None:
    world = new_world()
    members = [Member(world, f"m{n}") for n in range(1_000)]
    joined = [member.joins() for member in members]
    world.after(60_000)
    assert {w.heard().generation_id for w in joined} == {1}
    leader = joined[0].heard()
    assert len(leader.members) == 1_000


def test_describe_shows_metadata_of_a_stable_group_only(world: World[GroupShard]) -> None:
    anna = Member(world, "anna")
    joined = anna.joins()
    described = world.shard.describe(GROUP)
    assert (described.group_state, described.protocol_data) == ("PreparingRebalance", "")
    assert described.members[0].member_metadata == b""
    world.after(6_000)
    anna.learns(joined)
    anna.syncs({anna.id: b"all"})
    described = world.shard.describe(GROUP)
    assert (described.group_state, described.protocol_data) == ("Stable", "range")
    assert described.members[0].member_assignment == b"all"
    assert described.members[0].client_host == "/10.0.0.1"


def test_list_filters_by_state_and_type(world: World[GroupShard]) -> None:
    form(world, [Member(world, "anna")])
    form(world, [Member(world, "bob", group="other")])
    Member(world, "carl", group="other").joins()
    assert {g.group_id for g in world.shard.list_groups(set(), set())} == {GROUP, "other"}
    assert [g.group_id for g in world.shard.list_groups({"stable"}, set())] == [GROUP]
    assert world.shard.list_groups(set(), {"consumer"}) == []
    assert len(world.shard.list_groups(set(), {"classic"})) == 2


def test_delete_needs_an_empty_group_and_takes_its_offsets(world: World[GroupShard]) -> None:
    anna = Member(world, "anna")
    form(world, [anna])
    anna.commits(7)

    def delete(*names: str) -> list[ErrorCode]:
        waiting = world.ask(lambda shard, p, now: shard.delete_groups(names, p))
        return [result.error_code for result in waiting.heard()]

    not_found = ErrorCode.GROUP_ID_NOT_FOUND
    assert delete(GROUP, "nobody") == [ErrorCode.NON_EMPTY_GROUP, not_found]
    anna.leaves()
    assert delete(GROUP) == [ErrorCode.NONE]
    assert committed(world) is None
    world.restart()
    assert committed(world) is None
    assert delete(GROUP) == [not_found]


def test_refused_steps_change_nothing(world: World[GroupShard]) -> None:
    stranger = Member(world, "stranger", session_timeout_ms=1)
    with pytest.raises(ApiError):
        stranger.joins().heard()
    assert world.shard.groups == {}
    assert world.log == []
