"""Produce and Fetch over a socket, version by version. Runs against Apache Kafka too: what is
asserted here is Kafka's behaviour (PYLOG_TEST_BROKER=kafka:HOST:PORT)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.raw_client import RawClient

from pylog._codec import Record
from pylog.codec import Compression, decode_batches, encode_batch
from pylog.protocol.error_codes import ErrorCode
from pylog.protocol.message import ZERO_UUID
from pylog.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from pylog.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchTopic,
    ForgottenTopic,
    ReplicaState,
)
from pylog.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)

PRODUCE_VERSIONS = range(3, 14)
FETCH_VERSIONS = range(4, 19)
FIRST_PRODUCE_WITH_IDS = 13
FIRST_FETCH_WITH_IDS = 13
NEW_SESSION, NO_SESSION = 0, -1


class Topic:
    """One topic of a test, and requests about its first partition."""

    def __init__(self, client: RawClient, name: str, topic_id: bytes) -> None:
        self.client, self.name, self.topic_id = client, name, topic_id

    def produce(self, records: bytes | None, version: int = 9, **options: Any) -> Any:
        """The answer about the partition."""
        response = self.client.call(self.produce_request(records, version, **options), version)
        return response.responses[0].partition_responses[0]

    def produce_request(
        self, records: bytes | None, version: int = 9, partition: int = 0, **options: Any
    ) -> ProduceRequest:
        data = PartitionProduceData(index=partition, records=records)
        topic = TopicProduceData(partition_data=[data])
        if version >= FIRST_PRODUCE_WITH_IDS:
            topic.topic_id = self.topic_id
        else:
            topic.name = self.name
        return ProduceRequest(**{"acks": -1, "timeout_ms": 30000, **options}, topic_data=[topic])

    def fetch(self, offset: int, version: int = 12, **options: Any) -> Any:
        """The answer about the partition."""
        response = self.client.call(self.fetch_request(offset, version, **options), version)
        return response.responses[0].partitions[0]

    def fetch_request(
        self,
        offset: int,
        version: int = 12,
        partition: int = 0,
        partition_max_bytes: int = 1 << 20,
        current_leader_epoch: int = -1,
        last_fetched_epoch: int = -1,
        **options: Any,
    ) -> FetchRequest:
        asked = FetchPartition(
            partition=partition,
            fetch_offset=offset,
            partition_max_bytes=partition_max_bytes,
            current_leader_epoch=current_leader_epoch,
            last_fetched_epoch=last_fetched_epoch,
        )
        defaults = {"min_bytes": 1, "max_bytes": 1 << 20, "session_epoch": NO_SESSION}
        topics = [FetchTopic(partitions=[asked], **self.named(version))]
        return FetchRequest(**{**defaults, **options}, topics=topics)

    def named(self, version: int) -> dict[str, Any]:
        """How a Fetch of this version names the topic."""
        return (
            {"topic_id": self.topic_id} if version >= FIRST_FETCH_WITH_IDS else {"topic": self.name}
        )


@pytest.fixture
def client(bootstrap: str) -> Iterator[RawClient]:
    with RawClient(bootstrap) as connection:
        yield connection


@pytest.fixture
def create(client: RawClient, unique: str) -> Callable[..., Topic]:
    def create_topic(suffix: str = "", **configs: str) -> Topic:
        name = unique + suffix
        settings = [
            CreatableTopicConfig(name=key.replace("_", "."), value=value)
            for key, value in configs.items()
        ]
        topic = CreatableTopic(name=name, num_partitions=1, replication_factor=1, configs=settings)
        created = client.call(CreateTopicsRequest(topics=[topic], timeout_ms=30000), 7).topics[0]
        assert created.error_code == 0
        made = Topic(client, name, created.topic_id)
        await_leader(made)
        return made

    return create_topic


def await_leader(topic: Topic) -> None:
    """Apache Kafka may have no leader yet when CreateTopics has returned."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if topic.fetch(0, current_leader_epoch=0).error_code == 0:
            return
    raise AssertionError(f"no leader for {topic.name}")


