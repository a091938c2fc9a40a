"""What is named twice in one request, and changes that may not take any time."""

from __future__ import annotations

from typing import Any

from tests.compare.dialogue import Dialogue
from tests.compare.scene_partitions import batch
from tests.compare.scene_topics import create, topic

TIMES_MS = (0, -1, -(2**31))
HIDDEN = ("configs", "base_offset", "log_start_offset")
NOT_OF_PRODUCE = ("base_offset", "log_start_offset", "current_leader")
NOT_OF_FETCH = (
    *("records", "session_id", "high_watermark", "last_stable_offset", "log_start_offset"),
    *("diverging_epoch", "current_leader", "snapshot_id", "aborted_transactions"),
)


def play(d: Dialogue) -> None:
    rows = [topic(name, 2, configs=[{"name": "retention.ms", "value": "-1"}]) for name in "tup"]
    d.ask("make", "CreateTopics", 7, hidden=("configs",), topics=rows, timeout_ms=10_000)
    d.ask("find", "FindCoordinator", 6, key_type=0, coordinator_keys=["g", "g"])
    d.ask("find a transaction's", "FindCoordinator", 6, key_type=1, coordinator_keys=["x", "x"])
    topics = d.try_to_ask("Metadata", 13, topics=[{"name": "t"}, {"name": "p"}]).topics
    topic_id, other_id = (topic.topic_id for topic in sorted(topics, key=lambda t: t.name != "t"))
    _produces(d, other_id)
    data = [{"name": "t", "partition_data": [{"index": 0, "records": batch(*"abcd")}]}]
    d.ask("records", "Produce", 12, acks=-1, timeout_ms=10_000, topic_data=data)
    _fetches(d, topic_id)
    _looks_up(d, topic_id)
    _commits(d, topic_id)
    _takes_part(d)
    _describes(d)
    _changes(d)
    _hurries(d)


def _produces(d: Dialogue, topic_id: bytes) -> None:
    first, second = ({"index": 0, "records": batch(value)} for value in "ab")
    other = {"index": 1, "records": batch("c")}
    for title, version, topics in (
        ("a partition", 12, [{"name": "p", "partition_data": [first, second]}]),
        ("a partition, and another", 12, [{"name": "p", "partition_data": [first, other, second]}]),
        (
            "a topic",
            12,
            [{"name": "p", "partition_data": [first]}, {"name": "p", "partition_data": [other]}],
        ),
        (
            "a topic with its partition",
            12,
            [{"name": "p", "partition_data": [first]}, {"name": "p", "partition_data": [second]}],
        ),
        ("a partition by id", 13, [{"topic_id": topic_id, "partition_data": [first, second]}]),
        ("an unknown one", 12, [{"name": "no", "partition_data": [first, second]}]),
        (
            "a partition that is not there",
            12,
            [{"name": "p", "partition_data": [first | {"index": 9}] * 2}],
        ),
    ):
        d.ask(
            f"produce {title}",
            "Produce",
            version,
            hidden=NOT_OF_PRODUCE,
            acks=-1,
            timeout_ms=10_000,
            topic_data=topics,
        )
    d.ask(
        "ends after that", "ListOffsets", 11, replica_id=-1,
        topics=[{"name": "p", "partitions": [
            {"partition_index": index, "timestamp": -1} for index in (0, 1)]}],
    )  # fmt: skip


def _fetches(d: Dialogue, topic_id: bytes) -> None:
    def fetch(title: str, *topics: dict[str, Any], version: int = 13, **fields: Any) -> Any:
        fields = (
            {"max_wait_ms": 0, "min_bytes": 0, "max_bytes": 1 << 20, "topics": list(topics)}
            | {"session_epoch": -1}
            | fields
        )
        return d.ask(f"fetch {title}", "Fetch", version, hidden=NOT_OF_FETCH, **fields)

    row = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1 << 20}
    late = row | {"fetch_offset": 99}
    by_id, by_name = {"topic_id": topic_id}, {"topic": "t"}
    fetch("a partition", by_id | {"partitions": [row, row]})
    fetch("a partition at two offsets", by_id | {"partitions": [row, late]})
    fetch("a partition at two offsets, turned", by_id | {"partitions": [late, row]})
    fetch("a partition by name", by_name | {"partitions": [row, row]}, version=12)
    fetch("a topic", by_id | {"partitions": [row]}, by_id | {"partitions": [row]})
    fetch("an unknown topic", {"topic": "no", "partitions": [row, row]}, version=12)
    session = fetch(
        "a partition in a new session", by_id | {"partitions": [row, row]}, session_epoch=0
    ).session_id
    mine: dict[str, Any] = {"session_id": session, "session_epoch": 1}
    fetch("a partition added", by_id | {"partitions": [row | {"partition": 1}] * 2}, **mine)
    mine["session_epoch"] = 2
    gone = {"topic_id": topic_id, "partitions": [0, 0]}
    fetch("a partition forgotten", forgotten_topics_data=[gone], **mine)
    mine["session_epoch"] = 3
    fetch("the same forgotten again", forgotten_topics_data=[gone], **mine)
    mine["session_epoch"] = 4
    gone = {"topic_id": topic_id, "partitions": [1]}
    fetch("one forgotten and asked for", by_id | {"partitions": [row | {"partition": 1}]},
          forgotten_topics_data=[gone], **mine)  # fmt: skip


