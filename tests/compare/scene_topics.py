"""Topics and partitions: make, grow, describe and delete them, with every kind of mistake."""

from __future__ import annotations

from typing import Any

from tests.compare.dialogue import Dialogue

ID_NOBODY_HAS = bytes(range(16))


def topic(name: str, partitions: int = 1, replicas: int = 1, **fields: Any) -> dict[str, Any]:
    return {"name": name, "num_partitions": partitions, "replication_factor": replicas} | fields


def create(
    d: Dialogue, title: str, *topics: dict[str, Any], version: int = 7, **fields: Any
) -> Any:
    fields = {"topics": list(topics), "timeout_ms": 10_000} | fields
    return d.ask(title, "CreateTopics", version, hidden=("configs",), **fields)


def play(d: Dialogue) -> None:
    _create(d)
    _assign(d)
    _grow(d)
    _describe(d)
    _delete(d)


def _create(d: Dialogue) -> None:
    for version in range(2, 8):
        create(d, f"create v{version}", topic(f"made-{version}"), version=version)
    create(d, "by default counts", topic("by-default", -1, -1))
    create(d, "default counts before they were known", topic("old", -1, -1), version=3)
    create(d, "again", topic("made-7"))
    create(d, "again, validated only", topic("made-7"), validate_only=True)
    create(d, "only validated", topic("checked", 3), validate_only=True)
    create(d, "only validated has made nothing", topic("checked", 3))
    for name in ("", ".", "..", "a b", "x" * 249, "x" * 250, "grüße", "a/b", "__mine"):
        create(d, f"named {name[:5]!r} of {len(name)}", topic(name))
    create(d, "with a dot", topic("made.7"))
    create(d, "collides with it", topic("made_7"), topic("checked"))
    create(d, "twice in one request", topic("twice"), topic("twice"), topic("once"))
    for count in (0, -2, 10_001, 2**31 - 1):
        create(d, f"{count} partitions", topic("counted", count))
    for factor in (0, -2, 2, 32767):
        create(d, f"{factor} replicas", topic("replicated", 1, factor))
    create(d, "no topics")
    create(d, "named as the offsets topic", topic("__consumer_offsets", 2))


def _assign(d: Dialogue) -> None:
    def assigned(
        title: str, *lists: tuple[int, ...] | tuple[int, list[int]], **fields: Any
    ) -> None:
        rows = [{"partition_index": index, "broker_ids": ids} for index, ids in lists]
        create(d, title, topic(title.replace(" ", "-"), -1, -1, assignments=rows, **fields))

    assigned("assigned", (0, [1]), (1, [1]))
    assigned("assigned to nobody", (0, []))
    assigned("assigned to a stranger", (0, [7]))
    assigned("assigned twice to one", (0, [1, 1]))
    assigned("assigned with a gap", (0, [1]), (2, [1]))
    assigned("assigned from one on", (1, [1]))
    assigned("assigned a partition twice", (0, [1]), (0, [1]))
    assigned("assigned a negative partition", (-1, [1]))
    assigned("assigned unequally", (0, [1]), (1, [1, 7]))
    assigned("assigned to a negative broker", (0, [-1]))
    rows = [{"partition_index": 0, "broker_ids": [1]}]
    create(d, "assigned and counted", topic("both", 1, -1, assignments=rows))
    create(d, "assigned and replicated", topic("both", -1, 1, assignments=rows))


def _grow(d: Dialogue) -> None:
    def grow(title: str, *topics: dict[str, Any], version: int = 3, **fields: Any) -> None:
        fields = {"topics": list(topics), "timeout_ms": 10_000} | fields
        d.ask(title, "CreatePartitions", version, **fields)

    for version in range(4):
        grow(f"grow v{version}", {"name": f"made-{version + 2}", "count": 2}, version=version)
    grow("grow, validated only", {"name": "made-6", "count": 4}, validate_only=True)
    for count in (1, 0, -1, 2**31 - 1):
        grow(f"grow to {count}", {"name": "made-6", "count": count})
    grow("grow an unknown topic", {"name": "nobody", "count": 4})
    grow("grow a topic without name", {"name": "", "count": 4})
    grow("grow twice", {"name": "made-6", "count": 4}, {"name": "made-6", "count": 5})
    for title, count, lists in (
        ("assigned", 2, [[1]]),
        ("too few assigned", 4, [[1]]),
        ("too many assigned", 3, [[1], [1]]),
        ("assigned to a stranger", 3, [[9]]),
        ("assigned to nobody", 3, [[]]),
        ("assigned twice to one", 3, [[1, 1]]),
        ("nothing assigned", 3, []),
    ):
        rows = [{"broker_ids": ids} for ids in lists]
        grow(f"grow, {title}", {"name": "made-7", "count": count, "assignments": rows})
    grow("grow nothing")


