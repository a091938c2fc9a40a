"""Batches of the native codec and of Kafka's own record code, each read by the other."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from tests.wire.oracle import JARS, ROOT, missing_tool

from pylog.codec import Compression, Record, decode_batches, encode_batch

SOURCE = Path(__file__).parent / "java" / "Batches.java"
RECORDS = [
    Record(b"key", b"value", 1_700_000_000_000, [("trace", b"\x00\xff"), ("null", None)]),
    Record(None, b"x" * 70_000, 1_700_000_000_005),
    Record(b"", None, 1_699_999_999_000),
    Record(b"k" * 300, b"words and words " * 20_000, 1_700_000_000_001, [("empty", b"")]),
]


def run(mode: str, data: bytes = b"") -> bytes:
    tool = missing_tool()
    if tool is not None:
        pytest.skip(f"needs {tool}")
    subprocess.run([ROOT / "tools" / "fetch_jars.sh"], check=True)
    command = ["java", "-Xmx256m", "-cp", f"{JARS}/*", str(SOURCE), mode]
    return subprocess.run(command, input=data, check=True, stdout=subprocess.PIPE).stdout


def hex_of(data: bytes | None) -> str:
    return "null" if data is None else f"x{data.hex()}"


def line_of(record: Record, offset: int) -> str:
    headers = ",".join(f"{name}={hex_of(value)}" for name, value in record.headers)
    key, value = hex_of(record.key), hex_of(record.value)
    return f"{offset} {record.timestamp_ms} {key} {value} [{headers}]"


def test_kafka_reads_what_the_codec_builds() -> None:
    data, expected = b"", []
    for compression in Compression:
        for level in (None, 1, 9) if compression not in (0, 2) else (None,):
            data += encode_batch(
                RECORDS,
                compression=compression,
                level=level,
                base_offset=100,
                partition_leader_epoch=4,
                producer_id=2**40,
                producer_epoch=6,
                base_sequence=2**31 - 2,
                transactional=True,
            )
            name = compression.name.lower()
            expected.append(f"batch 100 103 4 {name} {2**40} 6 {2**31 - 2} true")
            expected += [line_of(record, 100 + i) for i, record in enumerate(RECORDS)]
    assert run("read", data).decode().splitlines() == expected


def kafkas_records(magic: int) -> list[Record]:
    return [
        Record(
            None if i == 1 else b"key%d" % i,
            None if i == 2 else b"some words " * (i * 500),
            -1 if magic == 0 else 1000 + i,
            [("n", None), ("h", b"\x01")] if magic == 2 and i == 3 else [],
            40 + i,
        )
        for i in range(5)
    ]


def test_the_codec_reads_what_kafka_builds() -> None:
    data = run("write")
    seen = []
    while data:
        magic, compression, size = struct.unpack_from(">iii", data)
        (batch,) = decode_batches(data[12 : 12 + size])
        assert batch.compression == compression
        assert list(batch) == kafkas_records(magic)
        if magic == 2:
            assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (7, 1, 9)
            assert batch.partition_leader_epoch == 3
        seen.append((magic, compression))
        data = data[12 + size :]
    assert len(seen) == 3 + 4 + 5
