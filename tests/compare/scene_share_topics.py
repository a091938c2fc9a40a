"""Share sessions whose topic is deleted, comes back, or has lost records."""

from __future__ import annotations

from tests.compare.dialogue import Dialogue
from tests.compare.scene_share import ACCEPT, Reader, produce


def play(d: Dialogue) -> None:
    d.ask("find", "FindCoordinator", 6, key_type=0, coordinator_keys=["g"])
    _is_deleted(d)
    _loses_records(d)


def _delete(d: Dialogue, name: str) -> None:
    d.ask(f"delete {name}", "DeleteTopics", 6, topics=[{"name": name}], timeout_ms=10_000)


def _is_deleted(d: Dialogue) -> None:
    for name in ("fetched", "acknowledged", "replaced"):
        reader = Reader(d, name, [2])
        reader.fetch("gets all")
        _delete(d, name)
        if name == "replaced":
            topic = {"name": name, "num_partitions": 1, "replication_factor": 1}
            d.try_to_ask("CreateTopics", 7, topics=[topic], timeout_ms=10_000)
        if name == "acknowledged":
            reader.acknowledge("accepts when it is gone", (0, 1, [ACCEPT]))
        else:
            reader.fetch("fetches when it is gone", max_wait_ms=0)
            reader.fetch("accepts when it is gone", [(0, 1, [ACCEPT])], max_wait_ms=0)


def _loses_records(d: Dialogue) -> None:
    reader = Reader(d, "shortened", [2, 2, 2])
    reader.fetch("gets some", max_records=2, batch_size=2)
    row = {"name": "shortened", "partitions": [{"partition_index": 0, "offset": 4}]}
    d.ask("records deleted", "DeleteRecords", 2, topics=[row], timeout_ms=10_000)
    reader.fetch("accepts what is deleted", [(0, 1, [ACCEPT])], max_wait_ms=0)
    reader.fetch("gets the rest")
    group = {"group_id": "shortened", "topics": None}
    d.ask("offsets of it", "DescribeShareGroupOffsets", 0, groups=[group])
    produce(d, "shortened", 1)
    reader.fetch("gets what is new")
