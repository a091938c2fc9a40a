"""Partitions and their records: produce, fetch, look up, delete, and who has produced."""

from __future__ import annotations

import struct
from typing import Any

from crc32c import crc32c
from tests.compare.dialogue import Dialogue

from pylog.codec import Compression, Record, encode_batch

TIME_MS = 1_700_000_000_000
ID_NOBODY_HAS = bytes(range(16))


def batch(*values: str, key: bytes | None = b"k", time_ms: int = TIME_MS, **options: Any) -> bytes:
    records = [Record(key, value.encode(), time_ms + i) for i, value in enumerate(values or ["v"])]
    return encode_batch(records, **options)


def produce(
    d: Dialogue,
    title: str,
    records: bytes | None,
    topic: str = "plain",
    index: int = 0,
    **fields: Any,
) -> Any:
    version = fields.pop("version", 12)
    data = {"partition_data": [{"index": index, "records": records}]}
    data |= {"topic_id": fields.pop("topic_id")} if "topic_id" in fields else {"name": topic}
    fields = {"acks": -1, "timeout_ms": 10_000, "topic_data": [data]} | fields
    hidden = ("log_start_offset", "base_offset") if topic == "damaged" else ("log_start_offset",)
    return d.ask(f"produce {title}", "Produce", version, hidden=hidden, **fields)


def play(d: Dialogue) -> None:
    _make(d)
    _produce(d)
    _damaged(d)
    _idempotent(d)
    _settings(d)
    _fetch(d)
    _list_offsets(d)
    _epochs(d)
    _producers(d)
    _delete_records(d)
    _folders(d)


def _make(d: Dialogue) -> None:
    settings: dict[str, dict[str, str]] = {
        "plain": {},
        "compacted": {"cleanup.policy": "compact"},
        "both": {"cleanup.policy": "compact,delete"},
        "small": {"max.message.bytes": "200"},
        "timed": {
            "message.timestamp.before.max.ms": "3600000",
            "message.timestamp.after.max.ms": "3600000",
            "retention.ms": "-1",
        },
        "stamped": {"message.timestamp.type": "LogAppendTime"},
        "safe": {"min.insync.replicas": "2"},
        "zipped": {"compression.type": "gzip"},
        "times": {"retention.ms": "-1"},
        "damaged": {},
    }
    for name, configs in settings.items():
        rows = [{"name": key, "value": value} for key, value in configs.items()]
        row = {"name": name, "num_partitions": 2, "replication_factor": 1, "configs": rows}
        d.ask(f"make {name}", "CreateTopics", 7, hidden=("configs",), topics=[row], timeout_ms=9000)


def _produce(d: Dialogue) -> None:
    for version in range(3, 13):
        produce(d, f"v{version}", batch(), version=version, index=1)
    topic_id = d.try_to_ask("Metadata", 12, topics=[{"name": "plain"}]).topics[0].topic_id
    produce(d, "v13", batch(), version=13, topic_id=topic_id, index=1)
    produce(d, "to an unknown id", batch(), version=13, topic_id=ID_NOBODY_HAS)
    produce(d, "to no id", batch(), version=13, topic_id=bytes(16))
    produce(d, "to an unknown topic", batch(), "nobody")
    produce(d, "to an empty topic name", batch(), "")
    produce(d, "to a wrong topic name", batch(), "a b")
    produce(d, "to an unknown partition", batch(), index=9)
    produce(d, "to a negative partition", batch(), index=-1)
    for acks in (1, 2, -2):
        produce(d, f"with acks {acks}", batch(), acks=acks, index=1)
    produce(d, "nothing", b"")
    produce(d, "two batches", batch() + batch())
    produce(d, "without time to wait", batch(), timeout_ms=0, index=1)
    produce(d, "with a negative timeout", batch(), timeout_ms=-1, index=1)
    for kind in Compression:
        produce(d, f"{kind.name.lower()} v12", batch("a" * 50, compression=kind), index=1)
    zstd = batch(compression=Compression.ZSTD)
    for version in (6, 7):
        produce(d, f"zstd v{version}", zstd, version=version, index=1)
    d.ask("produce to nothing", "Produce", 12, acks=-1, timeout_ms=9000)
    produce(d, "to the offsets topic", batch(), "__consumer_offsets")
    transactional = batch(producer_id=1, producer_epoch=0, base_sequence=0, transactional=True)
    produce(d, "transactional without an id", transactional)
    produce(d, "transactional by a stranger", transactional, transactional_id="nobody")
    produce(d, "by a stranger's id, not transactional", batch(), transactional_id="nobody")
    produce(d, "by an empty transactional id", batch(), transactional_id="")
    produce(d, "control", batch(producer_id=1, producer_epoch=0, base_sequence=0, control=True))