def _looks_up(d: Dialogue, topic_id: bytes) -> None:
    row = {"partition_index": 0, "timestamp": -1}
    early = row | {"timestamp": -2}
    for title, topics in (
        ("a partition at two times", [{"name": "t", "partitions": [row, early]}]),
        ("a topic", [{"name": "t", "partitions": [row]}] * 2),
        (
            "a partition that is not there",
            [{"name": "t", "partitions": [{"partition_index": 9, "timestamp": -1}] * 2}],
        ),
        ("an unknown topic", [{"name": "no", "partitions": [row, row]}]),
    ):
        for version in (1, 11):
            d.ask(
                f"offsets of {title} v{version}",
                "ListOffsets",
                version,
                replica_id=-1,
                topics=topics,
            )
    epochs = {"partition": 0, "leader_epoch": 0}
    topics = [{"topic": "t", "partitions": [epochs]}] * 2
    d.ask("epochs of a topic", "OffsetForLeaderEpoch", 4, replica_id=-1, topics=topics)
    for title, rows in (
        ("by name", [{"name": "t"}, {"name": "t"}]),
        ("by id", [{"name": None, "topic_id": topic_id}] * 2),
        ("by both", [{"name": "t"}, {"name": None, "topic_id": topic_id}]),
        ("that is not there", [{"name": "no"}, {"name": "no"}]),
    ):
        d.ask(
            f"metadata of a topic {title}",
            "Metadata",
            13,
            topics=rows,
            allow_auto_topic_creation=False,
        )
    topics = [{"name": "t", "partitions": [{"partition_index": 0, "offset": 1}]}] * 2
    d.ask("records of a topic deleted", "DeleteRecords", 2, topics=topics, timeout_ms=10_000)
    topics = [{"name": "t", "partition_indexes": [0]}] * 2
    d.ask("producers of a topic", "DescribeProducers", 0, topics=topics)
    topics = [{"topic": "t", "partitions": [0]}] * 2
    for version in (1, 5):
        d.ask(f"folders of a topic v{version}", "DescribeLogDirs", version, topics=topics)
    d.ask("partitions of a topic", "DescribeTopicPartitions", 0, topics=[{"name": "t"}] * 2)


def _commits(d: Dialogue, topic_id: bytes) -> None:
    row = {"partition_index": 0, "committed_offset": 1}
    other = row | {"partition_index": 1}
    for title, version, topics in (
        ("a topic", 9, [{"name": "t", "partitions": [row]}, {"name": "t", "partitions": [other]}]),
        ("a topic by id", 10, [{"topic_id": topic_id, "partitions": [row]}] * 2),
        ("an unknown topic", 9, [{"name": "no", "partitions": [row, row]}]),
        ("an unknown topic", 10, [{"topic_id": bytes(range(16)), "partitions": [row, row]}]),
        ("both", 10, [{"topic_id": topic_id, "partitions": [row, other, row]}]),
    ):
        d.ask(f"commit {title} v{version}", "OffsetCommit", version, group_id="g",
              generation_id_or_member_epoch=-1, topics=topics)  # fmt: skip
    rows = {"partition_indexes": [0, 0, 1]}
    for title, version, topics in (
        ("a topic", 9, [{"name": "t"} | rows, {"name": "t"} | rows]),
        ("a topic by id", 10, [{"topic_id": topic_id} | rows] * 2),
        ("an unknown topic by id", 10, [{"topic_id": bytes(range(16))} | rows]),
    ):
        d.ask(
            f"committed of {title}",
            "OffsetFetch",
            version,
            groups=[{"group_id": "g", "topics": topics}],
        )
    for title, version in (("a topic", 7), ("a topic", 1)):
        d.ask(f"committed of {title} v{version}", "OffsetFetch", version, group_id="g",
              topics=[{"name": "t", "partition_indexes": [0, 0]}] * 2)  # fmt: skip
    topics = [{"name": "t", "partitions": [{"partition_index": 0}, {"partition_index": 0}]}]
    d.ask("forget a partition", "OffsetDelete", 0, group_id="g", topics=topics)
    topics = [{"name": "t", "partitions": [{"partition_index": 1}]}] * 2
    d.ask("forget a topic", "OffsetDelete", 0, group_id="g", topics=topics)
    protocols = [{"name": "range", "metadata": b"1"}, {"name": "range", "metadata": b"2"}]
    fields: dict[str, Any] = {
        "session_timeout_ms": 60_000, "rebalance_timeout_ms": 10_000, "member_id": "",
        "protocol_type": "consumer",
    }  # fmt: skip
    joined = d.ask("join", "JoinGroup", 3, group_id="k", protocols=protocols[:1], **fields)
    mine = [{"member_id": joined.member_id, "assignment": value} for value in (b"1", b"2")]
    d.ask("sync a member twice", "SyncGroup", 5, group_id="k", generation_id=joined.generation_id,
          member_id=joined.member_id, protocol_type="consumer", protocol_name="range",
          assignments=mine)  # fmt: skip
    d.ask("join by a protocol twice", "JoinGroup", 3, group_id="j", protocols=protocols, **fields)


