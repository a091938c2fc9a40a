"""Writes the seeds of the fuzz targets to src/native/test/corpus.

    python tools/fuzz_corpus.py

Small valid inputs, made by the code itself: from them a fuzzer finds the way into compression,
records and requests that it would hardly find from nothing. Inputs that once broke something are
kept beside them, named after what they broke.
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
    crc32c,
    encode_batch,
    encode_marker,
)
from pylog.protocol.api_keys import API_KEYS, encode_request
from pylog.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pylog.protocol.messages.metadata import MetadataRequest
from pylog.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)

CORPUS = Path(__file__).resolve().parents[1] / "src" / "native" / "test" / "corpus"
TOPIC_ID = b"t".ljust(16, b"\0")
HEADER_BYTES = 2 + 2 + 4 + 2 + 1  # key, version, correlation id, client id "c"
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


def request_seeds() -> dict[str, bytes]:
    """Produce and Fetch as the targets want them: a byte for the version, then the body."""
    records = encode_batch(RECORDS)
    data = [PartitionProduceData(index=0, records=records)]
    topics = [TopicProduceData(name="t", topic_id=TOPIC_ID, partition_data=data)]
    produce = ProduceRequest(acks=-1, timeout_ms=100, topic_data=topics)
    partition = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)
    wanted = [FetchTopic(topic="t", topic_id=TOPIC_ID, partitions=[partition])]
    fetch = FetchRequest(max_wait_ms=0, min_bytes=1, max_bytes=1000, topics=wanted)
    found = {}
    for name, key, request, first in (("produce", 0, produce, 0), ("fetch", 1, fetch, 4)):
        oldest, newest = type(request).VERSIONS
        for version in range(oldest, newest + 1):
            frame = encode_request(key, version, 7, "c", request)
            flexible = API_KEYS[key].is_flexible(version)
            body = frame[HEADER_BYTES + flexible :]
            found[f"fuzz_{name}/v{version}"] = bytes([version - first]) + body
            found[f"fuzz_requests/{name}_v{version}"] = bytes([key | version << 1]) + body
    metadata = encode_request(3, API_KEYS[3].max_version, 7, "c", MetadataRequest(topics=[]))
    found["fuzz_frame/metadata"] = metadata
    return found


def file_seeds() -> dict[str, bytes]:
    """Files of a log: for its recovery, for its state, and beside a sound log."""
    log = encode_batch(RECORDS) + encode_batch(RECORDS, base_offset=3, compression=Compression.LZ4)
    index = struct.pack(">II", 2, 0)
    times = struct.pack(">qI", 1001, 1)
    files = log + index + times
    ends = [255 * len(log) // len(files) + 1, 255 * len(index) // len(index + times) + 1]
    producer = struct.pack(">qhiqiqiq", 1, 0, 5, 20, 0, 1000, -1, -1)
    body = struct.pack(">i", 1) + producer
    snapshot = struct.pack(">hI", 1, crc32c(body)) + body
    epochs = b"0\n2\n0 0\n3 12\n"
    transactions = struct.pack(">hqqqq", 0, 2, 5, 6, 7)
    found = {
        "fuzz_log_recovery/whole": bytes([1, *ends]) + files,
        "fuzz_log_recovery/scanned": bytes([0, *ends]) + files,
        "fuzz_log_state/snapshot": snapshot,
        "fuzz_log_state/epochs": epochs,
        "fuzz_log_state/name": b"00000000000000000012.timeindex.deleted",
    }
    for name, data in (
        ("offsets", index), ("times", times), ("transactions", transactions),
        ("snapshot", snapshot), ("epochs", epochs),
    ):  # fmt: skip
        for number in range(0, 40, 4):
            found[f"fuzz_log_indexes/{name}_{number}"] = bytes([number, 1]) + data
    return found


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
    for name, data in (seeds() | request_seeds() | file_seeds()).items():
        path = CORPUS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
