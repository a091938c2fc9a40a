"""Every client asks for topics, settings and groups to be made, changed, told and removed."""

from __future__ import annotations

import pytest
from tests.clients.client import Client, ClientError, Record
from tests.clients.kinds import kinds
from tests.support.wait import wait_until

UNKNOWN_TOPIC_OR_PARTITION = 3
TOPIC_ALREADY_EXISTS = 36
INVALID_PARTITIONS = 37
INVALID_CONFIG = 40
NON_EMPTY_GROUP = 68
GROUP_ID_NOT_FOUND = 69


@kinds("create_topic")
def test_a_topic_is_usable_when_it_was_created(client: Client, unique: str) -> None:
    client.admin("create_topic", topic=unique, partitions=3)
    client.produce(unique, [Record(b"%d" % n, partition=n) for n in range(3)])
    assert client.admin("partition_count", topic=unique) == 3
    read = client.read(unique, 3, dict.fromkeys(range(3), "earliest"))
    assert sorted((record.partition, record.value) for record in read) == [
        (n, b"%d" % n) for n in range(3)
    ]


@kinds("create_topic")
def test_a_topic_cannot_be_created_twice(client: Client, topic: str) -> None:
    with pytest.raises(ClientError) as refused:
        client.admin("create_topic", topic=topic)
    assert refused.value.code == TOPIC_ALREADY_EXISTS


@kinds("create_topic")
def test_a_topic_with_a_wrong_setting_is_not_created(client: Client, unique: str) -> None:
    with pytest.raises(ClientError) as refused:
        client.admin("create_topic", topic=unique, configs={"cleanup.policy": "wash"})
    assert refused.value.code == INVALID_CONFIG


@kinds("delete_topic")
def test_a_deleted_topic_comes_back_empty_when_it_is_created_again(
    client: Client, topic: str
) -> None:
    client.produce(topic, [Record(b"old")])
    client.admin("delete_topic", topic=topic)
    wait_until(lambda: _created(client, topic))
    client.produce(topic, [Record(b"new")])
    read = client.read(topic, 1)
    assert [(record.offset, record.value) for record in read] == [(0, b"new")]


def _created(client: Client, topic: str) -> bool:
    """Kafka may still be deleting the old topic of that name."""
    try:
        client.admin("create_topic", topic=topic)
    except ClientError as refused:
        if refused.code != TOPIC_ALREADY_EXISTS:
            raise
        return False
    return True


@kinds("delete_topic")
def test_a_topic_that_is_not_there_cannot_be_deleted(client: Client, unique: str) -> None:
    with pytest.raises(ClientError) as refused:
        client.admin("delete_topic", topic=unique)
    assert refused.value.code == UNKNOWN_TOPIC_OR_PARTITION


@kinds("create_partitions")
def test_partitions_are_added_to_a_topic_in_use(client: Client, topic: str) -> None:
    client.produce(topic, [Record(b"0")])
    client.admin("create_partitions", topic=topic, count=3)
    wait_until(lambda: client.admin("partition_count", topic=topic) == 3)
    client.produce(topic, [Record(b"1", partition=1), Record(b"2", partition=2)])
    read = client.read(topic, 3, dict.fromkeys(range(3), "earliest"))
    assert sorted((record.partition, record.value) for record in read) == [
        (n, b"%d" % n) for n in range(3)
    ]


@kinds("create_partitions")
def test_partitions_are_never_taken_away(client: Client, wide_topic: str) -> None:
    with pytest.raises(ClientError) as refused:
        client.admin("create_partitions", topic=wide_topic, count=2)
    assert refused.value.code == INVALID_PARTITIONS
    assert client.admin("partition_count", topic=wide_topic) == 4


@kinds("configs")
def test_a_setting_of_a_topic_is_changed_and_told(client: Client, unique: str) -> None:
    client.admin("create_topic", topic=unique, configs={"retention.ms": "3600000"})
    assert client.admin("topic_configs", topic=unique)["retention.ms"] == "3600000"
    client.admin("set_topic_config", topic=unique, name="max.message.bytes", value="12345")
    configs = wait_until(
        lambda: _with_value(client, unique, "max.message.bytes", "12345"),
    )
    assert configs["cleanup.policy"] == "delete"


def _with_value(client: Client, topic: str, name: str, value: str) -> dict[str, str]:
    configs: dict[str, str] = client.admin("topic_configs", topic=topic)
    assert configs[name] == value
    return configs


@kinds("configs")
def test_a_wrong_setting_is_refused(client: Client, topic: str) -> None:
    with pytest.raises(ClientError) as refused:
        client.admin("set_topic_config", topic=topic, name="retention.ms", value="a while")
    assert refused.value.code == INVALID_CONFIG


@kinds("configs")
def test_a_changed_limit_holds_for_the_next_record(client: Client, topic: str) -> None:
    client.produce(topic, [Record(b"x" * 5_000)])
    client.admin("set_topic_config", topic=topic, name="max.message.bytes", value="1000")
    wait_until(lambda: _with_value(client, topic, "max.message.bytes", "1000"))
    wait_until(lambda: _refuses(client, topic, 5_000))


def _refuses(client: Client, topic: str, size: int) -> bool:
    try:
        client.produce(topic, [Record(b"x" * size)])
    except ClientError:
        return True
    return False


@kinds("list_groups", "group")
def test_a_group_is_listed_and_described(client: Client, topic: str, unique: str) -> None:
    with client.member(unique, topic) as member:
        wait_until(member.assignment)
        assert unique in client.admin("groups")
        wait_until(lambda: client.group_state(unique) == ("STABLE", 1))
    wait_until(lambda: client.group_state(unique) == ("EMPTY", 0))


@kinds("delete_group", "group", "commit")
def test_a_group_is_deleted_when_it_is_empty(client: Client, topic: str, unique: str) -> None:
    client.produce(topic, [Record(b"1")])
    with client.member(unique, topic) as member:
        wait_until(member.received)
        member.commit()
        with pytest.raises(ClientError) as refused:
            client.admin("delete_group", group=unique)
        assert refused.value.code == NON_EMPTY_GROUP
    wait_until(lambda: client.group_state(unique) == ("EMPTY", 0))
    client.admin("delete_group", group=unique)
    assert unique not in client.admin("groups")


@kinds("delete_group")
def test_a_group_that_is_not_there_cannot_be_deleted(client: Client, unique: str) -> None:
    with pytest.raises(ClientError) as refused:
        client.admin("delete_group", group=unique)
    assert refused.value.code == GROUP_ID_NOT_FOUND


@kinds("committed", "group", "commit")
def test_the_offsets_of_a_group_are_told(client: Client, topic: str, unique: str) -> None:
    client.produce(topic, [Record(b"%d" % n) for n in range(7)])
    with client.member(unique, topic) as member:
        wait_until(lambda: member.received() == 7)
        member.commit()
    assert client.committed(unique, topic) == {0: 7}


@kinds("set_committed", "group", "commit")
def test_the_offsets_of_an_empty_group_are_reset(client: Client, topic: str, unique: str) -> None:
    client.produce(topic, [Record(b"%d" % n) for n in range(9)])
    with client.member(unique, topic) as member:
        wait_until(lambda: member.received() == 9)
        member.commit()
    client.admin("set_committed", group=unique, topic=topic, offsets={"0": 4})
    assert client.committed(unique, topic) == {0: 4}
    with client.member(unique, topic) as member:
        wait_until(lambda: member.received() >= 5)
        assert [record.offset for record in member.records] == list(range(4, 9))