def _takes_part(d: Dialogue) -> None:
    producer = d.ask(
        "init", "InitProducerId", 5, transactional_id="x", transaction_timeout_ms=60_000
    )
    who = {"producer_id": producer.producer_id, "producer_epoch": producer.producer_epoch}
    old = {f"v3_and_below_{k}": v for k, v in who.items()} | {"v3_and_below_transactional_id": "x"}
    for title, topics in (
        ("a partition", [{"name": "t", "partitions": [0, 0]}]),
        ("a topic", [{"name": "t", "partitions": [0]}, {"name": "t", "partitions": [1, 0]}]),
        ("an unknown topic", [{"name": "no", "partitions": [0, 0]}]),
    ):
        d.ask(f"add {title}", "AddPartitionsToTxn", 3, v3_and_below_topics=topics, **old)
    d.ask("add offsets", "AddOffsetsToTxn", 3, transactional_id="x", group_id="g", **who)
    row = {"partition_index": 0, "committed_offset": 5}
    for title, topics in (
        ("a partition", [{"name": "t", "partitions": [row, row | {"committed_offset": 6}]}]),
        ("a topic", [{"name": "t", "partitions": [row]}] * 2),
        ("an unknown topic", [{"name": "no", "partitions": [row, row]}]),
    ):
        d.ask(f"commit {title} in it", "TxnOffsetCommit", 3, transactional_id="x", group_id="g",
              topics=topics, **who)  # fmt: skip
    twice = batch("a", base_sequence=0, transactional=True, **who)
    data = [{"name": "t", "partition_data": [{"index": 0, "records": twice}] * 2}]
    d.ask("produce the same in it", "Produce", 11, hidden=NOT_OF_PRODUCE, transactional_id="x",
          acks=-1, timeout_ms=10_000, topic_data=data)  # fmt: skip
    d.ask("end", "EndTxn", 4, transactional_id="x", committed=True, **who)
    marker = {"producer_id": 77, "producer_epoch": 0, "transaction_result": False,
              "coordinator_epoch": 0}  # fmt: skip
    for title, markers in (
        ("a partition", [marker | {"topics": [{"name": "t", "partition_indexes": [0, 0]}]}]),
        ("a topic", [marker | {"topics": [{"name": "t", "partition_indexes": [0]}] * 2}]),
        ("a producer", [marker | {"topics": [{"name": "t", "partition_indexes": [0]}]}] * 2),
    ):
        d.ask(f"mark {title}", "WriteTxnMarkers", 1, markers=markers)


def _describes(d: Dialogue) -> None:
    for api, version in (
        ("ConsumerGroupDescribe", 1),
        ("ShareGroupDescribe", 1),
        ("StreamsGroupDescribe", 0),
    ):
        d.ask(f"{api} of one", api, version, group_ids=["g", "g"])
        d.ask(f"{api} of an unknown one", api, version, group_ids=["no", "no"])
    groups = [{"group_id": "no", "topics": [{"topic_name": "t", "partitions": [0, 0]}] * 2}] * 2
    d.ask("offsets of a share group", "DescribeShareGroupOffsets", 1, groups=groups)
    d.ask("list of states", "ListGroups", 5, states_filter=["Empty", "Empty", "empty"],
          types_filter=["classic", "Classic"])  # fmt: skip
    d.ask("list of transactions", "ListTransactions", 1,
          state_filters=["CompleteCommit", "CompleteCommit", "no", "no"],
          producer_id_filters=[1, 1])  # fmt: skip
    d.ask("groups deleted", "DeleteGroups", 2, groups_names=["no", "no"])
    d.ask("config resources", "ListConfigResources", 1, resource_types=[2, 2, 99])