def _damaged(d: Dialogue) -> None:
    good = batch("one", "two")

    def patched(offset: int, data: bytes, crc: bool = True) -> bytes:
        body = bytearray(good)
        body[offset : offset + len(data)] = data
        if crc:
            body[17:21] = struct.pack(">I", crc32c(bytes(body[21:])))
        return bytes(body)

    for title, data in (
        ("with a wrong checksum", patched(17, b"\0\0\0\0", False)),
        ("cut off", good[:-1]),
        ("cut to its header", good[:61]),
        ("cut within its header", good[:20]),
        ("with a byte behind", good + b"\0"),
        ("of magic 3", patched(16, b"\3", False)),
        ("of magic 1", patched(16, b"\1", False)),
        ("of a negative length", patched(8, struct.pack(">i", -1), False)),
        ("of length 0", patched(8, struct.pack(">i", 0), False)),
        ("of a huge length", patched(8, struct.pack(">i", 2**31 - 1), False)),
        ("with a base offset", patched(0, struct.pack(">q", 77), False)),
        ("with more records counted", patched(57, struct.pack(">i", 3))),
        ("with fewer records counted", patched(57, struct.pack(">i", 1))),
        ("with no records counted", patched(57, struct.pack(">i", 0))),
        ("with a negative count", patched(57, struct.pack(">i", -1))),
        ("with a larger last offset", patched(23, struct.pack(">i", 5))),
        ("with a negative last offset", patched(23, struct.pack(">i", -1))),
        ("with an unknown compression", patched(21, struct.pack(">h", 7))),
        ("with gzip that is none", patched(21, struct.pack(">h", 1))),
        ("with a smaller largest time", patched(35, struct.pack(">q", 5))),
        ("with a leader epoch", patched(12, struct.pack(">i", 5), False)),
        ("with a sequence but no producer", patched(53, struct.pack(">i", 5))),
        ("with a producer but no epoch", patched(43, struct.pack(">q", 5))),
    ):
        produce(d, title, data, "damaged")


def _idempotent(d: Dialogue) -> None:
    producer = d.ask(
        "an idempotent producer",
        "InitProducerId",
        5,
        transactional_id=None,
        transaction_timeout_ms=60_000,
    )

    def send(title: str, sequence: int, epoch: int = 0, **options: Any) -> None:
        fields = {"producer_id": producer.producer_id} | options
        produce(
            d, title, batch(producer_epoch=epoch, base_sequence=sequence, **fields), "both", index=1
        )

    send("sequence 0", 0)
    send("sequence 0 again", 0)
    send("sequence 1", 1)
    send("sequence 5, with a gap", 5)
    send("sequence 2", 2)
    for sequence in range(3, 8):
        send(f"sequence {sequence}", sequence)
    send("sequence 0, long gone", 0)
    send("sequence -1", -1)
    send("epoch 1, sequence 5", 5, 1)
    send("epoch 1, sequence 0", 0, 1)
    send("epoch 0 again", 8, 0)
    send("epoch -1", 0, -1)
    send("an unknown producer in the middle", 5, producer_id=producer.producer_id + 77)
    pair = [
        batch(producer_id=producer.producer_id, producer_epoch=1, base_sequence=s) for s in (1, 2)
    ]
    produce(d, "two idempotent batches", b"".join(pair), "both", index=1)


