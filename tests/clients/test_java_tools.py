"""Kafka's own tools of administrators, at work on the broker, and the table of all tools."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any, cast

import pytest
from tests.clients.client import Client, Record
from tests.clients.kafka_tools import PACKAGE, TOOLS, Verdict
from tests.clients.samples import NOON_MS
from tests.clients.tool_runner import Tools
from tests.support.wait import wait_until


def test_the_table_has_every_tool_of_kafkas_jar(java: Client) -> None:
    found = set(java.agent.call("tools"))
    assert found == {tool.main for tool in TOOLS if tool.main.startswith(PACKAGE)}


def test_every_tool_that_works_is_run_by_a_test() -> None:
    tests = Path(__file__).parent.glob("test_*.py")
    nodes = (node for file in tests for node in ast.walk(ast.parse(file.read_text())))
    named = {node.value for node in nodes if isinstance(node, ast.Constant)}
    works = {tool.script for tool in TOOLS if tool.verdict is not Verdict.NO}
    assert named & {tool.script for tool in TOOLS} == works


def test_topics_are_created_listed_described_altered_and_deleted(tool: Tools, unique: str) -> None:
    options = ["--partitions", "2", "--replication-factor", "1", "--config", "retention.ms=3600000"]
    created = tool("kafka-topics", "--create", "--topic", unique, *options)
    assert f"Created topic {unique}" in created.stdout
    assert unique in tool("kafka-topics", "--list").stdout.split()
    described = tool("kafka-topics", "--describe", "--topic", unique).stdout
    assert "PartitionCount: 2" in described
    assert "retention.ms=3600000" in described
    tool("kafka-topics", "--alter", "--topic", unique, "--partitions", "5")
    described = tool("kafka-topics", "--describe", "--topic", unique).stdout
    assert described.count("Leader: ") == 5
    tool("kafka-topics", "--delete", "--topic", unique)
    wait_until(lambda: unique not in tool("kafka-topics", "--list").stdout.split())


def test_settings_of_a_topic_are_set_described_and_unset(tool: Tools, topic: str) -> None:
    entity = ["--entity-type", "topics", "--entity-name", topic]
    tool("kafka-configs", *entity, "--alter", "--add-config", "retention.ms=7200000")
    described = wait_until(lambda: describes(tool, entity, "retention.ms=7200000"))
    assert "DYNAMIC_TOPIC_CONFIG:retention.ms=7200000" in described
    tool("kafka-configs", *entity, "--alter", "--delete-config", "retention.ms")
    wait_until(lambda: "retention.ms" not in tool("kafka-configs", *entity, "--describe").stdout)
    every = tool("kafka-configs", *entity, "--describe", "--all").stdout
    assert "max.message.bytes=1048588" in every


def describes(tool: Tools, entity: list[str], text: str) -> str:
    described = tool("kafka-configs", *entity, "--describe").stdout
    assert text in described
    return described


def test_a_setting_that_is_not_known_is_refused(tool: Tools, topic: str) -> None:
    entity = ["--entity-type", "topics", "--entity-name", topic]
    refused = tool("kafka-configs", *entity, "--alter", "--add-config", "no.such=1", code=1)
    assert "InvalidConfigurationException" in refused.stderr


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        ("groups", "consumer.session.timeout.ms=50000"),
        ("client-metrics", "interval.ms=60000"),
        ("users", "producer_byte_rate=1048576.0"),
        ("clients", "request_percentage=50.0"),
    ],
)
def test_settings_of_every_entity_are_set_described_and_deleted(
    tool: Tools, unique: str, kind: str, setting: str
) -> None:
    entity = ["--entity-type", kind, "--entity-name", unique]
    tool("kafka-configs", *entity, "--alter", "--add-config", setting)
    wait_until(lambda: describes(tool, entity, setting))
    tool("kafka-configs", *entity, "--alter", "--delete-config", setting.split("=")[0])
    wait_until(lambda: setting not in tool("kafka-configs", *entity, "--describe").stdout)


def test_the_level_of_a_logger_is_set_and_deleted(tool: Tools, logger: str) -> None:
    entity = ["--entity-type", "broker-loggers", "--entity-name", "1"]
    assert describes(tool, entity, f"{logger}=INFO")
    tool("kafka-configs", *entity, "--alter", "--add-config", f"{logger}=DEBUG")
    assert describes(tool, entity, f"{logger}=DEBUG")
    tool("kafka-configs", *entity, "--alter", "--delete-config", logger)
    assert describes(tool, entity, f"{logger}=INFO")


@pytest.fixture
def logger(tool: Tools) -> str:
    """The name of one that the broker has, Kafka's or ours."""
    entity = ["--entity-type", "broker-loggers", "--entity-name", "1"]
    described = tool("kafka-configs", *entity, "--describe").stdout
    return re.search(r"(kafka\.server\.\w+|pylog\.server\.\w+)=INFO", described)[1]  # type: ignore[index]


