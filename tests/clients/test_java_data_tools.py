"""Kafka's own tools that write, read and measure, and the one that reads the broker's files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.clients.client import Client, Record
from tests.clients.kafka_tools import PACKAGE
from tests.clients.samples import NOON_MS, sample_records
from tests.clients.tool_runner import Tools


def test_lines_go_in_by_the_console_producer_and_out_by_the_console_consumer(
    tool: Tools, topic: str
) -> None:
    keyed = ["--reader-property", "parse.key=true", "--reader-property", "key.separator=:"]
    tool("kafka-console-producer", "--topic", topic, *keyed, stdin="a:one\nb:two\na:three\n")
    shown = ["--formatter-property", "print.key=true", "--formatter-property", "key.separator=:"]
    from_start = ["--topic", topic, "--from-beginning", "--max-messages", "3"]
    read = tool("kafka-console-consumer", *from_start, *shown, "--timeout-ms", "20000")
    assert read.stdout.splitlines() == ["a:one", "b:two", "a:three"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_the_console_producer_compresses(tool: Tools, topic: str, codec: str) -> None:
    lines = "".join(f"line {n}\n" for n in range(500))
    tool("kafka-console-producer", "--topic", topic, "--compression-codec", codec, stdin=lines)
    from_start = ["--topic", topic, "--from-beginning", "--max-messages", "500"]
    read = tool("kafka-console-consumer", *from_start, "--timeout-ms", "20000")
    assert read.stdout == lines


def test_records_of_internal_topics_are_printed(
    java: Client, tool: Tools, topic: str, unique: str
) -> None:
    java.produce(topic, [Record(b"1")])
    read = ["--topic", topic, "--group", unique, "--from-beginning", "--max-messages", "1"]
    tool("kafka-console-consumer", *read)
    internal = ["--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", "2000"]
    formatter = ["--formatter", f"{PACKAGE}.consumer.OffsetsMessageFormatter"]
    told = tool("kafka-console-consumer", *internal, *formatter).stdout
    assert f'"group":"{unique}","topic":"{topic}","partition":0' in told


@pytest.fixture
def share_group(tool: Tools, unique: str) -> str:
    """The name of a share group that will read from the start."""
    entity = ["--entity-type", "groups", "--entity-name", unique]
    tool("kafka-configs", *entity, "--alter", "--add-config", "share.auto.offset.reset=earliest")
    return unique


@pytest.mark.needs_apis(76, 78, 79)
def test_lines_come_out_by_the_console_share_consumer(
    tool: Tools, topic: str, share_group: str
) -> None:
    tool("kafka-console-producer", "--topic", topic, stdin="one\ntwo\n")
    read = ["--topic", topic, "--group", share_group, "--max-messages", "2"]
    told = tool("kafka-console-share-consumer", *read, "--timeout-ms", "20000")
    assert told.stdout.splitlines() == ["one", "two"]


def test_performance_tools_write_and_read(
    java: Client, tool: Tools, topic: str, share_group: str
) -> None:
    size = ["--topic", topic, "--num-records", "5000"]
    load = [*size, "--record-size", "100", "--throughput", "-1"]
    assert "5000 records sent" in tool("kafka-producer-perf-test", *load).stdout
    assert java.offset(topic, "latest") == 5_000
    assert performed(tool("kafka-consumer-perf-test", *size).stdout) == 5_000
    shared = tool("kafka-share-consumer-perf-test", *size, "--group", share_group)
    assert performed(shared.stdout) >= 5_000


def performed(told: str) -> int:
    """How many records a tool says that it has read."""
    names, values = (line.split(", ") for line in told.splitlines())
    return int(values[names.index("data.consumed.in.nMsg")])


def test_transactions_are_written_under_load(tool: Tools, topic: str, unique: str) -> None:
    load = ["--topic", topic, "--num-records", "500", "--record-size", "100", "--throughput", "-1"]
    transactions = ["--transactional-id", unique, "--transaction-duration-ms", "10"]
    assert "500 records sent" in tool("kafka-producer-perf-test", *load, *transactions).stdout
    options = ["--topic", topic, "--from-beginning", "--isolation-level", "read_committed"]
    read = tool(
        "kafka-console-consumer", *options, "--max-messages", "500", "--timeout-ms", "20000"
    )
    assert len(read.stdout.splitlines()) == 500


def test_the_time_through_the_broker_is_measured(tool: Tools, topic: str) -> None:
    options = ["--topic", topic, "--num-records", "20", "--record-size", "100"]
    told = tool("kafka-e2e-latency", *options, "--producer-acks", "all").stdout
    assert re.search(r"Avg latency: \d+\.\d+ ms", told)


def test_the_verifiable_producer_and_consumers_agree(
    tool: Tools, topic: str, share_group: str
) -> None:
    many = ["--topic", topic, "--max-messages", "200"]
    sent = tool.events("kafka-verifiable-producer", *many)
    assert sum(event["name"] == "producer_send_success" for event in sent) == 200
    reset = ["--group-id", f"{topic}-plain", "--reset-policy", "earliest"]
    consumed = tool.events("kafka-verifiable-consumer", *many, *reset)
    assert counted(consumed, "records_consumed") == 200
    shared = tool.events("kafka-verifiable-share-consumer", *many, "--group-id", share_group)
    assert counted(shared, "offsets_acknowledged") == 200


def counted(events: list[dict[str, Any]], name: str) -> int:
    return sum(event["count"] for event in events if event["name"] == name)


def test_the_only_replica_does_not_lag(java: Client, tool: Tools, topic: str) -> None:
    java.produce(topic, [Record(b"%d" % n) for n in range(10)])
    options = ["--topics-include", topic, "--time", "-2", "--report-interval-ms", "200"]
    with tool.lines("kafka-replica-verification", *options) as lines:
        report = next(line for line in lines if "max lag" in line)
    assert f"max lag is 0 for partition {topic}-0 at offset 10 among 1 partitions" in report


def test_the_segments_of_a_topic_are_dumped(
    java: Client, tool: Tools, topic: str, data_dir: Path
) -> None:
    for compression in java.kind.compressions:
        java.produce(topic, sample_records(java.kind), compression=compression)
    (log,) = data_dir.rglob(f"{topic}-0/*.log")
    options = ["--deep-iteration", "--print-data-log", "--files", str(log)]
    dumped = tool.plain("kafka-dump-log", *options).stdout
    count = len(sample_records(java.kind)) * len(java.kind.compressions)
    offsets = [int(n) for n in re.findall(r"^\| offset: (\d+)", dumped, re.MULTILINE)]
    assert offsets == list(range(count))
    assert "isvalid: true" in dumped
    assert "isvalid: false" not in dumped
    codecs = re.findall(r"compresscodec: (\w+)", dumped)
    assert set(codecs) == set(java.kind.compressions)


def test_the_indexes_of_a_topic_are_sound(
    java: Client, tool: Tools, admin: Client, unique: str, data_dir: Path
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
    checked = tool.plain("kafka-dump-log", "--index-sanity-check", "--files", named).stdout
    assert "passed sanity check" in checked
    dumped = tool.plain("kafka-dump-log", "--verify-index-only", "--files", named)
    assert "Mismatches" not in dumped.stdout + dumped.stderr
    assert "Found timestamp mismatch" not in dumped.stdout + dumped.stderr


def test_the_logs_of_coordinators_are_dumped(
    java: Client, tool: Tools, topic: str, share_group: str, data_dir: Path
) -> None:
    with java.producer(transactional_id=topic) as producer:
        producer.begin()
        producer.send(topic, [Record(b"%d" % n) for n in range(5)])
        producer.commit()
    read = ["--topic", topic, "--group", share_group, "--max-messages", "5"]
    tool("kafka-console-share-consumer", *read, "--timeout-ms", "20000")
    for internal, decoder, named in (
        ("__consumer_offsets", "--offsets-decoder", share_group),
        ("__transaction_state", "--transaction-log-decoder", topic),
        ("__share_group_state", "--share-group-state-decoder", share_group),
    ):
        logs = (path for path in data_dir.glob(f"{internal}-*/*.log") if path.stat().st_size)
        files = ",".join(str(path) for path in logs)
        assert named in tool.plain("kafka-dump-log", decoder, "--files", files).stdout