def batch(*values: bytes, key: bytes | None = b"key", **options: Any) -> bytes:
    now_ms = int(time.time() * 1000)
    return encode_batch([Record(key, value, now_ms) for value in values], **options)


def base_offsets(records: bytes) -> list[int]:
    return [one.base_offset for one in decode_batches(records)]


# ---- produce ----


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
def test_a_batch_is_stored_and_acknowledged_in_every_version(
    create: Callable[..., Topic], version: int
) -> None:
    topic = create()
    for expected in (0, 2):
        answer = topic.produce(batch(b"a", b"b"), version)
        assert answer.error_code == 0
        assert answer.base_offset == expected
        assert answer.log_append_time_ms == -1
    assert base_offsets(topic.fetch(0).records) == [0, 2]


@pytest.mark.parametrize("compression", list(Compression))
def test_every_compression_passes_through_untouched(
    create: Callable[..., Topic], compression: Compression
) -> None:
    topic = create()
    sent = batch(b"value" * 100, compression=compression)
    assert topic.produce(sent).error_code == 0
    stored = topic.fetch(0).records
    assert stored[21:] == sent[21:]


def test_requests_in_flight_are_answered_in_order(create: Callable[..., Topic]) -> None:
    topic = create()
    for _ in range(50):
        topic.client.send(topic.produce_request(batch(b"value")), 9)
    answers = [topic.client.receive() for _ in range(50)]
    offsets = [answer.responses[0].partition_responses[0].base_offset for answer in answers]
    assert offsets == list(range(50))


def test_acks_0_is_not_answered(create: Callable[..., Topic]) -> None:
    topic = create()
    topic.client.send(topic.produce_request(batch(b"first"), acks=0), 9, answered=False)
    assert topic.produce(batch(b"second"), acks=1).base_offset == 1


def test_an_error_with_acks_0_closes_the_connection(
    create: Callable[..., Topic], bootstrap: str
) -> None:
    topic = create()
    with RawClient(bootstrap) as other:
        request = topic.produce_request(batch(b"value"), acks=0, partition=7)
        other.send(request, 9, answered=False)
        assert other.is_closed_by_peer()


def test_unknown_partitions_topics_and_ids(create: Callable[..., Topic]) -> None:
    topic = create()
    nowhere = Topic(topic.client, topic.name + "-nowhere", bytes(range(16)))
    value = batch(b"value")
    assert topic.produce(value, partition=7).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert nowhere.produce(value).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert nowhere.produce(value, 13).error_code == ErrorCode.UNKNOWN_TOPIC_ID


@pytest.mark.parametrize("acks", [2, -2])
def test_acks_that_do_not_exist(create: Callable[..., Topic], acks: int) -> None:
    answer = create().produce(batch(b"value"), acks=acks)
    assert answer.error_code == ErrorCode.INVALID_REQUIRED_ACKS
    assert answer.base_offset == -1


def broken(records: bytes, at: int, value: int) -> bytes:
    return records[:at] + bytes([value]) + records[at + 1 :]