def test_credentials_of_users_are_set_and_described(tool: Tools, unique: str) -> None:
    entity = ["--entity-type", "users", "--entity-name", unique]
    credential = "SCRAM-SHA-256=[iterations=8192,password=secret]"
    tool("kafka-configs", *entity, "--alter", "--add-config", credential)
    shown = f"user-principal '{unique}' are SCRAM-SHA-256=iterations=8192"
    wait_until(lambda: describes(tool, ["--entity-type", "users"], shown))
    tool("kafka-configs", *entity, "--alter", "--delete-config", "SCRAM-SHA-256")
    wait_until(lambda: unique not in tool("kafka-configs", *entity, "--describe").stdout)


def test_a_default_of_all_brokers_is_set_and_deleted(tool: Tools) -> None:
    entity = ["--entity-type", "brokers", "--entity-default"]
    setting = "log.cleaner.min.cleanable.ratio"
    tool("kafka-configs", *entity, "--alter", "--add-config", f"{setting}=0.6")
    wait_until(lambda: describes(tool, entity, f"{setting}=0.6"))
    tool("kafka-configs", *entity, "--alter", "--delete-config", setting)
    wait_until(lambda: setting not in tool("kafka-configs", *entity, "--describe").stdout)


def test_settings_of_the_broker_are_described(tool: Tools) -> None:
    entity = ["--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"]
    described = tool("kafka-configs", *entity).stdout
    assert "log.segment.bytes=1073741824" in described
    assert "num.partitions=1" in described


def test_offsets_are_told_at_the_ends_and_at_a_time(java: Client, tool: Tools, topic: str) -> None:
    dated = [Record(b"%d" % n, timestamp=NOON_MS + 1_000 * n) for n in range(10)]
    java.produce(topic, dated)
    for time, offset in (("-2", 0), ("-1", 10), ("-3", 9), (str(NOON_MS + 3_500), 4)):
        told = tool("kafka-get-offsets", "--topic", topic, "--time", time).stdout
        assert told.strip() == f"{topic}:0:{offset}"


def test_records_are_deleted_by_a_file_of_offsets(
    java: Client, tool: Tools, topic: str, tmp_path: Path
) -> None:
    java.produce(topic, [Record(b"%d" % n) for n in range(10)])
    wanted = {"partitions": [{"topic": topic, "partition": 0, "offset": 6}], "version": 1}
    file = tmp_path / "offsets.json"
    file.write_text(json.dumps(wanted))
    deleted = tool("kafka-delete-records", "--offset-json-file", str(file)).stdout
    assert "low_watermark: 6" in deleted
    assert java.offset(topic, "earliest") == 6


def test_versions_of_the_broker_are_told(tool: Tools) -> None:
    told = tool("kafka-broker-api-versions").stdout
    assert re.search(r"Produce\(0\): 0 to \d+ \[usable: \d+\]", told)
    assert re.search(r"ApiVersions\(18\): 0 to \d+ \[usable: \d+\]", told)


def test_the_cluster_is_told(java: Client, tool: Tools) -> None:
    where = ["--bootstrap-server", java.bootstrap]
    told = tool.plain("kafka-cluster", "cluster-id", *where).stdout
    assert re.search(r"Cluster ID: [\w-]{22}", told)
    told = tool.plain("kafka-cluster", "list-endpoints", *where).stdout
    host, _, port = java.bootstrap.rpartition(":")
    assert told.splitlines()[1].split()[:3] == ["1", host, port]


