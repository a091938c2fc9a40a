"""Every client writes what it can write and reads back exactly that."""

from __future__ import annotations

import gzip
from collections import defaultdict
from pathlib import Path

import pytest
from tests.clients.client import Client, ClientError, Record
from tests.clients.kinds import ROOT, Kind, kinds, kinds_and_compressions
from tests.clients.samples import NOON_MS, sample_records

MESSAGE_TOO_LARGE = {10, 18}  # MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE
ACTIVITY = ROOT.parent / "shared" / "data" / "web_activity.log.gz"


def sent_and_read(sent: list[Record], read: list[Record]) -> None:
    """Asserts that `read` is `sent`; a record sent without a timestamp may have any."""
    assert len(read) == len(sent)
    for wrote, found in zip(sent, read, strict=True):
        assert found == wrote if wrote.timestamp else found.without_timestamp() == wrote


@kinds_and_compressions()
def test_records_come_back_as_they_were_sent(
    client: Client, kind: Kind, compression: str, topic: str
) -> None:
    sent = sample_records(kind)
    acknowledged = client.produce(topic, sent, compression=compression)
    assert acknowledged == [(0, offset) for offset in range(len(sent))]
    sent_and_read(sent, client.read(topic, len(sent)))


@kinds()
def test_a_record_of_a_megabyte_fits(client: Client, topic: str) -> None:
    value = bytes(range(256)) * 3_900
    client.produce(topic, [Record(value), Record(b"after")])
    assert [record.value for record in client.read(topic, 2)] == [value, b"after"]


@kinds("create_topic")
def test_a_record_above_the_limit_of_its_topic_is_refused(client: Client, unique: str) -> None:
    client.admin("create_topic", topic=unique, configs={"max.message.bytes": "2000"})
    with pytest.raises(ClientError) as refused:
        client.produce(unique, [Record(b"x" * 5_000)])
    assert refused.value.code in MESSAGE_TOO_LARGE
    client.produce(unique, [Record(b"small")])
    assert client.read(unique, 1) == [
        Record(b"small", timestamp=client.read(unique, 1)[0].timestamp)
    ]


@kinds_and_compressions()
def test_batches_by_the_thousand_keep_their_order(
    client: Client, kind: Kind, compression: str, wide_topic: str
) -> None:
    sent = [Record(b"%06d" % n, partition=n % 4) for n in range(8_000)]
    config = {"compression": compression, "idempotent": "idempotent" in kind.can}
    client.produce(wide_topic, sent, batch_bytes=4_096, **config)
    read = client.read(wide_topic, len(sent), dict.fromkeys(range(4), "earliest"))
    values = defaultdict(list)
    for record in read:
        values[record.partition].append(record.value)
    for partition in range(4):
        assert values[partition] == [b"%06d" % n for n in range(partition, 8_000, 4)]


@kinds("acks")
@pytest.mark.parametrize("acks", [0, 1, -1])
def test_every_kind_of_acknowledgement_stores_the_record(
    client: Client, acks: int, topic: str
) -> None:
    with client.producer(acks=acks) as producer:
        producer.send(topic, [Record(b"one"), Record(b"two")])
        assert [record.value for record in client.read(topic, 2)] == [b"one", b"two"]


@kinds("idempotent")
def test_an_idempotent_producer_stores_each_record_once(client: Client, topic: str) -> None:
    with client.producer(idempotent=True, batch_bytes=2_048) as producer:
        for start in range(0, 900, 300):
            producer.send(topic, [Record(b"%d" % n) for n in range(start, start + 300)])
    read = client.read(topic, 900)
    assert [record.value for record in read] == [b"%d" % n for n in range(900)]
    assert client.offset(topic, "latest") == 900


@kinds()
def test_a_topic_that_is_missing_is_created_by_the_first_record(
    client: Client, unique: str
) -> None:
    client.produce(unique, [Record(b"first")])
    assert [record.value for record in client.read(unique, 1)] == [b"first"]


@kinds()
def test_two_producers_append_to_one_partition(client: Client, topic: str) -> None:
    with client.producer() as one, client.producer() as other:
        for n in range(5):
            one.send(topic, [Record(b"one-%d" % n)])
            other.send(topic, [Record(b"other-%d" % n)])
    expected = [b"%s-%d" % (name, n) for n in range(5) for name in (b"one", b"other")]
    assert [record.value for record in client.read(topic, 10)] == expected


@kinds()
def test_a_reader_waits_for_records_to_come(client: Client, topic: str) -> None:
    with client.reader(topic, {0: "latest"}) as reader, client.producer() as producer:
        assert reader.read(1, timeout_ms=500) == []
        producer.send(topic, [Record(b"new", timestamp=None)])
        assert [record.value for record in reader.read(1)] == [b"new"]


@pytest.mark.skipif(
    not ACTIVITY.exists(), reason="the recorded web log is not beside this checkout"
)
@kinds()
def test_a_web_log_keeps_the_order_of_each_visitor(client: Client, wide_topic: str) -> None:
    lines = Path(ACTIVITY).read_bytes()
    views = [line.rstrip(b"\n") for line in gzip.decompress(lines).splitlines()]
    sent = [Record(view, key=view.split(b" ", 1)[0], partition=None) for view in views]
    client.produce(wide_topic, sent, compression=client.kind.compressions[-1])
    read = client.read(wide_topic, len(sent), dict.fromkeys(range(4), "earliest"))
    assert by_visitor(read) == by_visitor(sent)
    places = {(record.key, record.partition) for record in read}
    assert len(places) == len({key for key, _ in places})


def by_visitor(records: list[Record]) -> dict[bytes | None, list[bytes | None]]:
    views = defaultdict(list)
    for record in records:
        views[record.key].append(record.value)
    return dict(views)


def test_the_sample_has_the_hard_cases() -> None:
    values = {record.value for record in sample_records(None)}
    assert {None, b""} <= values
    assert any(record.timestamp == NOON_MS for record in sample_records(None))
