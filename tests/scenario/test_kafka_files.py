"""Files of one broker under the other: Apache Kafka's under pylog, pylog's under Kafka's tools."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.kafka import KafkaBroker, run_tool
from tests.support.wait import wait_until
from tests.support.wire import Wire

from pylog.cli.log import IN_USE, command
from pylog.codec import Record, encode_batch
from pylog.log.checkpoint import HIGH_WATERMARK_FILE, read_checkpoint
from pylog.protocol.messages.describe_producers import DescribeProducersRequest, TopicRequest
from pylog.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)

TOPIC = "topic"
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
PER_COMPRESSION = 300
START = 100  # of the log, behind DeleteRecords
EXPIRATION_MS = "producer.id.expiration.ms"
EXPIRATION_CHECKS = {"producer.id.expiration.check.interval.ms": "100"}
BROKER_ID = "1"
DAY_MS = 24 * 3_600_000
PRODUCER_ID = 1_000_000  # none that a broker has given away
TRANSACTION_OFFSETS = 24  # of four transactions of five records and a marker
TIMEOUT_S = 60
DUMP = "org.apache.kafka.tools.DumpLogSegments"


def create(address: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    config = {"segment.bytes": "1048576", "index.interval.bytes": "256"}
    admin.create_topics([NewTopic(TOPIC, 1, 1, config=config)])[TOPIC].result(TIMEOUT_S)


def write(address: str) -> None:
    """Every compression, transactions of both ends, several segments, and a later start."""
    create(address)
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
    admin = AdminClient({"bootstrap.servers": address})
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


def high_watermark(data_dir: Path) -> int:
    return read_checkpoint(data_dir / HIGH_WATERMARK_FILE)[TOPIC, 0]


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
    end = high_watermark(kafka.data_dir)
    assert high_watermark(data_dir) == end
    with running(data_dir) as broker:
        assert read(broker.address) == written
        transactions(broker.address)
        again = read(broker.address)
    assert again[: len(written)] == written
    assert len(again) == len(written) + 10
    assert high_watermark(data_dir) == end + TRANSACTION_OFFSETS
    run_log("verify", data_dir)


def test_kafka_goes_on_with_what_pylog_wrote(tmp_path: Path) -> None:
    data_dir, now_ms = tmp_path / "data", int(time.time() * 1000)
    with running(data_dir) as broker:
        write(broker.address)
        offset = produce_idempotent(broker.address, now_ms)
        written = read(broker.address)
    assert written[0][0] == START
    kafka = KafkaBroker(tmp_path / "kafka")
    kafka.start()
    try:
        create(kafka.address)
        refused = invoke_log("export", data_dir, "--kafka-folder", kafka.data_dir)
    finally:
        kafka.stop()
    assert refused.exit_code == IN_USE, refused.output
    run_log("export", data_dir, "--kafka-folder", kafka.data_dir)
    run_log("verify", kafka.data_dir / f"{TOPIC}-0")
    end = high_watermark(data_dir)
    assert high_watermark(kafka.data_dir) == end
    kafka.start()
    try:
        assert read(kafka.address) == written
        assert produce_idempotent(kafka.address, now_ms) == offset  # a duplicate
    finally:
        kafka.stop()
    # Kafka's own producer ids begin at 0, as those in the log do: they have to be forgotten first.
    kafka.configure(**EXPIRATION_CHECKS)
    kafka.start()
    try:
        set_broker_config(kafka.address, EXPIRATION_MS, 1)
        wait_until(lambda: not producers(kafka.address))
        # Back again: Kafka forgets after the same time that it has verified a transaction.
        set_broker_config(kafka.address, EXPIRATION_MS, DAY_MS)
        transactions(kafka.address)
        again = read(kafka.address)
    finally:
        kafka.stop()
    assert again[: len(written)] == written
    assert len(again) == len(written) + 10
    assert high_watermark(kafka.data_dir) == end + TRANSACTION_OFFSETS
    run_log("verify", kafka.data_dir / f"{TOPIC}-0")


def produce_idempotent(address: str, now_ms: int) -> int:
    """The same batch of the same producer each time; where the broker says that it is."""
    record = Record(b"key", b"of an idempotent producer", now_ms)
    batch = encode_batch([record], producer_id=PRODUCER_ID, producer_epoch=0, base_sequence=0)
    topic = TopicProduceData(
        name=TOPIC, partition_data=[PartitionProduceData(index=0, records=batch)]
    )
    with Wire(address) as wire:
        request = ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[topic])
        answer = wire.ask(request, 12).responses[0].partition_responses[0]
    assert answer.error_code == 0
    return int(answer.base_offset)


def set_broker_config(address: str, name: str, value: int) -> None:
    entry = ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.BROKER, BROKER_ID, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": address})
    admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)


def producers(address: str) -> list[int]:
    topic = TopicRequest(name=TOPIC, partition_indexes=[0])
    with Wire(address) as wire:
        answer = wire.ask(DescribeProducersRequest(topics=[topic])).topics[0].partitions[0]
    assert answer.error_code == 0
    return [item.producer_id for item in answer.active_producers]


def invoke_log(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def run_log(*arguments: object) -> None:
    result = invoke_log(*arguments)
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
