"""``pylog group list`` and ``describe`` with real members of every type of group."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer
from tests.sim.streams import internal, subtopology
from tests.support.broker import QUICK_GROUPS
from tests.support.share import ShareMember, configure_group, find_coordinator, new_topic, produce
from tests.support.streams import Thread
from tests.support.wait import wait_until
from tests.support.wire import Wire

from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pylog.testing import Broker

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(QUICK_GROUPS) as broker:
        yield broker


@pytest.fixture
def wire(broker: Broker) -> Iterator[Wire]:
    with Wire(broker.bootstrap) as wire:
        yield wire


def group_command(broker: Broker, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pylog", "group", *arguments, "-b", broker.bootstrap]
    return subprocess.run(command, capture_output=True, text=True)


def told(broker: Broker, *arguments: str) -> Any:
    done = group_command(broker, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def listed(broker: Broker, name: str) -> Any:
    [row] = [row for row in told(broker, "list") if row["group"] == name]
    return row


def commit(wire: Wire, group: str, topic_id: bytes, **members: Any) -> None:
    """Offset 1 of partition 0."""
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    topic = OffsetCommitRequestTopic(topic_id=topic_id, partitions=[partition])
    answer = wire.ask(OffsetCommitRequest(group_id=group, topics=[topic], **members))
    assert answer.topics[0].partitions[0].error_code == ErrorCode.NONE


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_consumers_are_shown_with_their_lag(
    broker: Broker, wire: Wire, unique: str, protocol: str
) -> None:
    topic = unique
    topic_id = new_topic(wire, topic)
    produce(wire, topic_id, [b"a", b"b", b"c"])
    settings = {
        "bootstrap.servers": broker.bootstrap, "group.id": topic, "client.id": "reader",
        "group.protocol": protocol, "auto.offset.reset": "earliest", "enable.auto.commit": False,
    }  # fmt: skip
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    message = consumer.poll(30)
    assert message is not None
    consumer.commit(message, asynchronous=False)
    assert listed(broker, topic) == {
        "group": topic, "type": protocol, "state": "stable", "protocol": "consumer",
    }  # fmt: skip
    assert told(broker, "describe", topic) == {
        "group": topic, "type": protocol, "state": "stable", "members": 1,
        "partitions": [
            {"topic": topic, "partition": 0, "committed": 1, "end": 3, "lag": 2,
             "member": f"reader@{HOST}"},
        ],
    }  # fmt: skip
    consumer.close()


def test_an_application_is_shown_with_the_lag_of_its_sources(
    broker: Broker, wire: Wire, unique: str
) -> None:
    lines, words, app = f"{unique}-lines", f"{unique}-words", f"{unique}-app"
    topic_id = new_topic(wire, lines, 2)
    produce(wire, topic_id, [b"a", b"b", b"c"])
    find_coordinator(wire, app)
    parts = (
        subtopology("0", lines, sinks=[words]),
        subtopology("1", repartitions=[internal(words)]),
    )
    thread = Thread(wire, app, *parts)
    wait_until(lambda: thread.has_tasks() and len(thread.tasks) == 4)
    commit(wire, app, topic_id, member_id="thread", generation_id_or_member_epoch=thread.epoch)
    row = listed(broker, app)
    assert (row["type"], row["state"]) == ("streams", "stable")
    described = told(broker, "describe", app)
    assert (described["type"], described["members"]) == ("streams", 1)
    assert [tuple(row.values()) for row in described["partitions"]] == [
        (lines, 0, 1, 3, 2, f"wire@{HOST}"),
        (lines, 1, None, 0, None, f"wire@{HOST}"),
        (words, 0, None, 0, None, f"wire@{HOST}"),
        (words, 1, None, 0, None, f"wire@{HOST}"),
    ]


def test_a_share_group_is_shown_with_all_who_read_a_partition(
    broker: Broker, wire: Wire, unique: str
) -> None:
    tasks, workers = f"{unique}-tasks", f"{unique}-workers"
    topic_id = new_topic(wire, tasks)
    produce(wire, topic_id, [b"a", b"b", b"c"])
    configure_group(wire, workers, auto_offset_reset="earliest")
    with (
        ShareMember(broker.bootstrap, workers, [tasks], "one") as one,
        ShareMember(broker.bootstrap, workers, [tasks], "two") as two,
    ):
        for member in (one, two):
            wait_until(lambda member=member: member.beats() and member.assigned)
        wait_until(lambda: one.fetches().responses)
        one.fetches([(0, 0, 1)])
        row = listed(broker, workers)
        assert (row["type"], row["state"]) == ("share", "stable")
        table = group_command(broker, "describe", workers).stdout
        described = told(broker, "describe", workers)
    assert described["partitions"] == [
        {"topic": tasks, "partition": 0, "start": 1, "lag": 2,
         "members": [f"one@{HOST}", f"two@{HOST}"]},
    ]  # fmt: skip
    assert "share group, stable, 2 members" in table
    assert f"one@{HOST}, two@{HOST}" in table


def test_an_unknown_group_is_one_clear_line(broker: Broker) -> None:
    done = group_command(broker, "describe", "nobody")
    assert (done.returncode, done.stderr) == (1, "Error: no group nobody\n")
