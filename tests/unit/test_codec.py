"""The Python face of the codec: what it promises, and how it refuses."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pylog import codec
from pylog.codec import BatchBuilder, CodecError, Compression, Record, TransactionMarker

RECORDS = [Record(b"k%d" % i, b"v" * i, 1000 + i, [("h", b"x")] * (i % 3)) for i in range(50)]


def test_importing_the_codec_needs_no_heavy_module() -> None:
    code = "import sys, pylog.codec; print(*{'numpy', 'cffi', 'asyncio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_bytes_like_object_is_decoded(wrap: type) -> None:
    data = codec.encode_batch(RECORDS)
    (batch,) = codec.decode_batches(wrap(data))
    assert [record.value for record in batch] == [record.value for record in RECORDS]


def test_a_batch_cut_at_the_end_is_left_out() -> None:
    one = codec.encode_batch(RECORDS)
    for cut in range(len(one)):
        assert len(list(codec.decode_batches(one + one[:cut]))) == 1


def test_a_flipped_bit_is_named_with_its_batch() -> None:
    one = codec.encode_batch(RECORDS)
    broken = bytearray(one + one)
    broken[len(one) + 80] ^= 1
    batches = codec.decode_batches(broken)
    next(batches)
    with pytest.raises(CodecError, match=f"byte {len(one)}: wrong checksum"):
        next(batches)


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(CodecError, match="no record batch at byte 0"):
        next(codec.decode_batches(b"\xff" * 100))


def test_malformed_records_are_noticed_when_they_are_read() -> None:
    good = codec.encode_batch([Record(b"k", b"v", 1)])
    bad = bytearray(good)
    bad[-1] ^= 0x40  # the header count
    bad[17:21] = codec.crc32c(bad[21:]).to_bytes(4, "big")
    (batch,) = codec.decode_batches(bad)
    for read in (list, lambda b: b.columns()):
        with pytest.raises(CodecError, match="a record is malformed"):
            read(batch)


@pytest.mark.parametrize("compression", list(Compression)[1:])
def test_malformed_compression_is_noticed_when_records_are_read(compression: Compression) -> None:
    bad = bytearray(codec.encode_batch(RECORDS, compression=compression))
    bad[-20:] = bytes(20)
    bad[17:21] = codec.crc32c(bad[21:]).to_bytes(4, "big")
    (batch,) = codec.decode_batches(bad)
    with pytest.raises(CodecError):
        list(batch)


def test_a_builder_grows_and_builds_again() -> None:
    builder = BatchBuilder(Compression.ZSTD, base_offset=7)
    builder.append(b"a", None, 5)
    first = builder.build()
    size = builder.size
    builder.append(None, b"b", 6, [("h", None)])
    assert len(builder) == 2
    assert builder.size > size
    assert len(next(codec.decode_batches(first))) == 1
    assert list(next(codec.decode_batches(builder.build()))) == [
        Record(b"a", None, 5, offset=7),
        Record(None, b"b", 6, [("h", None)], offset=8),
    ]


@pytest.mark.parametrize(
    ("compression", "level"),
    [(Compression.GZIP, 0), (Compression.GZIP, 10), (Compression.LZ4, 18), (Compression.ZSTD, 23)],
)
def test_a_level_that_does_not_exist_is_refused(compression: Compression, level: int) -> None:
    with pytest.raises(CodecError, match="level"):
        codec.encode_batch(RECORDS, compression=compression, level=level)
    with pytest.raises(CodecError, match="level"):
        codec.compress(b"x", compression, level)


def test_a_higher_level_compresses_better() -> None:
    data = Path(__file__).read_bytes()
    for compression in (Compression.GZIP, Compression.LZ4, Compression.ZSTD):
        assert len(codec.compress(data, compression, 9)) < len(codec.compress(data, compression, 1))


def test_wrong_arguments_are_refused() -> None:
    builder = BatchBuilder()
    with pytest.raises(CodecError, match="a batch needs a record"):
        builder.build()
    with pytest.raises(TypeError):
        builder.append("text", b"v", 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        builder.append(b"k", b"v", 1, [("h", "text")])  # type: ignore[list-item]
    with pytest.raises(CodecError, match="compression type 5"):
        BatchBuilder(5)
    with pytest.raises(OverflowError):
        BatchBuilder(base_sequence=2**31)
    assert len(builder) == 0


def test_decompression_of_garbage_is_refused() -> None:
    for compression in list(Compression)[1:]:
        for garbage in (b"", b"\xff", b"garbage" * 10):
            with pytest.raises(CodecError):
                codec.decompress(garbage, compression)


@pytest.mark.parametrize("commit", [True, False])
def test_a_transaction_marker_reads_back(commit: bool) -> None:
    data = codec.encode_marker(TransactionMarker(commit, 12), 99, 3, 5000)
    (batch,) = codec.decode_batches(data)
    assert batch.transaction_marker == TransactionMarker(commit, 12)
    assert batch.is_control
    assert batch.is_transactional
    assert (batch.producer_id, batch.producer_epoch, batch.max_timestamp_ms) == (99, 3, 5000)
    (other,) = codec.decode_batches(codec.encode_batch(RECORDS))
    assert other.transaction_marker is None


def test_records_are_values() -> None:
    record = Record(b"k", None, 5, [("h", None)], offset=3)
    assert pickle.loads(pickle.dumps(record)) == record
    assert record in {record}
    assert record != Record(b"k", b"", 5, [("h", None)], offset=3)
    assert "offset=3" in repr(record)
    with pytest.raises(AttributeError):
        record.key = b"other"  # type: ignore[misc]


def test_keys_meet_the_partitions_of_other_clients() -> None:
    # values of Kafka's own test of its partitioner, as unsigned numbers
    assert codec.murmur2(b"21") == -973932308 & 0xFFFFFFFF
    assert codec.murmur2(b"foobar") == -790332482 & 0xFFFFFFFF
    assert codec.murmur2(b"abc") == 479470107


def test_threads_share_the_codec() -> None:
    data = {c: codec.encode_batch(RECORDS * 40, compression=c) for c in Compression}

    def work(seed: int) -> bool:
        compression = Compression(seed % 5)
        (batch,) = codec.decode_batches(data[compression])
        return codec.encode_batch(batch, compression=compression) == data[compression]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(100)))
