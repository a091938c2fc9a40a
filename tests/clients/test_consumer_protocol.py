"""The group protocol of KIP-848, where the broker assigns: members come, go and keep positions."""

from __future__ import annotations

import pytest
from tests.clients.client import Client, Record
from tests.clients.kinds import kinds
from tests.clients.test_groups import numbered, shares, values
from tests.support.wait import wait_until

pytestmark = pytest.mark.needs_apis(68, 69)

CONSUMER = {"protocol": "consumer"}


@kinds("consumer_protocol")
def test_two_members_share_and_one_takes_over(client: Client, wide_topic: str, unique: str) -> None:
    with client.member(unique, wide_topic, **CONSUMER) as stays:
        wait_until(shares(wide_topic, stays))
        with client.member(unique, wide_topic, **CONSUMER) as leaves:
            wait_until(shares(wide_topic, stays, leaves), 60)
            client.produce(wide_topic, numbered(200))
            wait_until(lambda: stays.received() + leaves.received() >= 200)
            assert values(stays, leaves) == list(range(200))
        wait_until(shares(wide_topic, stays), 60)


@kinds("consumer_protocol")
def test_a_group_goes_on_where_it_committed(client: Client, topic: str, unique: str) -> None:
    client.produce(topic, [Record(b"%d" % n) for n in range(50)])
    with client.member(unique, topic, **CONSUMER) as member:
        wait_until(lambda: member.received() >= 50)
        member.commit()
    client.produce(topic, [Record(b"50")])
    with client.member(unique, topic, **CONSUMER) as member:
        wait_until(lambda: member.received() >= 1)
        assert values(member) == [50]


@kinds("consumer_protocol", "consumer_static")
def test_a_static_member_keeps_its_partitions(client: Client, wide_topic: str, unique: str) -> None:
    with client.member(unique, wide_topic, instance="stays", **CONSUMER) as stays:
        with client.member(unique, wide_topic, instance="returns", **CONSUMER) as returns:
            wait_until(shares(wide_topic, stays, returns), 60)
            before = returns.assignment()
        with client.member(unique, wide_topic, instance="returns", **CONSUMER) as again:
            wait_until(lambda: again.assignment() == before)
            wait_until(shares(wide_topic, stays, again))
