"""Kafka's own command line tools, by their main classes, at work on the broker."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.clients.client import Client, Record
from tests.clients.conftest import Start
from tests.clients.kinds import JAVA, kind_named
from tests.clients.samples import NOON_MS, sample_records
from tests.support.wait import wait_until

TOOLS = "org.apache.kafka.tools."
CONSUMER_GROUPS = "consumer.group.ConsumerGroupCommand"


@dataclass(frozen=True)
class Finished:
    code: int
    stdout: str
    stderr: str


Tool = Callable[..., Finished]


@pytest.fixture(scope="session")
def java(agent_of: Start, bootstrap: str) -> Client:
    return Client(agent_of(kind_named("java")), bootstrap)


@pytest.fixture(scope="session")
def tool(java: Client) -> Tool:
    """Runs a tool against the broker and asserts that it ended well."""

    def run(name: str, *arguments: str, stdin: str = "") -> Finished:
        command = ["--bootstrap-server", java.bootstrap, *arguments]
        return run_plain(java, name, *command, stdin=stdin)

    return run


def run_plain(java: Client, name: str, *arguments: str, stdin: str = "") -> Finished:
    ended = java.agent.call("tool", **{"class": TOOLS + name}, arguments=arguments, stdin=stdin)
    finished = Finished(ended["code"], ended["stdout"], ended["stderr"])
    assert finished.code == 0, finished
    return finished


def test_topics_are_created_listed_described_altered_and_deleted(tool: Tool, unique: str) -> None:
    options = ["--partitions", "2", "--replication-factor", "1", "--config", "retention.ms=3600000"]
    created = tool("TopicCommand", "--create", "--topic", unique, *options)
    assert f"Created topic {unique}" in created.stdout
    assert unique in tool("TopicCommand", "--list").stdout.split()
    described = tool("TopicCommand", "--describe", "--topic", unique).stdout
    assert "PartitionCount: 2" in described
    assert "retention.ms=3600000" in described
    tool("TopicCommand", "--alter", "--topic", unique, "--partitions", "5")
    described = tool("TopicCommand", "--describe", "--topic", unique).stdout
    assert described.count("Leader: ") == 5
    tool("TopicCommand", "--delete", "--topic", unique)
    wait_until(lambda: unique not in tool("TopicCommand", "--list").stdout.split())


def test_lines_go_in_by_the_console_producer_and_out_by_the_console_consumer(
    tool: Tool, topic: str
) -> None:
    keyed = ["--reader-property", "parse.key=true", "--reader-property", "key.separator=:"]
    tool("ConsoleProducer", "--topic", topic, *keyed, stdin="a:one\nb:two\na:three\n")
    shown = ["--formatter-property", "print.key=true", "--formatter-property", "key.separator=:"]
    from_start = ["--topic", topic, "--from-beginning", "--max-messages", "3"]
    read = tool("consumer.ConsoleConsumer", *from_start, *shown, "--timeout-ms", "20000")
    assert read.stdout.splitlines() == ["a:one", "b:two", "a:three"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_the_console_producer_compresses(tool: Tool, topic: str, codec: str) -> None:
    lines = "".join(f"line {n}\n" for n in range(500))
    tool("ConsoleProducer", "--topic", topic, "--compression-codec", codec, stdin=lines)
    from_start = ["--topic", topic, "--from-beginning", "--max-messages", "500"]
    read = tool("consumer.ConsoleConsumer", *from_start, "--timeout-ms", "20000")
    assert read.stdout == lines


def test_offsets_are_told_at_the_ends_and_at_a_time(java: Client, tool: Tool, topic: str) -> None:
    dated = [Record(b"%d" % n, timestamp=NOON_MS + 1_000 * n) for n in range(10)]
    java.produce(topic, dated)
    for time, offset in (("-2", 0), ("-1", 10), ("-3", 9), (str(NOON_MS + 3_500), 4)):
        told = tool("GetOffsetShell", "--topic", topic, "--time", time).stdout
        assert told.strip() == f"{topic}:0:{offset}"


def test_groups_are_listed_described_reset_and_deleted(
    java: Client, tool: Tool, topic: str, unique: str
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


def described_row(tool: Tool, group: str) -> list[str]:
    """Group, topic, partition, committed offset, end offset, lag … of the group's only row."""
    lines = tool(CONSUMER_GROUPS, "--describe", "--group", group).stdout.splitlines()
    (row,) = [line.split() for line in lines if line.startswith(group)]
    return row


