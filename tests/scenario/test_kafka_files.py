"""Files of one broker under the other: Apache Kafka's under pylog, pylog's under Kafka's tools."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.kafka import KafkaBroker, run_tool

from pylog.cli.log import command

TOPIC = "topic"
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
PER_COMPRESSION = 300
START = 100  # of the log, behind DeleteRecords
TIMEOUT_S = 60
DUMP = "org.apache.kafka.tools.DumpLogSegments"


def write(address: str) -> None:
    """Every compression, transactions of both ends, several segments, and a later start."""
    admin = AdminClient({"bootstrap.servers": address})
    config = {"segment.bytes": "1048576", "index.interval.bytes": "256"}
    admin.create_topics([NewTopic(TOPIC, 1, 1, config=config)])[TOPIC].result(TIMEOUT_S)
    for compression in COMPRESSIONS:
        settings = {"compression.type": compression, "enable.idempotence": True, "linger.ms": 1}
        producer = Producer({"bootstrap.servers": address, **settings})
        for number in range(PER_COMPRESSION):
            value = f"{compression}-{number}-" + "x" * 2000
            producer.produce(TOPIC, value, key=str(number), headers={"n": str(number)})
            if number % 20 == 0:
                producer.flush(TIMEOUT_S)
        producer.flush(TIMEOUT_S)
    transactions(address)
    start = TopicPartition(TOPIC, 0, START)
    admin.delete_records([start])[start].result(TIMEOUT_S)


def transactions(address: str) -> None:
    producer = Producer({"bootstrap.servers": address, "transactional.id": "t", "linger.ms": 0})
    producer.init_transactions(TIMEOUT_S)
    for number in range(4):
        producer.begin_transaction()
        for item in range(5):
            producer.produce(TOPIC, f"transaction-{number}-{item}")
        producer.flush(TIMEOUT_S)  # an abort would take back what is not sent
        if number % 2:
            producer.abort_transaction(TIMEOUT_S)
        else:
            producer.commit_transaction(TIMEOUT_S)


def read(address: str) -> list[tuple[object, ...]]:
    """All committed records."""
    settings = {"group.id": "g", "enable.partition.eof": True, "auto.offset.reset": "error"}
    consumer = Consumer({"bootstrap.servers": address, **settings})
    low, _ = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), TIMEOUT_S)
    consumer.assign([TopicPartition(TOPIC, 0, low)])
    found: list[tuple[object, ...]] = []
    while True:
        for message in consumer.consume(500, 1):
            if message.error() is None:
                place = message.offset(), message.timestamp()
                found.append((*place, message.key(), message.value(), message.headers()))
                continue
            assert message.error().code() == KafkaError._PARTITION_EOF
            consumer.close()
            return found


@contextmanager
def running(data_dir: Path) -> Iterator[BrokerProcess]:
    """A pylog broker that is ended in order."""
    broker = BrokerProcess(data_dir, QUICK_GROUPS)
    broker.start()
    try:
        yield broker
    finally:
        code = broker.terminate()
    assert code == 0


def test_pylog_goes_on_with_what_kafka_wrote(tmp_path: Path) -> None:
    kafka = KafkaBroker(tmp_path / "kafka")
    kafka.start()
    try:
        write(kafka.address)
        written = read(kafka.address)
    finally:
        kafka.stop()
    assert written[0][0] == START
    data_dir = tmp_path / "data"
    run_log("verify", kafka.data_dir)
    run_log("import", kafka.data_dir, "--data-dir", data_dir)
    run_log("verify", data_dir)
    with running(data_dir) as broker:
        assert read(broker.address) == written
        transactions(broker.address)
        again = read(broker.address)
    assert again[: len(written)] == written
    assert len(again) == len(written) + 10
    run_log("verify", data_dir)


def run_log(*arguments: object) -> None:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log's folder that pylog has written."""
    data_dir = tmp_path_factory.mktemp("pylog") / "data"
    with running(data_dir) as broker:
        write(broker.address)
    return data_dir / f"{TOPIC}-0"


def dump(log: Path, pattern: str, *options: str) -> str:
    files = sorted(map(str, log.glob(pattern)))
    assert files
    return run_tool(DUMP, "--files", ",".join(files), *options)


def test_kafkas_dump_reads_every_record(log: Path) -> None:
    text = dump(log, "*.log", "--deep-iteration", "--print-data-log")
    assert text.count(" payload: transaction-") == 20
    for compression in COMPRESSIONS:
        assert text.count(f" payload: {compression}-") == PER_COMPRESSION
    assert "isvalid: false" not in text


def test_kafkas_dump_finds_every_index_right(log: Path) -> None:
    for pattern in ("*.index", "*.timeindex"):
        text = dump(log, pattern, "--index-sanity-check")
        assert text.count("passed sanity check") == len(list(log.glob(pattern)))
        text = dump(log, pattern, "--verify-index-only")
        for complaint in ("Mismatch", "mismatch", "Found", "out of order"):
            assert complaint not in text


def test_kafkas_dump_reads_aborted_transactions_and_producers(log: Path) -> None:
    text = dump(log, "*.txnindex")
    assert text.count("producerId") == 2
    text = dump(log, "*.snapshot")
    assert "producerId" in text