def _describe(d: Dialogue) -> None:
    for version in range(14):
        topics = [{"name": "made-7"}, {"name": "nobody"}]
        fields: dict[str, Any] = {"topics": topics}
        if version >= 4:
            fields["allow_auto_topic_creation"] = False
        d.ask(f"metadata v{version}", "Metadata", version, **fields)
    made = d.try_to_ask("Metadata", 13, topics=[{"name": "made-7"}]).topics[0].topic_id
    for title, topics in (
        ("by id", [{"name": None, "topic_id": made}]),
        ("by unknown id", [{"name": None, "topic_id": ID_NOBODY_HAS}]),
        ("by neither", [{"name": None}]),
        ("by both", [{"name": "made-7", "topic_id": made}]),
        ("of wrong names", [{"name": "a b"}, {"name": ""}, {"name": "x" * 250}]),
        ("twice", [{"name": "made-7"}, {"name": "made-7"}]),
        ("of none", []),
    ):
        for version in (12, 13):
            d.ask(
                f"metadata {title} v{version}",
                "Metadata",
                version,
                topics=topics,
                allow_auto_topic_creation=False,
            )
    for version in (8, 10):
        d.ask(
            f"metadata with operations v{version}",
            "Metadata",
            version,
            topics=[{"name": "made-7"}],
            include_topic_authorized_operations=True,
            include_cluster_authorized_operations=version <= 10,
        )
    _describe_partitions(d)
    for version in range(3):
        d.ask(f"cluster v{version}", "DescribeCluster", version)
    for kind in (0, 2, 3, -1):
        d.ask(f"cluster of endpoint type {kind}", "DescribeCluster", 1, endpoint_type=kind)
    d.ask(
        "cluster with operations and fenced",
        "DescribeCluster",
        2,
        include_cluster_authorized_operations=True,
        include_fenced_brokers=True,
    )


def _describe_partitions(d: Dialogue) -> None:
    def describe(title: str, *names: str, limit: int = 2000, **fields: Any) -> None:
        topics = [{"name": name} for name in names]
        fields = {"topics": topics, "response_partition_limit": limit} | fields
        d.ask(f"partitions {title}", "DescribeTopicPartitions", 0, **fields)

    create(d, "five", topic("five", 5))
    create(d, "three", topic("three", 3))
    describe("of one", "five")
    describe("of two", "three", "five")
    describe("of one named twice", "three", "three")
    describe("of an unknown", "nobody", "three")
    describe("of a wrong name", "a b", "")
    describe("of two, first page", "three", "five", limit=2)
    describe("of two, none wanted", "three", "five", limit=0)
    describe("of two, fewer than none wanted", "three", "five", limit=-1)
    for name, index in (
        ("five", 2),
        ("five", 4),
        ("five", 5),
        ("five", -1),
        ("six", 0),
        ("nobody", 1),
        ("three", 2),
        ("zzz", 0),
        ("", 0),
    ):
        cursor = {"topic_name": name, "partition_index": index}
        describe(f"from {name} {index} on", "three", "five", limit=2, cursor=cursor)


def _delete(d: Dialogue) -> None:
    def delete(title: str, *states: dict[str, Any], version: int = 6) -> None:
        d.ask(f"delete {title}", "DeleteTopics", version, topics=list(states), timeout_ms=10_000)

    for version in range(1, 6):
        d.ask(
            f"delete v{version}",
            "DeleteTopics",
            version,
            topic_names=[f"made-{version + 1}", "nobody"],
            timeout_ms=10_000,
        )
    answer = create(d, "to be deleted by id", topic("by-id"))
    topic_id = answer.topics[0].topic_id
    delete("by id", {"name": None, "topic_id": topic_id})
    delete("by id again", {"name": None, "topic_id": topic_id})
    delete("by name", {"name": "once"})
    delete("by name again", {"name": "once"})
    delete("without name", {"name": None})
    delete("by an empty name", {"name": ""})
    delete("by a wrong name", {"name": "a b"})
    delete("by name twice", {"name": "five"}, {"name": "five"})
    answer = d.try_to_ask("Metadata", 13, topics=[{"name": "five"}])
    topic_id = answer.topics[0].topic_id
    delete("by name and id", {"name": "five", "topic_id": topic_id})
    delete("by id twice", *[{"name": None, "topic_id": topic_id}] * 2)
    delete("by name, and by id", {"name": "five"}, {"name": None, "topic_id": topic_id})
    delete("nothing")
    d.ask("delete twice v5", "DeleteTopics", 5, topic_names=["three"] * 2, timeout_ms=10_000)