def test_settings_of_a_topic_are_set_described_and_unset(tool: Tool, topic: str) -> None:
    entity = ["--entity-type", "topics", "--entity-name", topic]
    tool("ConfigCommand", *entity, "--alter", "--add-config", "retention.ms=7200000")
    described = wait_until(lambda: describes(tool, entity, "retention.ms=7200000"))
    assert "DYNAMIC_TOPIC_CONFIG:retention.ms=7200000" in described
    tool("ConfigCommand", *entity, "--alter", "--delete-config", "retention.ms")
    wait_until(lambda: "retention.ms" not in tool("ConfigCommand", *entity, "--describe").stdout)
    every = tool("ConfigCommand", *entity, "--describe", "--all").stdout
    assert "max.message.bytes=1048588" in every


def describes(tool: Tool, entity: list[str], text: str) -> str:
    described = tool("ConfigCommand", *entity, "--describe").stdout
    assert text in described
    return described


def test_settings_of_the_broker_are_described(tool: Tool) -> None:
    entity = ["--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"]
    described = tool("ConfigCommand", *entity).stdout
    assert "log.segment.bytes=1073741824" in described
    assert "num.partitions=1" in described


def test_records_are_deleted_by_a_file_of_offsets(
    java: Client, tool: Tool, topic: str, tmp_path: Path
) -> None:
    java.produce(topic, [Record(b"%d" % n) for n in range(10)])
    wanted = {"partitions": [{"topic": topic, "partition": 0, "offset": 6}], "version": 1}
    file = tmp_path / "offsets.json"
    file.write_text(json.dumps(wanted))
    deleted = tool("DeleteRecordsCommand", "--offset-json-file", str(file)).stdout
    assert "low_watermark: 6" in deleted
    assert java.offset(topic, "earliest") == 6


def test_the_segments_of_a_topic_are_dumped(java: Client, topic: str, data_dir: Path) -> None:
    for compression in java.kind.compressions:
        java.produce(topic, sample_records(java.kind), compression=compression)
    (log,) = data_dir.rglob(f"{topic}-0/*.log")
    options = ["--deep-iteration", "--print-data-log", "--files", str(log)]
    dumped = run_plain(java, "DumpLogSegments", *options).stdout
    count = len(sample_records(java.kind)) * len(java.kind.compressions)
    offsets = [int(n) for n in re.findall(r"^\| offset: (\d+)", dumped, re.MULTILINE)]
    assert offsets == list(range(count))
    assert "isvalid: true" in dumped
    assert "isvalid: false" not in dumped
    codecs = re.findall(r"compresscodec: (\w+)", dumped)
    assert set(codecs) == set(java.kind.compressions)


def test_the_indexes_of_a_topic_are_sound(
    java: Client, admin: Client, unique: str, data_dir: Path
) -> None:
    configs = {"index.interval.bytes": "512", "segment.bytes": "1048576"}
    admin.admin("create_topic", topic=unique, configs=configs)
    records = [Record(b"x" * 1_000, timestamp=NOON_MS + n) for n in range(3_500)]
    java.produce(unique, records, batch_bytes=4_096)
    active = max(data_dir.rglob(f"{unique}-0/*.log")).stem  # its indexes may be unfinished
    indexes = sorted(data_dir.rglob(f"{unique}-0/*.*index"))
    files = [path for path in indexes if path.stem != active]
    assert len(files) >= 4
    named = ",".join(str(file) for file in files)
    checked = run_plain(java, "DumpLogSegments", "--index-sanity-check", "--files", named).stdout
    assert "passed sanity check" in checked
    dumped = run_plain(java, "DumpLogSegments", "--verify-index-only", "--files", named)
    assert "Mismatches" not in dumped.stdout + dumped.stderr
    assert "Found timestamp mismatch" not in dumped.stdout + dumped.stderr


def test_versions_of_the_broker_are_told(tool: Tool) -> None:
    told = tool("BrokerApiVersionsCommand").stdout
    assert re.search(r"Produce\(0\): 0 to \d+ \[usable: \d+\]", told)
    assert re.search(r"ApiVersions\(18\): 0 to \d+ \[usable: \d+\]", told)


def test_the_cluster_has_an_id(java: Client) -> None:
    told = run_plain(java, "ClusterTool", "cluster-id", "--bootstrap-server", java.bootstrap)
    assert re.search(r"Cluster ID: [\w-]{22}", told.stdout)


