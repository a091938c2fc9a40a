"""Writes the seeds of the codec's fuzz targets to src/native/test/corpus.

    python tools/fuzz_corpus.py

Small valid inputs, made by the codec itself: from them a fuzzer finds the way into compression
and records that it would hardly find from nothing. Inputs that once broke something are kept
beside them, named after what they broke.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from pylog.codec import (
    Compression,
    Record,
    TransactionMarker,
    compress,
    encode_batch,
    encode_marker,
)

CORPUS = Path(__file__).resolve().parents[1] / "src" / "native" / "test" / "corpus"
RECORDS = [
    Record(b"key", b"value value value value", 1000, [("h", b"1"), ("n", None)]),
    Record(None, None, 1001),
    Record(b"", b"x" * 40, 999),
]


def message(offset: int, magic: int, attributes: int, key: bytes | None, value: bytes) -> bytes:
    body = struct.pack(">bb", magic, attributes)
    body += struct.pack(">q", 1000 + offset) if magic == 1 else b""
    for part in (key, value):
        body += struct.pack(">i", -1) if part is None else struct.pack(">i", len(part)) + part
    return struct.pack(">qiI", offset, len(body) + 4, zlib.crc32(body)) + body


def message_set(magic: int, compression: Compression) -> bytes:
    first = 0 if magic == 1 else 50
    plain = message(first, magic, 0, b"k", b"v") + message(first + 1, magic, 0, None, b"w" * 30)
    if compression == Compression.NONE:
        return plain
    return message(51, magic, compression, None, compress(plain, compression))


def seeds() -> dict[str, bytes]:
    found = {"fuzz_record_batch/marker": encode_marker(TransactionMarker(True, 7), 5, 1, 1000)}
    for compression in Compression:
        name = compression.name.lower()
        found[f"fuzz_record_batch/{name}"] = encode_batch(RECORDS, compression=compression)
        packed = compress(b"some words, some words, some words", compression)
        found[f"fuzz_decompress/{name}"] = bytes([compression]) + packed
        if compression <= Compression.LZ4:
            for magic in (0, 1):
                found[f"fuzz_message_set/magic{magic}_{name}"] = message_set(magic, compression)
    return found


def main() -> None:
    for name, data in seeds().items():
        path = CORPUS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
