"""Every client shares a topic in a group: members come, leave and die, and positions stay."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from tests.clients.client import Client, Member, Record
from tests.clients.kinds import Kind, kinds
from tests.support.wait import wait_until

SESSION_MS = 6_000
PARTITIONS = 4

Start = Callable[[Kind], object]


def numbered(count: int, start: int = 0) -> list[Record]:
    return [Record(b"%d" % n, partition=n % PARTITIONS) for n in range(start, start + count)]


def values(*members: Member) -> list[int]:
    """What the members were given; once, as a rebalance before a commit gives records again."""
    return sorted({int(record.value or b"") for member in members for record in member.records})


def shares(topic: str, *members: Member) -> Callable[[], bool]:
    """Whether the members have all partitions of the topic, each one of them, none twice."""
    everything = {(topic, partition) for partition in range(PARTITIONS)}

    def shared() -> bool:
        assignments = [member.assignment() for member in members]
        once = sum(map(len, assignments)) == PARTITIONS
        return once and all(assignments) and set().union(*assignments) == everything

    return shared


@kinds("group")
def test_a_member_alone_reads_all_partitions(client: Client, wide_topic: str, unique: str) -> None:
    client.produce(wide_topic, numbered(200))
    with client.member(unique, wide_topic) as member:
        wait_until(lambda: member.received() >= 200)
        assert shares(wide_topic, member)()
        assert values(member) == list(range(200))


@kinds("group")
def test_a_member_that_joins_takes_over_a_part(
    client: Client, wide_topic: str, unique: str
) -> None:
    with client.member(unique, wide_topic) as first:
        wait_until(shares(wide_topic, first))
        with client.member(unique, wide_topic) as second:
            wait_until(shares(wide_topic, first, second))
            client.produce(wide_topic, numbered(400))
            wait_until(lambda: first.received() + second.received() >= 400)
            assert values(first, second) == list(range(400))
            assert first.records
            assert second.records


@kinds("group")
def test_the_partitions_of_a_member_that_leaves_go_to_the_others(
    client: Client, wide_topic: str, unique: str
) -> None:
    with client.member(unique, wide_topic, session_timeout_ms=60_000) as stays:
        with client.member(unique, wide_topic, session_timeout_ms=60_000) as leaves:
            wait_until(shares(wide_topic, stays, leaves))
        wait_until(shares(wide_topic, stays))
        client.produce(wide_topic, numbered(40))
        wait_until(lambda: stays.received() >= 40)


@kinds("group")
def test_the_partitions_of_a_member_that_dies_go_to_the_others(
    client: Client, kind: Kind, start_agent: Start, wide_topic: str, unique: str
) -> None:
    with client.member(unique, wide_topic, session_timeout_ms=SESSION_MS) as survivor:
        victim = Client(start_agent(kind), client.bootstrap)
        with victim.member(unique, wide_topic, session_timeout_ms=SESSION_MS) as dies:
            wait_until(shares(wide_topic, survivor, dies))
            victim.agent.kill()
        client.produce(wide_topic, numbered(40))
        wait_until(shares(wide_topic, survivor))
        wait_until(lambda: survivor.received() >= 40)
        assert values(survivor) == list(range(40))


@kinds("group", "static")
def test_a_static_member_comes_back_to_its_partitions_without_a_rebalance(
    client: Client, kind: Kind, start_agent: Start, wide_topic: str, unique: str
) -> None:
    config = {"session_timeout_ms": 45_000}
    with client.member(unique, wide_topic, instance="stays", **config) as stays:
        victim = Client(start_agent(kind), client.bootstrap)
        with victim.member(unique, wide_topic, instance="returns", **config) as returns:
            wait_until(shares(wide_topic, stays, returns))
            before = returns.assignment()
            kept = stays.assignment()
            victim.agent.kill()
        with client.member(unique, wide_topic, instance="returns", **config) as again:
            wait_until(lambda: again.assignment() == before)
            assert stays.assignment() == kept
            client.produce(wide_topic, numbered(80))
            wait_until(lambda: stays.received() + again.received() >= 80)
            assert values(stays, again) == list(range(80))


@kinds("group", "commit")
def test_a_group_goes_on_where_it_committed(client: Client, wide_topic: str, unique: str) -> None:
    client.produce(wide_topic, numbered(100))
    with client.member(unique, wide_topic) as member:
        wait_until(lambda: member.received() >= 100)
        member.commit()
    client.produce(wide_topic, numbered(100, start=100))
    with client.member(unique, wide_topic) as member:
        wait_until(lambda: member.received() >= 100)
        assert values(member) == list(range(100, 200))


@kinds("group", "manual_commit")
def test_a_group_that_did_not_commit_begins_again(
    client: Client, wide_topic: str, unique: str
) -> None:
    client.produce(wide_topic, numbered(20))
    for _ in range(2):
        with client.member(unique, wide_topic) as member:
            wait_until(lambda member=member: member.received() >= 20)
            assert values(member) == list(range(20))


@kinds("group")
def test_a_new_group_may_begin_at_the_end(client: Client, wide_topic: str, unique: str) -> None:
    client.produce(wide_topic, numbered(20))
    with client.member(unique, wide_topic, reset="latest") as member:
        wait_until(shares(wide_topic, member))
        later = wait_until(lambda: _first_after(client, wide_topic, member))
        assert values(member)[0] >= later


def _first_after(client: Client, topic: str, member: Member) -> int:
    """Writes until the member, whose positions are set some time after it joined, sees some."""
    start = 1_000
    client.produce(topic, numbered(4, start=start))
    deadline = time.monotonic() + 1
    while not member.received() and time.monotonic() < deadline:
        time.sleep(0.05)
    return start if member.records else 0


@kinds("group")
def test_two_groups_read_the_same_records(client: Client, wide_topic: str, unique: str) -> None:
    client.produce(wide_topic, numbered(60))
    with (
        client.member(f"{unique}-a", wide_topic) as one,
        client.member(f"{unique}-b", wide_topic) as other,
    ):
        wait_until(lambda: one.received() >= 60 and other.received() >= 60)
        assert values(one) == values(other) == list(range(60))


@kinds("group")
def test_a_member_reads_two_topics(
    client: Client, admin: Client, wide_topic: str, unique: str
) -> None:
    second = f"{unique}-second"
    admin.create_topic(second)
    client.produce(wide_topic, numbered(20))
    client.produce(second, [Record(b"%d" % n) for n in range(20, 30)])
    with client.member(unique, wide_topic, second) as member:
        wait_until(lambda: member.received() >= 30)
        assert values(member) == list(range(30))


@pytest.mark.parametrize("count", [6])
@kinds("group")
def test_many_members_share_and_scatter(
    client: Client, admin: Client, unique: str, count: int
) -> None:
    admin.create_topic(unique, count)
    members: list[Member] = [
        Member(client.agent, client.bootstrap, unique, [unique]) for _ in range(count)
    ]
    wait_until(lambda: all(len(member.assignment()) == 1 for member in members), 60)
    for member in members[1:]:
        member.close()
    wait_until(lambda: len(members[0].assignment()) == count, 60)
    members[0].close()