def test_performance_tools_write_and_read(java: Client, tool: Tool, topic: str) -> None:
    size = ["--topic", topic, "--num-records", "5000"]
    load = [*size, "--record-size", "100", "--throughput", "-1"]
    wrote = tool("ProducerPerformance", *load).stdout
    assert "5000 records sent" in wrote
    assert java.offset(topic, "latest") == 5_000
    read = tool("ConsumerPerformance", "--topic", topic, "--num-records", "5000").stdout
    assert len(read.splitlines()) == 2


def test_the_verifiable_producer_and_consumer_agree(bootstrap: str, topic: str) -> None:
    sent = events(bootstrap, "VerifiableProducer", "--topic", topic, "--max-messages", "200")
    assert sum(event["name"] == "producer_send_success" for event in sent) == 200
    group = ["--topic", topic, "--group-id", topic, "--max-messages", "200"]
    consumed = events(bootstrap, "VerifiableConsumer", *group, "--reset-policy", "earliest")
    counts = [event["count"] for event in consumed if event["name"] == "records_consumed"]
    assert sum(counts) == 200


def events(bootstrap: str, name: str, *arguments: str) -> list[dict[str, Any]]:
    """What a tool tells that must end as a process, since it tells the rest in a shutdown hook."""
    command = [*JAVA, TOOLS + name, "--bootstrap-server", bootstrap, *arguments]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.needs_apis(35)
def test_the_log_folders_are_described(java: Client, tool: Tool, topic: str) -> None:
    java.produce(topic, [Record(b"x" * 1_000)])
    told = tool("LogDirsCommand", "--describe", "--topic-list", topic).stdout
    (line,) = [line for line in told.splitlines() if line.startswith("{")]
    (folder,) = json.loads(line)["brokers"][0]["logDirs"]
    (partition,) = folder["partitions"]
    assert partition["partition"] == f"{topic}-0"
    assert partition["size"] > 1_000


@pytest.mark.needs_apis(26, 57)
def test_features_are_described(java: Client) -> None:
    told = run_plain(java, "FeatureCommand", "--bootstrap-server", java.bootstrap, "describe")
    assert re.search(r"Feature: transaction.version\s+SupportedMinVersion: \d", told.stdout)


def test_groups_of_every_kind_are_listed(java: Client, tool: Tool, topic: str, unique: str) -> None:
    with java.member(unique, topic) as member:
        wait_until(member.assignment)
        told = tool("GroupsCommand", "--list").stdout
    (row,) = [line.split() for line in told.splitlines() if line.startswith(unique)]
    assert row[1:] == ["Classic", "consumer"]


@pytest.mark.needs_apis(43)
def test_the_preferred_leader_is_elected(tool: Tool, topic: str) -> None:
    one = ["--topic", topic, "--partition", "0", "--election-type", "PREFERRED"]
    assert "0" in tool("LeaderElectionCommand", *one).stdout


@pytest.mark.needs_apis(45, 46)
def test_a_reassignment_to_the_same_broker_is_complete(
    tool: Tool, topic: str, tmp_path: Path
) -> None:
    plan = {"partitions": [{"topic": topic, "partition": 0, "replicas": [1]}], "version": 1}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan))
    reassign = ["--reassignment-json-file", str(file)]
    tool("reassign.ReassignPartitionsCommand", *reassign, "--execute")
    told = wait_until(lambda: tool("reassign.ReassignPartitionsCommand", *reassign, "--verify"))
    assert "is completed" in told.stdout


@pytest.mark.needs_apis(74)
def test_client_metrics_are_set_and_described(tool: Tool, unique: str) -> None:
    options = ["--name", unique, "--metrics", "org.apache.kafka.", "--interval", "60000"]
    tool("ClientMetricsCommand", "--alter", *options)
    described = tool("ClientMetricsCommand", "--describe", "--name", unique).stdout
    assert "interval.ms=60000" in described
    assert unique in tool("ClientMetricsCommand", "--list").stdout
    tool("ClientMetricsCommand", "--delete", "--name", unique)


@pytest.mark.needs_apis(65, 66)
def test_transactions_are_listed_and_described(
    java: Client, tool: Tool, topic: str, unique: str
) -> None:
    with java.producer(transactional_id=unique) as producer:
        producer.begin()
        producer.send(topic, [Record(b"open")])
        listed = tool("TransactionsCommand", "list").stdout
        (row,) = [line.split() for line in listed.splitlines() if line.startswith(unique)]
        assert row[-1] == "Ongoing"
        described = tool("TransactionsCommand", "describe", "--transactional-id", unique).stdout
        assert f"{topic}-0" in described
        producer.commit()