REFUSED = {
    "no batch": (lambda whole: b"", ErrorCode.INVALID_RECORD),
    "cut": (lambda whole: whole[:-1], ErrorCode.INVALID_RECORD),
    "two batches": (lambda whole: whole + whole, ErrorCode.INVALID_RECORD),
    "wrong checksum": (lambda whole: broken(whole, len(whole) - 1, 1), ErrorCode.CORRUPT_MESSAGE),
    "magic 1": (lambda whole: broken(whole, 16, 1), ErrorCode.INVALID_RECORD),
    "magic 0": (lambda whole: broken(whole, 16, 0), ErrorCode.INVALID_RECORD),
    "too small": (lambda whole: broken(whole, 11, 5), ErrorCode.CORRUPT_MESSAGE),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_batch_is_refused_and_the_connection_lives(
    create: Callable[..., Topic], what: str
) -> None:
    topic = create()
    damage, expected = REFUSED[what]
    answer = topic.produce(damage(batch(b"value")))
    assert answer.error_code == expected
    assert answer.base_offset == -1
    assert topic.produce(batch(b"value")).base_offset == 0


def test_zstd_needs_version_7(create: Callable[..., Topic]) -> None:
    topic = create()
    records = batch(b"value", compression=Compression.ZSTD)
    assert topic.produce(records, 6).error_code == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    assert topic.produce(records, 7).error_code == 0


def test_max_message_bytes_is_enforced(create: Callable[..., Topic]) -> None:
    topic = create(max_message_bytes="1000")
    assert topic.produce(batch(b"v" * 2000)).error_code == ErrorCode.MESSAGE_TOO_LARGE
    assert topic.produce(batch(b"v" * 500)).error_code == 0


def test_a_batch_larger_than_a_segment_is_refused(create: Callable[..., Topic]) -> None:
    topic = create(max_message_bytes="3000000", segment_bytes="1048576")
    answer = topic.produce(batch(b"v" * 1_100_000))
    assert answer.error_code == ErrorCode.RECORD_LIST_TOO_LARGE
    assert topic.produce(batch(b"v" * 1_000_000)).error_code == 0


def test_a_keyless_record_on_a_compacted_topic_is_named(create: Callable[..., Topic]) -> None:
    topic = create(cleanup_policy="compact")
    answer = topic.produce(batch(b"value", key=None))
    assert answer.error_code == ErrorCode.INVALID_RECORD
    assert [error.batch_index for error in answer.record_errors] == [0]
    assert answer.error_message
    assert topic.produce(batch(b"value")).error_code == 0


def test_timestamps_outside_the_bounds_are_refused(create: Callable[..., Topic]) -> None:
    topic = create(message_timestamp_after_max_ms="60000")
    late_ms = int(time.time() * 1000) + 3_600_000
    answer = topic.produce(encode_batch([Record(b"key", b"value", late_ms)]))
    assert answer.error_code == ErrorCode.INVALID_TIMESTAMP
    assert answer.record_errors[0].batch_index == 0


def test_log_append_time_is_told_and_stored(create: Callable[..., Topic]) -> None:
    topic = create(message_timestamp_type="LogAppendTime")
    before_ms = int(time.time() * 1000)
    answer = topic.produce(encode_batch([Record(b"key", b"value", 1000)]))
    assert before_ms <= answer.log_append_time_ms <= int(time.time() * 1000)
    (record,) = next(decode_batches(topic.fetch(0).records))
    assert record.timestamp_ms == answer.log_append_time_ms


@pytest.mark.parametrize(
    ("kind", "level", "same_as"),
    [
        ("gzip", "1", 1),
        ("gzip", "9", 9),
        ("lz4", "12", 12),
        ("lz4", "9", None),  # Kafka's default: the fast compressor
        ("zstd", "1", 1),
        ("zstd", "15", 15),
    ],
)
def test_compression_is_done_at_the_level_of_the_topic(
    create: Callable[..., Topic], kind: str, level: str, same_as: int | None
) -> None:
    value = b"".join(b"%d %d " % (number, number * number) for number in range(20_000))
    topic = create(compression_type=kind, **{f"compression_{kind}_level": level})
    assert topic.produce(batch(value)).error_code == 0
    stored = next(decode_batches(topic.fetch(0).records))
    assert stored.size == len(batch(value, compression=Compression[kind.upper()], level=same_as))


def test_old_timestamps_are_refused_where_the_topic_says_so(create: Callable[..., Topic]) -> None:
    topic = create(message_timestamp_before_max_ms="60000")
    now_ms = int(time.time() * 1000)
    records = [Record(b"key", b"value", now_ms), Record(b"key", b"value", now_ms - 3_600_000)]
    answer = topic.produce(encode_batch(records))
    assert answer.error_code == ErrorCode.INVALID_TIMESTAMP
    assert [error.batch_index for error in answer.record_errors] == [1]
    assert topic.produce(encode_batch(records[:1])).error_code == 0


def test_append_time_knows_no_bounds(create: Callable[..., Topic]) -> None:
    topic = create(message_timestamp_before_max_ms="1", message_timestamp_type="LogAppendTime")
    assert topic.produce(encode_batch([Record(b"key", b"value", 1)])).error_code == 0


def test_compression_of_the_topic_replaces_that_of_the_producer(
    create: Callable[..., Topic],
) -> None:
    topic = create(compression_type="lz4")
    assert topic.produce(batch(b"v" * 500)).error_code == 0
    assert next(decode_batches(topic.fetch(0).records)).compression == Compression.LZ4


def idempotent(sequence: int, epoch: int = 0, *, count: int = 1) -> bytes:
    return batch(
        *[b"value"] * count, producer_id=424242, producer_epoch=epoch, base_sequence=sequence
    )


def test_duplicates_gaps_and_fenced_epochs(create: Callable[..., Topic]) -> None:
    topic = create()
    assert [topic.produce(idempotent(at)).base_offset for at in range(7)] == list(range(7))
    repeated = topic.produce(idempotent(4))
    assert (repeated.error_code, repeated.base_offset) == (0, 4)
    assert topic.produce(idempotent(9)).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert topic.produce(idempotent(0)).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert topic.produce(idempotent(0, epoch=1)).base_offset == 7
    assert topic.produce(idempotent(7)).error_code == ErrorCode.INVALID_PRODUCER_EPOCH


def test_a_control_batch_of_a_client_is_refused(create: Callable[..., Topic]) -> None:
    topic = create()
    records = batch(b"value", control=True, producer_id=1, producer_epoch=0)
    assert topic.produce(records).error_code == ErrorCode.INVALID_RECORD


def test_transactional_records_need_a_transactional_id(create: Callable[..., Topic]) -> None:
    records = batch(b"value", transactional=True, producer_id=1, producer_epoch=0, base_sequence=0)
    answer = create().produce(records)
    assert answer.error_code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


# ---- fetch ----


@pytest.mark.parametrize("version", FETCH_VERSIONS)
def test_batches_are_read_in_every_version(create: Callable[..., Topic], version: int) -> None:
    topic = create()
    topic.produce(batch(b"a", b"b"))
    topic.produce(batch(b"c"))
    answer = topic.fetch(0, version)
    assert answer.error_code == 0
    assert answer.high_watermark == 3
    assert answer.last_stable_offset == 3
    assert base_offsets(answer.records) == [0, 2]
    assert answer.aborted_transactions is None


def test_an_offset_inside_a_batch_gets_the_whole_batch(create: Callable[..., Topic]) -> None:
    topic = create()
    topic.produce(batch(b"a", b"b", b"c"))
    assert base_offsets(topic.fetch(2).records) == [0]


@pytest.mark.parametrize("offset", [-1, 2])
def test_offsets_outside_the_log(create: Callable[..., Topic], offset: int) -> None:
    topic = create()
    topic.produce(batch(b"a"))
    answer = topic.fetch(offset, max_wait_ms=30000)
    assert answer.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert answer.high_watermark == -1
    assert not answer.records


def test_the_first_batch_is_given_whatever_its_size(create: Callable[..., Topic]) -> None:
    topic = create()
    for _ in range(3):
        topic.produce(batch(b"v" * 1000))
    assert base_offsets(topic.fetch(0, max_bytes=1).records) == [0]
    assert base_offsets(topic.fetch(1, partition_max_bytes=1).records) == [1]
    assert base_offsets(topic.fetch(0, partition_max_bytes=2500).records) == [0, 1]


def test_a_fetch_at_the_end_waits_for_the_next_batch(
    create: Callable[..., Topic], bootstrap: str
) -> None:
    topic = create()
    with RawClient(bootstrap) as consumer:
        consumer.send(topic.fetch_request(0, max_wait_ms=30000), 12)
        assert topic.produce(batch(b"value")).error_code == 0
        answer = consumer.receive().responses[0].partitions[0]
    assert base_offsets(answer.records) == [0]


def test_a_fetch_ends_with_its_time(create: Callable[..., Topic]) -> None:
    topic = create()
    answer = topic.fetch(0, max_wait_ms=20)
    assert answer.error_code == 0
    assert answer.high_watermark == 0
    assert not answer.records


def test_unknown_partitions_topics_and_ids_of_a_fetch(create: Callable[..., Topic]) -> None:
    topic = create()
    nowhere = Topic(topic.client, topic.name + "-nowhere", bytes(range(16)))
    assert topic.fetch(0, partition=7).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert nowhere.fetch(0).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert nowhere.fetch(0, 13).error_code == ErrorCode.UNKNOWN_TOPIC_ID
    no_id = Topic(topic.client, topic.name, ZERO_UUID)
    assert no_id.fetch(0, 13).error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_leader_epochs_are_compared(create: Callable[..., Topic]) -> None:
    topic = create()
    answer = topic.fetch(0, current_leader_epoch=1000)
    assert answer.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert topic.fetch(0, current_leader_epoch=0).error_code == 0


def test_a_log_that_has_diverged_is_told_where(create: Callable[..., Topic]) -> None:
    topic = create()
    topic.produce(batch(b"a", b"b"))
    answer = topic.fetch(5, last_fetched_epoch=0)
    assert answer.error_code == 0
    assert (answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset) == (0, 2)
    assert not answer.records


@pytest.mark.parametrize("version", [14, 15])
def test_an_unknown_replica_is_refused(create: Callable[..., Topic], version: int) -> None:
    topic = create()
    replica: dict[str, Any] = {"replica_id": 999}
    if version >= 15:
        replica = {"replica_state": ReplicaState(replica_id=999, replica_epoch=-1)}
    answer = topic.fetch(0, version, **replica)
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    answer = topic.fetch(0, version, current_leader_epoch=0, **replica)
    assert answer.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


# ---- sessions ----


@pytest.mark.parametrize("version", [7, 12, 13, 18])
def test_a_session_answers_what_has_changed(create: Callable[..., Topic], version: int) -> None:
    topic = create()
    client = topic.client
    opened = client.call(topic.fetch_request(0, version, session_epoch=NEW_SESSION), version)
    assert opened.session_id > 0
    assert len(opened.responses) == 1

    def follow(epoch: int, **options: Any) -> Any:
        request = FetchRequest(
            session_id=opened.session_id, session_epoch=epoch, max_bytes=1 << 20, **options
        )
        return client.call(request, version)

    assert follow(1).responses == []
    topic.produce(batch(b"value"))
    (changed,) = follow(2).responses
    assert base_offsets(changed.partitions[0].records) == [0]
    assert follow(2).error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    forgotten = ForgottenTopic(partitions=[0], **topic.named(version))
    emptied = follow(3, forgotten_topics_data=[forgotten])
    assert (emptied.error_code, emptied.session_id, emptied.responses) == (0, 0, [])
    assert follow(4).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_a_session_of_names_is_not_one_of_ids(create: Callable[..., Topic]) -> None:
    topic = create()
    opened = topic.client.call(topic.fetch_request(0, 12, session_epoch=NEW_SESSION), 12)
    request = FetchRequest(session_id=opened.session_id, session_epoch=1, max_bytes=1 << 20)
    assert topic.client.call(request, 13).error_code == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR


def test_an_unknown_session(client: RawClient) -> None:
    request = FetchRequest(session_id=987654, session_epoch=1, max_bytes=1 << 20)
    assert client.call(request, 12).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