def _settings(d: Dialogue) -> None:
    produce(d, "without a key, compacted", batch(key=None), "compacted")
    produce(d, "without a key, both", batch(key=None), "both")
    produce(d, "with a key, compacted", batch(), "compacted")
    produce(d, "beyond the limit", batch("x" * 300), "small")
    produce(d, "below the limit", batch("x" * 50), "small")
    produce(d, "long ago", batch(time_ms=5), "timed")
    produce(d, "in the far future", batch(time_ms=4_000_000_000_000), "timed")
    produce(d, "without a time", batch(time_ms=-1), "timed")
    produce(d, "without a time, unbounded", batch(time_ms=-1), "zipped", index=1)
    produce(
        d, "in the far future, default bound", batch(time_ms=4_000_000_000_000), "times", index=1
    )
    produce(d, "stamped", batch(time_ms=5), "stamped")
    for acks in (-1, 1):
        produce(d, f"too few in sync, acks {acks}", batch(), "safe", acks=acks)
    produce(d, "recompressed", batch("a" * 500, compression=Compression.LZ4), "zipped")


def _fetch(d: Dialogue) -> None:
    hidden = ("records", "session_id", "aborted_transactions")

    def fetch(
        title: str, topic: str = "plain", index: int = 1, offset: int = 0, **fields: Any
    ) -> Any:
        version = fields.pop("version", 12)
        row = {"partition": index, "fetch_offset": offset, "partition_max_bytes": 1_000_000}
        row |= {
            k: fields.pop(k)
            for k in list(fields)
            if k in ("current_leader_epoch", "log_start_offset")
        }
        data = {"partitions": [row]}
        data |= {"topic_id": fields.pop("topic_id")} if "topic_id" in fields else {"topic": topic}
        fields = {"max_bytes": 1_000_000, "max_wait_ms": 100, "topics": [data]} | fields
        if version >= 7:
            fields.setdefault("session_epoch", -1)
        return d.ask(f"fetch {title}", "Fetch", version, hidden=hidden, **fields)

    for version in range(4, 13):
        fetch(f"v{version}", version=version)
    fetch("from an unknown topic", "nobody")
    fetch("from an empty topic name", "")
    fetch("from an unknown partition", index=9)
    fetch("from a negative partition", index=-1)
    fetch("behind the end", offset=10_000)
    fetch("before the start", offset=-1)
    fetch("by an older epoch", current_leader_epoch=-2)
    fetch("by a newer epoch", current_leader_epoch=9)
    fetch("nothing", topics=[])
    fetch("no bytes", max_bytes=0)
    fetch("waiting a negative time", max_wait_ms=-1, offset=10**6)
    fetch("read committed", isolation_level=1)
    fetch("of an unknown session", session_id=77, session_epoch=1)
    fetch("of an unknown session at epoch 0", session_id=77, session_epoch=0)
    fetch("of a session to be closed", session_id=77, session_epoch=-1)
    fetch("of a session with epoch -2", session_id=0, session_epoch=-2)
    topic_id = d.try_to_ask("Metadata", 12, topics=[{"name": "plain"}]).topics[0].topic_id
    for version in (13, 16, 17, 18):
        fetch(f"v{version}", version=version, topic_id=topic_id)
    fetch("an unknown id", version=16, topic_id=ID_NOBODY_HAS)
    fetch("no id", version=16, topic_id=bytes(16))
    fetch("zstd v9", version=9)


def _list_offsets(d: Dialogue) -> None:
    produce(d, "times", batch("a", "b", "c", time_ms=TIME_MS), "times")

    def find(title: str, time_ms: int, topic: str = "times", index: int = 0, **fields: Any) -> None:
        version = fields.pop("version", 11)
        row = {"partition_index": index, "timestamp": time_ms}
        if "current_leader_epoch" in fields:
            row["current_leader_epoch"] = fields.pop("current_leader_epoch")
        fields = {"replica_id": -1, "topics": [{"name": topic, "partitions": [row]}]} | fields
        d.ask(f"offset {title}", "ListOffsets", version, **fields)

    for version in range(1, 12):
        for time in range(-7, 0):
            find(f"at {time} v{version}", time, version=version)
    for time in (0, TIME_MS, TIME_MS + 1, TIME_MS + 3, 2**63 - 1, -100):
        find(f"at {time}", time)
    find("of an unknown topic", -1, "nobody")
    find("of an empty topic", -1, "")
    find("of an unknown partition", -1, index=9)
    find("of a negative partition", -1, index=-1)
    find("by a newer epoch", -1, current_leader_epoch=9)
    find("by epoch -2", -1, current_leader_epoch=-2)
    find("read committed", -1, isolation_level=1)
    find("by a replica", -1, replica_id=7)
    find("by a debugging consumer", -1, replica_id=-2)
    row = {"partition_index": 0, "timestamp": -1}
    topics = [{"name": "times", "partitions": [row, row, row | {"partition_index": 1}]}]
    d.ask("offset of a partition twice", "ListOffsets", 11, replica_id=-1, topics=topics)
    d.ask("offset of nothing", "ListOffsets", 11, replica_id=-1)


