"""Record batches of magic 2 in plain Python: what the native codec is tested against.

Written from the description of the format alone, slow and short. Compression is done by other
libraries than those that the native codec links.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import cramjam

HEADER = struct.Struct(">qiibIhiqqqhii")
CRC_COVERS_FROM = 21
SNAPPY_MAGIC = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
SNAPPY_BLOCK = 32 * 1024


@dataclass(frozen=True)
class OracleRecord:
    offset_delta: int
    timestamp_delta: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True)
class OracleBatch:
    records: tuple[OracleRecord, ...]
    base_offset: int = 0
    partition_leader_epoch: int = -1
    attributes: int = 0
    last_offset_delta: int = 0
    base_timestamp: int = -1
    max_timestamp: int = -1
    producer_id: int = -1
    producer_epoch: int = -1
    base_sequence: int = -1
    crc_is_right: bool = field(default=True, compare=False)


def crc32c(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


# ---- varints ----


def varint(value: int) -> bytes:
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def take(self, size: int) -> bytes:
        assert 0 <= size <= len(self.data) - self.position
        self.position += size
        return self.data[self.position - size : self.position]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value >> 1 if value & 1 == 0 else -(value >> 1) - 1

    def nullable(self) -> bytes | None:
        size = self.varint()
        return None if size == -1 else self.take(size)


# ---- records ----


def nullable(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def encode_record(record: OracleRecord) -> bytes:
    body = b"\0" + varint(record.timestamp_delta) + varint(record.offset_delta)
    body += nullable(record.key) + nullable(record.value) + varint(len(record.headers))
    for name, value in record.headers:
        body += nullable(name.encode()) + nullable(value)
    return varint(len(body)) + body


def decode_record(reader: Reader) -> OracleRecord:
    inner = Reader(reader.take(reader.varint()))
    inner.take(1)
    timestamp_delta, offset_delta = inner.varint(), inner.varint()
    key, value = inner.nullable(), inner.nullable()
    headers = []
    for _ in range(inner.varint()):
        name = inner.take(inner.varint()).decode()
        headers.append((name, inner.nullable()))
    assert inner.position == len(inner.data)
    return OracleRecord(offset_delta, timestamp_delta, key, value, tuple(headers))


# ---- compression ----


def compress(kind: int, data: bytes) -> bytes:
    if kind == 1:
        return gzip.compress(data)
    if kind == 2:
        blocks = [data[i : i + SNAPPY_BLOCK] for i in range(0, len(data), SNAPPY_BLOCK)]
        packed = [bytes(cramjam.snappy.compress_raw(block)) for block in blocks]
        return SNAPPY_MAGIC + b"".join(struct.pack(">i", len(p)) + p for p in packed)
    if kind == 3:
        return bytes(cramjam.lz4.compress(data))
    return bytes(cramjam.zstd.compress(data)) if kind == 4 else data


def decompress(kind: int, data: bytes) -> bytes:
    if kind == 1:
        return gzip.decompress(data)
    if kind == 2:
        assert data.startswith(SNAPPY_MAGIC)
        return b"".join(snappy_blocks(Reader(data[len(SNAPPY_MAGIC) :])))
    if kind == 3:
        return bytes(cramjam.lz4.decompress(data))
    return bytes(cramjam.zstd.decompress(data)) if kind == 4 else data


def snappy_blocks(reader: Reader) -> Iterator[bytes]:
    while reader.position < len(reader.data):
        (size,) = struct.unpack(">i", reader.take(4))
        yield bytes(cramjam.snappy.decompress_raw(reader.take(size)))


# ---- batches ----


def encode(batch: OracleBatch) -> bytes:
    plain = b"".join(map(encode_record, batch.records))
    body = compress(batch.attributes & 7, plain)
    covered = struct.pack(
        ">hiqqqhii",
        batch.attributes,
        batch.last_offset_delta,
        batch.base_timestamp,
        batch.max_timestamp,
        batch.producer_id,
        batch.producer_epoch,
        batch.base_sequence,
        len(batch.records),
    )
    covered += body
    head = struct.pack(
        ">qiibI",
        batch.base_offset,
        len(covered) + CRC_COVERS_FROM - 12,
        batch.partition_leader_epoch,
        2,
        crc32c(covered),
    )
    return head + covered


def decode(data: bytes) -> OracleBatch:
    (offset, length, leader_epoch, magic, crc, attributes, last_delta, base_time, max_time,
     producer_id, producer_epoch, sequence, count) = HEADER.unpack_from(data)  # fmt: skip
    assert magic == 2
    assert length == len(data) - 12
    reader = Reader(decompress(attributes & 7, data[HEADER.size :]))
    records = tuple(decode_record(reader) for _ in range(count))
    assert reader.position == len(reader.data)
    return OracleBatch(
        records,
        base_offset=offset,
        partition_leader_epoch=leader_epoch,
        attributes=attributes,
        last_offset_delta=last_delta,
        base_timestamp=base_time,
        max_timestamp=max_time,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=sequence,
        crc_is_right=crc == crc32c(data[CRC_COVERS_FROM:]),
    )
