"""Batches, checksums and compression by the native codec and by plain Python, both ways."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle import record_batch as oracle
from tests.oracle.record_batch import OracleBatch, OracleRecord

from pylog import codec
from pylog.codec import Compression, Record

pytest.importorskip("numpy")

TIMES = st.integers(-1, 2**53)
OPTIONAL = st.none() | st.binary(max_size=200)
HEADERS = st.lists(st.tuples(st.text(max_size=12), OPTIONAL), max_size=4).map(tuple)
RECORDS = st.lists(
    st.builds(Record, key=OPTIONAL, value=OPTIONAL, timestamp_ms=TIMES, headers=HEADERS),
    min_size=1,
    max_size=20,
)
COMPRESSIONS = st.sampled_from(Compression)


def oracle_records(records: list[Record]) -> tuple[OracleRecord, ...]:
    base = records[0].timestamp_ms
    return tuple(
        OracleRecord(i, r.timestamp_ms - base, r.key, r.value, r.headers)
        for i, r in enumerate(records)
    )


@given(
    records=RECORDS,
    compression=COMPRESSIONS,
    base_offset=st.integers(0, 2**62),
    leader_epoch=st.integers(-1, 2**31 - 1),
    producer=st.tuples(
        st.integers(0, 2**63 - 1), st.integers(0, 2**15 - 1), st.integers(0, 2**31 - 1)
    ),
    transactional=st.booleans(),
)
def test_the_oracle_reads_what_the_codec_builds(
    records: list[Record],
    compression: Compression,
    base_offset: int,
    leader_epoch: int,
    producer: tuple[int, int, int],
    transactional: bool,
) -> None:
    producer_id, producer_epoch, base_sequence = producer
    data = codec.encode_batch(
        records,
        compression=compression,
        base_offset=base_offset,
        partition_leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        transactional=transactional,
    )
    got = oracle.decode(data)
    assert got.crc_is_right
    assert got == OracleBatch(
        oracle_records(records),
        base_offset=base_offset,
        partition_leader_epoch=leader_epoch,
        attributes=compression | (0x10 if transactional else 0),
        last_offset_delta=len(records) - 1,
        base_timestamp=records[0].timestamp_ms,
        max_timestamp=max(r.timestamp_ms for r in records),
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
    )


@st.composite
def compacted_batches(draw: st.DrawFn) -> OracleBatch:
    """With gaps between the offsets, and any header that a log may hold."""
    deltas = sorted(draw(st.sets(st.integers(0, 10_000), min_size=1, max_size=10)))
    base_time = draw(TIMES)
    records = tuple(
        OracleRecord(delta, draw(TIMES) - base_time, draw(OPTIONAL), draw(OPTIONAL), draw(HEADERS))
        for delta in deltas
    )
    append_time = draw(st.booleans())
    return OracleBatch(
        records,
        base_offset=draw(st.integers(0, 2**62)),
        partition_leader_epoch=draw(st.integers(-1, 2**31 - 1)),
        attributes=draw(COMPRESSIONS) | (0x08 if append_time else 0),
        last_offset_delta=deltas[-1] + draw(st.integers(0, 5)),
        base_timestamp=base_time,
        max_timestamp=draw(TIMES),
        producer_id=draw(st.integers(-1, 2**40)),
        producer_epoch=draw(st.integers(-1, 2**15 - 1)),
        base_sequence=draw(st.integers(-1, 2**31 - 1)),
    )


def expected_records(batch: OracleBatch) -> list[Record]:
    append_time = batch.attributes & 0x08
    return [
        Record(
            offset=batch.base_offset + r.offset_delta,
            timestamp_ms=(
                batch.max_timestamp if append_time else batch.base_timestamp + r.timestamp_delta
            ),
            key=r.key,
            value=r.value,
            headers=r.headers,
        )
        for r in batch.records
    ]


@given(st.lists(compacted_batches(), max_size=3))
def test_the_codec_reads_what_the_oracle_builds(batches: list[OracleBatch]) -> None:
    data = b"".join(map(oracle.encode, batches))
    decoded = list(codec.decode_batches(data))
    assert [list(batch) for batch in decoded] == [expected_records(b) for b in batches]
    assert b"".join(map(bytes, decoded)) == data
    for got, batch in zip(decoded, batches, strict=True):
        assert got.base_offset == batch.base_offset
        assert got.last_offset == batch.base_offset + batch.last_offset_delta
        assert got.partition_leader_epoch == batch.partition_leader_epoch
        assert got.attributes == batch.attributes
        assert got.compression == batch.attributes & 7
        assert got.base_timestamp_ms == batch.base_timestamp
        assert got.max_timestamp_ms == batch.max_timestamp
        assert got.producer_id == batch.producer_id
        assert got.producer_epoch == batch.producer_epoch
        assert got.base_sequence == batch.base_sequence


@given(compacted_batches())
def test_columns_hold_the_same_records(batch: OracleBatch) -> None:
    (decoded,) = codec.decode_batches(oracle.encode(batch))
    columns = decoded.columns()
    records = expected_records(batch)
    assert columns.offsets.tolist() == [r.offset for r in records]
    assert columns.timestamps_ms.tolist() == [r.timestamp_ms for r in records]
    for column, values in (
        (columns.keys, [r.key for r in records]),
        (columns.values, [r.value for r in records]),
    ):
        got = [
            None if null else column.data[start:end].tobytes()
            for null, (start, end) in zip(
                column.nulls, pairwise(column.positions.tolist()), strict=True
            )
        ]
        assert got == values


@given(st.binary(max_size=1500), st.integers(0, 1500))
def test_the_checksum_is_the_oracles_in_one_piece_and_in_two(data: bytes, at: int) -> None:
    expected = oracle.crc32c(data)
    assert codec.crc32c(data) == expected
    assert codec.crc32c(data[at:], codec.crc32c(data[:at])) == expected


@given(COMPRESSIONS, st.binary(max_size=300), st.integers(1, 500))
def test_other_libraries_read_and_write_the_same_compression(
    compression: Compression, data: bytes, times: int
) -> None:
    plain = data * times
    assert oracle.decompress(compression, codec.compress(plain, compression)) == plain
    assert codec.decompress(oracle.compress(compression, plain), compression) == plain