def _epochs(d: Dialogue) -> None:
    def find(title: str, epoch: int, topic: str = "times", index: int = 0, **fields: Any) -> None:
        version = fields.pop("version", 4)
        row = {"partition": index, "leader_epoch": epoch} | fields
        fields = {"replica_id": -2} if version >= 3 else {}
        topics = [{"topic": topic, "partitions": [row]}]
        d.ask(f"epoch {title}", "OffsetForLeaderEpoch", version, topics=topics, **fields)

    for version in range(2, 5):
        find(f"v{version}", 0, version=version)
    for epoch in (1, -1, 2**31 - 1):
        find(f"{epoch}", epoch)
    find("of an unknown topic", 0, "nobody")
    find("of an unknown partition", 0, index=9)
    find("of a negative partition", 0, index=-1)
    find("by a newer one", 0, current_leader_epoch=9)
    find("by -2", 0, current_leader_epoch=-2)
    find("of an empty log", 0, "both")
    d.ask("epoch of nothing", "OffsetForLeaderEpoch", 4, replica_id=-2)


def _producers(d: Dialogue) -> None:
    for title, topic, indexes in (
        ("one", "both", [1]),
        ("none", "plain", [0]),
        ("an unknown topic", "nobody", [0]),
        ("an empty topic name", "", [0]),
        ("an unknown partition", "both", [9, -1]),
        ("a partition twice", "both", [1, 1]),
        ("no partition", "both", []),
    ):
        topics = [{"name": topic, "partition_indexes": indexes}]
        d.ask(f"producers of {title}", "DescribeProducers", 0, topics=topics)
    d.ask("producers of nothing", "DescribeProducers", 0)


def _delete_records(d: Dialogue) -> None:
    def delete(
        title: str, offset: int, topic: str = "times", index: int = 0, **fields: Any
    ) -> None:
        version = fields.pop("version", 2)
        rows = [{"partition_index": index, "offset": offset}]
        topics = [{"name": topic, "partitions": rows}]
        fields = {"timeout_ms": 10_000, "topics": topics} | fields
        d.ask(f"forget {title}", "DeleteRecords", version, **fields)

    for version in range(3):
        delete(f"v{version}", 1, version=version)
    delete("before the start", 0)
    delete("behind the end", 99)
    delete("-2", -2)
    delete("of an unknown topic", 0, "nobody")
    delete("of an empty topic", 0, "")
    delete("of an unknown partition", 0, index=9)
    delete("of a negative partition", 0, index=-1)
    delete("of a compacted topic", 0, "compacted")
    delete("of a compacted and deleted topic", 0, "both")
    delete("of an empty partition", -1, "safe")
    delete("all", -1)
    delete("of the offsets topic", 0, "__consumer_offsets")
    row = {"partition_index": 0, "offset": 2}
    topics = [{"name": "times", "partitions": [row, row]}]
    d.ask("forget twice", "DeleteRecords", 2, topics=topics, timeout_ms=10_000)
    d.ask("forget nothing", "DeleteRecords", 2, timeout_ms=10_000)


def _folders(d: Dialogue) -> None:
    hidden = ("partition_size",)
    for version in range(1, 6):
        topics = [{"topic": "times", "partitions": [0]}, {"topic": "nobody", "partitions": [0]}]
        d.ask(f"folders v{version}", "DescribeLogDirs", version, hidden=hidden, topics=topics)
    for title, topics in (
        ("all", None),
        ("none", []),
        ("an unknown partition", [{"topic": "times", "partitions": [9]}]),
        ("a negative partition", [{"topic": "times", "partitions": [-1]}]),
        ("a partition twice", [{"topic": "times", "partitions": [0, 0]}]),
        ("no partitions", [{"topic": "times", "partitions": []}]),
    ):
        d.ask(f"folders of {title}", "DescribeLogDirs", 5, hidden=hidden, topics=topics)
