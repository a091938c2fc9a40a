"""The programs of Apache Kafka's own system tests that are in its jar of tools."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.clients.client import Client, Record
from tests.clients.conftest import Start
from tests.clients.kinds import kind_named
from tests.clients.tool_runner import Tools

from pylog.testing import Broker

ALL = "--bootstrap-server"
COPIED = 100


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """A broker of their own, as they name topics themselves, that rolls and compacts often."""
    settings = {
        "group.initial.rebalance.delay.ms": "0",
        "log.roll.ms": "20",
        "log.cleaner.backoff.ms": "200",
        "log.cleaner.min.cleanable.ratio": "0.01",
    }
    with Broker(settings) as broker:
        yield broker.bootstrap


@pytest.fixture
def admin(agent_of: Start, bootstrap: str) -> Client:
    return Client(agent_of(kind_named("franz")), bootstrap)


def test_a_client_can_do_with_the_broker_what_it_can_do_with_kafka(tool: Tools, topic: str) -> None:
    can = [
        "offsets-for-times", "cluster-id", "create-topics", "describe-acls", "describe-configs",
        "idempotent-producer",
    ]  # fmt: skip
    expected = [word for name in can for word in (f"--{name}-supported", "True")]
    expected += ["--expect-record-too-large-exception", "False", "--num-cluster-nodes", "1"]
    tool.output("ClientCompatibilityTest", ALL, "--topic", topic, *expected)


def test_compaction_keeps_the_newest_of_each_key(tool: Tools) -> None:
    records = ["--messages", "30000", "--duplicates", "10", "--percent-deletes", "20"]
    told = tool.output("LogCompactionTester", ALL, *records, "--sleep", "5")
    assert "Data verification is completed" in told
    assert re.search(r"Validated \d+ values, 0 mismatches", told)
    assert "30000 rows of data produced" in told
    assert "(0.0% reduction)" not in told


def test_a_partition_is_copied_in_transactions_though_some_are_aborted(
    java: Client, tool: Tools, admin: Client, topic: str, unique: str
) -> None:
    copy = admin.create_topic(f"{unique}-copy")
    java.produce(topic, [Record(b"%d" % n) for n in range(COPIED)])
    what = ["--input-topic", topic, "--input-partition", "0", "--output-topic", copy]
    how = ["--transactional-id", unique, "--transaction-size", "10", "--enable-random-aborts"]
    group = ["--consumer-group", unique, "--group-mode", "--use-group-metadata"]
    tool.output("TransactionalMessageCopier", "--broker-list", *what, *how, *group)
    with java.reader(copy, isolation="read_committed") as reader:
        read = reader.read(COPIED)
        assert [record.value for record in read] == [b"%d" % n for n in range(COPIED)]
        assert reader.read(1, timeout_ms=300) == []
    assert java.committed(unique, topic) == {0: COPIED}
