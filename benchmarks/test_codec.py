"""The codec beside what a Python program would use instead: kafka-python, aiokafka, crc32c.

    make bench

Bytes per second are in ``extra_info`` of its JSON; ``memcpy`` is what the memory of this machine
gives.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.conftest import NoteRate
from pylog import codec
from pylog.codec import Compression

KEY, VALUE, TIME = (
    b"key-000000000042",
    b"some words that compress, a little; " * 3,
    1_700_000_000_000,
)
COUNTS = pytest.mark.parametrize("count", [1, 10, 100, 1000, 10_000])
COMPRESSIONS = pytest.mark.parametrize("compression", Compression, ids=lambda c: c.name)
SIZES = pytest.mark.parametrize("size", [100, 1024, 4096, 65_536, 8 << 20])


def pylog_build(count: int, compression: Compression) -> bytes:
    builder = codec.BatchBuilder(compression)
    for _ in range(count):
        builder.append(KEY, VALUE, TIME)
    return builder.build()


def pylog_read(data: bytes) -> int:
    return sum(1 for batch in codec.decode_batches(data) for _ in batch)


def client_build(module: Any) -> Callable[[int, Compression], bytes]:
    def build(count: int, compression: Compression) -> bytes:
        builder = module.DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1 << 30)
        for i in range(count):
            builder.append(i, TIME, KEY, VALUE, [])
        return bytes(builder.build())

    return build


def client_read(module: Any) -> Callable[[bytes], int]:
    def read(data: bytes) -> int:
        batch = module.DefaultRecordBatch(data)
        assert batch.validate_crc()
        return sum(1 for _ in batch)

    return read


def client_module(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of kafka-python's import
        return pytest.importorskip(f"{name}.record.default_records")


LIBRARIES = pytest.mark.parametrize("library", ["pylog", "kafka", "aiokafka"])


@LIBRARIES
@COUNTS
@pytest.mark.benchmark(group="build a batch, by records")
def test_build_by_records(
    benchmark: BenchmarkFixture, note_rate: NoteRate, library: str, count: int
) -> None:
    build = pylog_build if library == "pylog" else client_build(client_module(library))
    data = benchmark(build, count, Compression.NONE)
    note_rate(len(data))


@LIBRARIES
@COUNTS
@pytest.mark.benchmark(group="read a batch, by records")
def test_read_by_records(
    benchmark: BenchmarkFixture, note_rate: NoteRate, library: str, count: int
) -> None:
    data = pylog_build(count, Compression.NONE)
    read = pylog_read if library == "pylog" else client_read(client_module(library))
    assert benchmark(read, data) == count
    note_rate(len(data))


@LIBRARIES
@COMPRESSIONS
@pytest.mark.benchmark(group="build a batch of 1000, by compression")
def test_build_by_compression(
    benchmark: BenchmarkFixture, note_rate: NoteRate, library: str, compression: Compression
) -> None:
    build = pylog_build if library == "pylog" else client_build(client_module(library))
    benchmark(build, 1000, compression)
    note_rate(1000 * (len(KEY) + len(VALUE)))


@LIBRARIES
@COMPRESSIONS
@pytest.mark.benchmark(group="read a batch of 1000, by compression")
def test_read_by_compression(
    benchmark: BenchmarkFixture, note_rate: NoteRate, library: str, compression: Compression
) -> None:
    data = pylog_build(1000, compression)
    read = pylog_read if library == "pylog" else client_read(client_module(library))
    assert benchmark(read, data) == 1000
    note_rate(1000 * (len(KEY) + len(VALUE)))


@COUNTS
@pytest.mark.benchmark(group="read a batch as columns, by records")
def test_columns_by_records(benchmark: BenchmarkFixture, note_rate: NoteRate, count: int) -> None:
    data = pylog_build(count, Compression.NONE)

    def read() -> int:
        return sum(len(batch.columns().offsets) for batch in codec.decode_batches(data))

    assert benchmark(read) == count
    note_rate(len(data))


@SIZES
@pytest.mark.parametrize("library", ["pylog", "crc32c", "memcpy"])
@pytest.mark.benchmark(group="CRC-32C, by size")
def test_checksum(
    benchmark: BenchmarkFixture, note_rate: NoteRate, library: str, size: int
) -> None:
    data = bytes(size)
    ways: dict[str, Callable[[bytes], object]] = {"pylog": codec.crc32c, "memcpy": bytearray}
    if library == "crc32c":
        ways["crc32c"] = pytest.importorskip("crc32c").crc32c
    benchmark(ways[library], data)
    note_rate(size)