@pytest.mark.needs_apis(55)
def test_the_holder_of_the_metadata_is_told(tool: Tools) -> None:
    status = tool("kafka-metadata-quorum", "describe", "--status").stdout
    assert re.search(r"LeaderId:\s+1\n", status)
    assert re.search(r'CurrentVoters:\s+\[\{"id": 1', status)
    replication = tool("kafka-metadata-quorum", "describe", "--replication").stdout
    assert re.search(r"^1\s.*\sLeader\s*$", replication, re.MULTILINE)


@pytest.mark.needs_apis(35)
def test_the_log_folders_are_described(java: Client, tool: Tools, topic: str) -> None:
    java.produce(topic, [Record(b"x" * 1_000)])
    (partition,) = log_folder(tool, topic)["partitions"]
    assert partition["partition"] == f"{topic}-0"
    assert partition["size"] > 1_000


def log_folder(tool: Tools, topic: str) -> dict[str, Any]:
    """The only folder, with what it holds of the topic."""
    told = tool("kafka-log-dirs", "--describe", "--topic-list", topic).stdout
    (line,) = [line for line in told.splitlines() if line.startswith("{")]
    (folder,) = json.loads(line)["brokers"][0]["logDirs"]
    return cast(dict[str, Any], folder)


@pytest.mark.needs_apis(26, 57)
def test_features_are_described_and_may_go_down(tool: Tools) -> None:
    described = tool("kafka-features", "describe").stdout
    assert re.search(r"Feature: transaction.version\s+SupportedMinVersion: \d", described)
    lower = ["downgrade", "--feature", "transaction.version=1", "--dry-run"]
    assert "can be downgraded to 1" in tool("kafka-features", *lower).stdout
    release = ["upgrade", "--release-version", "4.4"]
    assert "kraft.version was upgraded to 1" in tool("kafka-features", *release).stdout
    unknown = ["upgrade", "--feature", "no.such=1"]
    assert "Could not upgrade no.such" in tool("kafka-features", *unknown, code=1).stdout


@pytest.mark.needs_apis(43)
def test_the_preferred_leader_is_elected(tool: Tools, topic: str) -> None:
    one = ["--topic", topic, "--partition", "0", "--election-type", "PREFERRED"]
    assert "0" in tool("kafka-leader-election", *one).stdout


@pytest.mark.needs_apis(34, 45, 46)
def test_a_partition_is_moved_to_where_it_is_and_nowhere_else(
    tool: Tools, topic: str, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    reassign = ["--reassignment-json-file", str(plan)]
    folder = log_folder(tool, topic)["logDir"]

    def moved_to(folder: str, code: int = 0) -> str:
        place = {"topic": topic, "partition": 0, "replicas": [1], "log_dirs": [folder]}
        plan.write_text(json.dumps({"partitions": [place], "version": 1}))
        return tool("kafka-reassign-partitions", *reassign, "--execute", code=code).stdout

    assert f"Successfully started moving log directory to {folder}" in moved_to(folder)
    told = wait_until(lambda: tool("kafka-reassign-partitions", *reassign, "--verify"))
    assert f"Reassignment of partition {topic}-0 is completed" in told.stdout
    assert f"Reassignment of replica {topic}-0-1 completed" in told.stdout
    assert f"Failed to alter dir for {topic}-0-1" in moved_to("/no/such/folder", code=1)
    assert "No partition reassignments" in tool("kafka-reassign-partitions", "--list").stdout


@pytest.mark.needs_apis(74)
def test_client_metrics_are_set_and_described(tool: Tools, unique: str) -> None:
    options = ["--name", unique, "--metrics", "org.apache.kafka.", "--interval", "60000"]
    tool("kafka-client-metrics", "--alter", *options)
    described = tool("kafka-client-metrics", "--describe", "--name", unique).stdout
    assert "interval.ms=60000" in described
    assert unique in tool("kafka-client-metrics", "--list").stdout
    tool("kafka-client-metrics", "--delete", "--name", unique)