def _changes(d: Dialogue) -> None:
    rows = [{"feature": "group.version", "max_version_level": 1, "upgrade_type": 1}] * 2
    for version in (1, 2):
        d.ask(
            f"a feature v{version}",
            "UpdateFeatures",
            version,
            feature_updates=rows,
            timeout_ms=10_000,
        )
    one = {
        "resource_type": 2,
        "resource_name": "t",
        "configs": [{"name": "retention.ms", "value": "1"}],
    }
    d.ask("a resource replaced", "AlterConfigs", 2, resources=[one, one])
    d.ask(
        "a resource replaced in two ways", "AlterConfigs", 2, resources=[one, one | {"configs": []}]
    )
    keys = {"resource_type": 2, "resource_name": "t",
            "configuration_keys": ["retention.ms", "retention.ms"]}  # fmt: skip
    d.ask("a key described", "DescribeConfigs", 4, resources=[keys])
    topics = [{"name": "t", "count": 4}] * 2
    d.ask("a topic grown", "CreatePartitions", 3, topics=topics, timeout_ms=10_000)
    acl = {"resource_type": 2, "resource_name": "t", "resource_pattern_type": 3,
           "principal": "User:a", "host": "*", "operation": 3, "permission_type": 3}  # fmt: skip
    d.ask("a rule made", "CreateAcls", 3, creations=[acl, acl])
    rows = [{"path": "/nowhere", "topics": [{"name": "t", "partitions": [0, 0]}] * 2}] * 2
    d.ask("moved", "AlterReplicaLogDirs", 2, dirs=rows)
    topics = [{"topic_name": "t", "partitions": [{"partition_index": 0, "start_offset": 0}] * 2}]
    d.ask("share offsets altered", "AlterShareGroupOffsets", 0, group_id="no", topics=topics)
    d.ask("share offsets deleted", "DeleteShareGroupOffsets", 0, group_id="no",
          topics=[{"topic_name": "t"}] * 2)  # fmt: skip


def _hurries(d: Dialogue) -> None:
    rows = {
        "partition": [{"name": "t", "partitions": [{"partition_index": 0, "replicas": [1]}]}],
        "record": [{"name": "t", "partitions": [{"partition_index": 0, "offset": 1}]}],
        "level": [{"feature": "group.version", "max_version_level": 1, "upgrade_type": 1}],
        "election": [{"topic": "t", "partitions": [0]}],
        "batch": [{"name": "t", "partition_data": [{"index": 0, "records": batch("a")}]}],
    }
    for timeout_ms in TIMES_MS:

        def hurry(title: str, api: str, version: int, ms: int = timeout_ms, **fields: Any) -> None:
            d.ask(f"{title} in {ms} ms", api, version, timeout_ms=ms, hidden=HIDDEN, **fields)

        create(d, f"made in {timeout_ms} ms", topic(f"hurried{timeout_ms}"), timeout_ms=timeout_ms)
        create(d, f"wrongly made in {timeout_ms} ms", topic("a b"), timeout_ms=timeout_ms)
        hurry("grown", "CreatePartitions", 3, topics=[{"name": "u", "count": 3}])
        hurry("deleted", "DeleteTopics", 6, topics=[{"name": "u"}, {"name": "no"}])
        hurry("records deleted", "DeleteRecords", 2, topics=rows["record"])
        hurry("moved", "AlterPartitionReassignments", 1, topics=rows["partition"])
        hurry("moves listed", "ListPartitionReassignments", 0)
        hurry("elected", "ElectLeaders", 2, topic_partitions=rows["election"])
        hurry("level set", "UpdateFeatures", 2, feature_updates=rows["level"])
        hurry("produced", "Produce", 12, acks=-1, topic_data=rows["batch"])
    made = [{"name": f"hurried{timeout_ms}"} for timeout_ms in TIMES_MS]
    d.ask("what has been made", "Metadata", 12, topics=[*made, {"name": "u"}],
          allow_auto_topic_creation=False)  # fmt: skip
