"""Kafka's own tools for groups and transactions, at work on the broker."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.clients.client import Client, ClientError, Record
from tests.clients.samples import NOON_MS
from tests.clients.tool_runner import Tools
from tests.support.wait import wait_until
from tests.support.wire import Wire

from pylog.protocol.messages.find_coordinator import FindCoordinatorRequest
from pylog.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pylog.protocol.messages.streams_group_heartbeat import (
    StreamsGroupHeartbeatRequest,
    Subtopology,
    Topology,
)

CONSUMER_GROUPS = "kafka-consumer-groups"
SHARE_GROUPS = "kafka-share-groups"
STREAMS_GROUPS = "kafka-streams-groups"


def test_groups_are_listed_described_reset_and_deleted(
    java: Client, tool: Tools, topic: str, unique: str
) -> None:
    java.produce(topic, [Record(b"%d" % n) for n in range(10)])
    with java.member(unique, topic) as member:
        wait_until(lambda: member.received() >= 10)
        member.commit()
        assert unique in tool(CONSUMER_GROUPS, "--list").stdout.split()
        row = described_row(tool, unique)
        assert row[:6] == [unique, topic, "0", "10", "10", "0"]
        members = tool(CONSUMER_GROUPS, "--describe", "--members", "--group", unique).stdout
        assert "range" in tool(CONSUMER_GROUPS, "--describe", "--state", "--group", unique).stdout
        assert [line.split()[0] for line in members.split("\n") if line].count(unique) == 1
    reset = ["--reset-offsets", "--group", unique, "--topic", topic, "--execute"]
    tool(CONSUMER_GROUPS, *reset, "--to-offset", "3")
    assert described_row(tool, unique)[3:6] == ["3", "10", "7"]
    tool(CONSUMER_GROUPS, *reset, "--shift-by", "4")
    assert described_row(tool, unique)[3:6] == ["7", "10", "3"]
    tool(CONSUMER_GROUPS, *reset, "--to-earliest")
    assert described_row(tool, unique)[3:6] == ["0", "10", "10"]
    tool(CONSUMER_GROUPS, "--delete-offsets", "--group", unique, "--topic", topic)
    assert java.committed(unique, topic) == {}
    tool(CONSUMER_GROUPS, "--delete", "--group", unique)
    assert unique not in tool(CONSUMER_GROUPS, "--list").stdout.split()


def test_a_group_is_reset_by_time_and_by_a_file(
    java: Client, tool: Tools, topic: str, unique: str, tmp_path: Path
) -> None:
    dated = [Record(b"%d" % n, timestamp=NOON_MS + 1_000 * n) for n in range(10)]
    java.produce(topic, dated)
    reset = ["--reset-offsets", "--group", unique, "--topic", topic, "--execute"]
    time = datetime.fromtimestamp(NOON_MS / 1_000 + 5, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    exported = tool(CONSUMER_GROUPS, *reset, "--to-datetime", time, "--export").stdout
    assert exported.strip() == f"{topic},0,5"
    file = tmp_path / "offsets.csv"
    file.write_text(f"{topic},0,2\n")
    tool(CONSUMER_GROUPS, *reset, "--from-file", str(file))
    assert described_row(tool, unique)[3:6] == ["2", "10", "8"]


def described_row(tool: Tools, group: str) -> list[str]:
    """Group, topic, partition, committed offset, end offset, lag … of the group's only row."""
    lines = tool(CONSUMER_GROUPS, "--describe", "--group", group).stdout.splitlines()
    (row,) = [line.split() for line in lines if line.startswith(group)]
    return row


@pytest.mark.needs_apis(77, 90, 91, 92)
def test_share_groups_are_listed_described_reset_and_deleted(
    tool: Tools, topic: str, unique: str
) -> None:
    entity = ["--entity-type", "groups", "--entity-name", unique]
    tool("kafka-configs", *entity, "--alter", "--add-config", "share.auto.offset.reset=earliest")
    tool("kafka-console-producer", "--topic", topic, stdin="one\ntwo\nthree\n")
    read = ["--topic", topic, "--group", unique, "--max-messages", "3", "--timeout-ms", "20000"]
    tool("kafka-console-share-consumer", *read)
    assert unique in tool(SHARE_GROUPS, "--list").stdout.split()
    wait_until(lambda: row_of(tool, SHARE_GROUPS, unique)[-1] == "0")
    state = tool(SHARE_GROUPS, "--describe", "--state", "--group", unique).stdout
    assert state.split()[-2:] == ["Empty", "0"]
    of_topic = ["--group", unique, "--topic", topic]
    tool(SHARE_GROUPS, "--reset-offsets", *of_topic, "--to-earliest", "--execute")
    assert row_of(tool, SHARE_GROUPS, unique)[2:] == ["0", "0", "3"]
    assert "Successful" in tool(SHARE_GROUPS, "--delete-offsets", *of_topic).stdout
    tool(SHARE_GROUPS, "--delete", "--group", unique)
    assert unique not in tool(SHARE_GROUPS, "--list").stdout.split()


