"""Every client finds a place in a partition: its ends, a time, an offset inside a batch."""

from __future__ import annotations

import pytest
from tests.clients.client import Client, ClientError, Record
from tests.clients.kinds import kinds
from tests.clients.samples import NOON_MS

OFFSET_OUT_OF_RANGE = 1


def hundred(start_ms: int | None = None) -> list[Record]:
    """A hundred records, ten milliseconds apart from `start_ms` on."""
    return [
        Record(b"%d" % n, timestamp=None if start_ms is None else start_ms + 10 * n)
        for n in range(100)
    ]


@kinds("offset")
def test_an_empty_partition_begins_and_ends_at_zero(client: Client, topic: str) -> None:
    assert client.offset(topic, "earliest") == 0
    assert client.offset(topic, "latest") == 0
    assert client.offset(topic, NOON_MS) is None


@kinds("offset")
def test_the_ends_of_a_partition_follow_its_records(client: Client, topic: str) -> None:
    client.produce(topic, hundred())
    assert client.offset(topic, "earliest") == 0
    assert client.offset(topic, "latest") == 100


@kinds("offset", "timestamp")
@pytest.mark.parametrize(
    ("after_ms", "offset"),
    [(-1, 0), (0, 0), (1, 1), (495, 50), (500, 50), (990, 99), (991, None)],
)
def test_a_time_finds_the_first_record_at_or_after_it(
    client: Client, topic: str, after_ms: int, offset: int | None
) -> None:
    client.produce(topic, hundred(NOON_MS))
    assert client.offset(topic, NOON_MS + after_ms) == offset


@kinds("offset", "timestamp")
def test_a_time_is_found_across_batches_whose_times_go_back(client: Client, topic: str) -> None:
    for start_ms in (NOON_MS + 5_000, NOON_MS, NOON_MS + 9_000):
        client.produce(topic, hundred(start_ms))
    assert client.offset(topic, NOON_MS) == 0
    assert client.offset(topic, NOON_MS + 5_500) == 50
    assert client.offset(topic, NOON_MS + 9_100) == 210


@kinds("seek")
def test_a_reader_begins_inside_a_batch(client: Client, topic: str) -> None:
    client.produce(topic, hundred(), compression=client.kind.compressions[-1])
    read = client.read(topic, 100 - 37, {0: 37})
    assert [(r.offset, r.value) for r in read] == [(n, b"%d" % n) for n in range(37, 100)]


@kinds("seek")
def test_a_reader_seeks_back_and_forth(client: Client, topic: str) -> None:
    client.produce(topic, hundred())
    with client.reader(topic) as reader:
        for offset in (0, 90, 15, 99, 42):
            reader.seek(offset)
            assert reader.read(1)[0].offset == offset


@kinds()
def test_a_reader_at_the_end_sees_only_what_comes_later(client: Client, topic: str) -> None:
    client.produce(topic, hundred())
    with client.reader(topic, {0: "latest"}) as reader:
        assert reader.read(1, timeout_ms=300) == []
        client.produce(topic, [Record(b"later")])
        assert [record.value for record in reader.read(1)] == [b"later"]


@kinds("seek")
def test_a_reader_past_the_end_starts_again_where_its_reset_says(
    client: Client, topic: str
) -> None:
    client.produce(topic, hundred())
    with client.reader(topic, {0: 5_000}, reset="earliest") as reader:
        assert reader.read(1)[0].offset == 0


@kinds("delete_records")
def test_records_that_were_deleted_are_no_longer_read(client: Client, topic: str) -> None:
    client.produce(topic, hundred())
    client.admin("delete_records", topic=topic, partition=0, before=60)
    assert client.offset(topic, "earliest") == 60
    assert [record.offset for record in client.read(topic, 40)] == list(range(60, 100))


@kinds("delete_records")
def test_records_beyond_the_end_cannot_be_deleted(client: Client, topic: str) -> None:
    client.produce(topic, hundred())
    with pytest.raises(ClientError) as refused:
        client.admin("delete_records", topic=topic, partition=0, before=101)
    assert refused.value.code == OFFSET_OUT_OF_RANGE
    assert client.offset(topic, "earliest") == 0