@pytest.mark.needs_apis(88, 89)
def test_streams_groups_are_listed_described_reset_and_deleted(
    java: Client, tool: Tools, topic: str, unique: str
) -> None:
    java.produce(topic, [Record(b"%d" % n) for n in range(3)])
    with joined_application(java.bootstrap, unique, topic) as member_id:
        assert unique in tool(STREAMS_GROUPS, "--list").stdout.split()
        members = tool(STREAMS_GROUPS, "--describe", "--members", "--group", unique).stdout
        assert member_id in members
    state = tool(STREAMS_GROUPS, "--describe", "--state", "--group", unique).stdout
    assert state.split()[-2:] == ["Empty", "0"]
    of_topic = ["--group", unique, "--input-topic", topic]
    tool(STREAMS_GROUPS, "--reset-offsets", *of_topic, "--to-offset", "2", "--execute")
    assert java.committed(unique, topic) == {0: 2}
    tool(STREAMS_GROUPS, "--delete-offsets", *of_topic)
    assert java.committed(unique, topic) == {}
    tool(STREAMS_GROUPS, "--delete", "--group", unique)
    assert unique not in tool(STREAMS_GROUPS, "--list").stdout.split()


@contextmanager
def joined_application(bootstrap: str, group: str, topic: str) -> Iterator[str]:
    """The only member of a Streams group that reads `topic` and has committed its first offset.

    It leaves behind the block.
    """
    member_id = str(uuid.uuid4())
    topology = Topology(subtopologies=[Subtopology(subtopology_id="0", source_topics=[topic])])
    joining = StreamsGroupHeartbeatRequest(
        group_id=group,
        member_id=member_id,
        rebalance_timeout_ms=60_000,
        topology=topology,
        process_id="process",
        client_tags=[],
        active_tasks=[],
        standby_tasks=[],
        warmup_tasks=[],
    )
    leaving = StreamsGroupHeartbeatRequest(group_id=group, member_id=member_id, member_epoch=-1)
    with Wire(bootstrap) as wire:
        found = FindCoordinatorRequest(key_type=0, coordinator_keys=[group])
        wait_until(lambda: wire.ask(found).coordinators[0].error_code == 0)
        joined = wait_until(lambda: succeeded(wire.ask(joining)))
        offset = OffsetCommitRequestPartition(committed_offset=1)
        commit = OffsetCommitRequest(
            group_id=group,
            member_id=member_id,
            generation_id_or_member_epoch=joined.member_epoch,
            topics=[OffsetCommitRequestTopic(name=topic, partitions=[offset])],
        )
        assert wire.ask(commit, 9).topics[0].partitions[0].error_code == 0
        yield member_id
        succeeded(wire.ask(leaving))


def succeeded(response: Any) -> Any:
    assert response.error_code == 0, response.error_message
    return response


def test_an_application_of_kafka_streams_begins_again(
    java: Client, tool: Tools, admin: Client, topic: str, unique: str
) -> None:
    java.produce(topic, [Record(b"%d" % n) for n in range(3)])
    changelog = admin.create_topic(f"{unique}-counts-changelog")
    to_end = ["--group", unique, "--topic", topic, "--to-latest", "--execute"]
    tool(CONSUMER_GROUPS, "--reset-offsets", *to_end)
    assert java.committed(unique, topic) == {0: 3}
    application = ["--application-id", unique, "--input-topics", topic]
    tool("kafka-streams-application-reset", *application)
    assert java.committed(unique, topic) == {0: 0}
    wait_until(lambda: changelog not in tool("kafka-topics", "--list").stdout.split())


def row_of(tool: Tools, script: str, group: str) -> list[str]:
    """The only row that a tool has for the offsets of a group, from the topic on."""
    lines = tool(script, "--describe", "--offsets", "--group", group).stdout.splitlines()
    (row,) = [line.split() for line in lines if line.startswith(group)]
    return row


def test_groups_of_every_kind_are_listed(
    java: Client, tool: Tools, topic: str, unique: str
) -> None:
    with java.member(unique, topic) as member:
        wait_until(member.assignment)
        told = tool("kafka-groups", "--list").stdout
    (row,) = [line.split() for line in told.splitlines() if line.startswith(unique)]
    assert row[1:] == ["Classic", "consumer"]


@pytest.mark.needs_apis(61, 65, 66)
def test_transactions_are_listed_described_and_ended(
    java: Client, tool: Tools, topic: str, unique: str
) -> None:
    with java.producer(transactional_id=unique) as producer:
        producer.begin()
        producer.send(topic, [Record(b"open")])
        assert transaction_state(tool, unique) == "Ongoing"
        described = tool("kafka-transactions", "describe", "--transactional-id", unique).stdout
        assert f"{topic}-0" in described
        assert first_offset(tool, topic) == "0"
        tool("kafka-transactions", "forceTerminateTransaction", "--transactionalId", unique)
        wait_until(lambda: transaction_state(tool, unique) == "Empty")
        assert first_offset(tool, topic) == "None"
        with pytest.raises(ClientError):
            producer.commit()
    hanging = tool("kafka-transactions", "find-hanging", "--broker-id", "1").stdout
    assert topic not in hanging


@pytest.mark.needs_apis(27, 61)
def test_a_transaction_is_aborted_by_the_offset_where_it_begins(
    java: Client, tool: Tools, topic: str, unique: str
) -> None:
    where = ["--topic", topic, "--partition", "0"]
    with java.producer(transactional_id=unique) as producer:
        producer.begin()
        producer.send(topic, [Record(b"open")])
        tool("kafka-transactions", "abort", *where, "--start-offset", "0")
        assert first_offset(tool, topic) == "None"


def transaction_state(tool: Tools, transactional_id: str) -> str:
    listed = tool("kafka-transactions", "list").stdout
    (row,) = [line.split() for line in listed.splitlines() if line.startswith(transactional_id)]
    return row[-1]


def first_offset(tool: Tools, topic: str) -> str:
    """Where the transaction of the only producer of a topic begins; "None" when it has none."""
    where = ["--topic", topic, "--partition", "0"]
    _, row = tool("kafka-transactions", "describe-producers", *where).stdout.splitlines()
    return row.split()[-1]
