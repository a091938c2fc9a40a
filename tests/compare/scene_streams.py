"""Streams groups: who joins with which topology, heartbeats, commits, and descriptions."""

from __future__ import annotations

from typing import Any

from tests.compare.dialogue import Dialogue
from tests.compare.scene_groups import commit, join

UNREADABLE = ("client_host",)
MAKES_TOPICS = (
    "topology with a changelog",
    "topology with a repartition",
    "topology with a repartition of partitions",
)
NEW: dict[str, Any] = {
    "rebalance_timeout_ms": 30_000,
    "process_id": "p",
    "active_tasks": [],
    "standby_tasks": [],
    "warmup_tasks": [],
}


def part(name: str = "0", **fields: Any) -> dict[str, Any]:
    return {"subtopology_id": name, "source_topics": ["t"]} | fields


def topology(*parts: dict[str, Any], epoch: int = 0) -> dict[str, Any]:
    return {"epoch": epoch, "subtopologies": list(parts or [part()])}


def internal(name: str, partitions: int = 0, **fields: Any) -> dict[str, Any]:
    return {"name": name, "partitions": partitions} | fields


def active(*partitions: int, of: str = "0") -> dict[str, Any]:
    return {"active_tasks": [{"subtopology_id": of, "partitions": list(partitions)}]}


def at(subtopology: str, partition: int, offset: int) -> dict[str, Any]:
    return {"subtopology_id": subtopology, "partition": partition, "offset": offset}


def play(d: Dialogue) -> None:
    rows = [{"name": name, "num_partitions": 2, "replication_factor": 1} for name in ("t", "u")]
    d.try_to_ask("CreateTopics", 7, topics=rows, timeout_ms=10_000)
    d.ask("find", "FindCoordinator", 6, key_type=0, coordinator_keys=["s"])
    join(d, "a classic group that is empty", "classic")
    _joins(d)
    _has_topologies(d)
    _lives(d)
    _is_static(d)
    _describes(d)


def beat(d: Dialogue, title: str, member: str, epoch: int, group: str = "s", **fields: Any) -> Any:
    """A heartbeat; the epoch that the coordinator answers with is returned."""
    fields = {"group_id": group, "member_id": member, "member_epoch": epoch} | fields
    version = fields.pop("version", 0)
    hidden = ("status_detail", "heartbeat_interval_ms", "partitions_by_user_endpoint")
    return d.ask(title, "StreamsGroupHeartbeat", version, hidden=hidden, **fields).member_epoch


def _joins(d: Dialogue) -> None:
    mine = NEW | {"topology": topology()}
    for title, member, fields in (
        ("without id", "", {}),
        ("without group", "m", {"group_id": ""}),
        ("without topology", "m", {"topology": None}),
        ("without tasks", "m", {"active_tasks": None}),
        ("without standby tasks", "m", {"standby_tasks": None}),
        ("without warmup tasks", "m", {"warmup_tasks": None}),
        ("with tasks", "m", active(0)),
        ("without process", "m", {"process_id": None}),
        ("with an empty process", "m", {"process_id": ""}),
        ("without rebalance timeout", "m", {"rebalance_timeout_ms": -1}),
        ("with rebalance timeout 0", "m", {"rebalance_timeout_ms": 0}),
        ("with an empty instance", "m", {"instance_id": ""}),
        ("with an empty rack", "m", {"rack_id": ""}),
        ("with an overlong id", "x" * 300, {}),
        ("a classic group", "m", {"group_id": "classic"}),
        ("while it shuts down", "m", {"shutdown_application": True}),
        ("with an endpoint", "m", {"user_endpoint": {"host": "h", "port": 1}}),
        ("with an endpoint of port 0", "m", {"user_endpoint": {"host": "h", "port": 0}}),
        ("with an endpoint without host", "m", {"user_endpoint": {"host": "", "port": 1}}),
        ("with a tag without name", "m", {"client_tags": [{"key": "", "value": "v"}]}),
        ("with a tag twice", "m", {"client_tags": [{"key": "k", "value": "v"}] * 2}),
    ):
        group = f"joins {title}"
        beat(d, f"joins {title}", member, 0, **({"group_id": group} | mine | fields))
    for epoch in (1, -1, -2, -3, 2**31 - 1, -(2**31)):
        beat(d, f"of an unknown group at {epoch}", "m", epoch, "no")
        beat(d, f"of an unknown member at {epoch}", "who", epoch, "joins with a tag without name")


def _has_topologies(d: Dialogue) -> None:
    sink = part("1", source_topics=[], repartition_source_topics=[internal("r")])
    source = part(repartition_sink_topics=["r"])
    for title, parts in (
        ("of nothing", []),
        ("with a part of no topics", [part(source_topics=[])]),
        ("with a part twice", [part(), part()]),
        ("with a part without name", [part("")]),
        ("with a topic that is not there", [part(source_topics=["no"])]),
        ("with a topic of a wrong name", [part(source_topics=["a b"])]),
        ("with a topic twice", [part(source_topics=["t", "t"])]),
        ("with a topic in two parts", [part(), part("1")]),
        ("with a regex", [part(source_topics=[], source_topic_regex=["t.*"])]),
        ("with a wrong regex", [part(source_topics=[], source_topic_regex=["("])]),
        ("with a changelog", [part(state_changelog_topics=[internal("log")])]),
        ("with a changelog of a wrong name", [part(state_changelog_topics=[internal("a b")])]),
        ("with a changelog of partitions", [part(state_changelog_topics=[internal("log", 3)])]),
        ("with a changelog twice", [part(state_changelog_topics=[internal("log")] * 2)]),
        ("with a changelog of another kind", [part(state_changelog_topics=[
            internal("log-2", topic_configs=[{"key": "cleanup.policy", "value": "no"}])])]),
        ("with a changelog of an unknown setting", [part(state_changelog_topics=[
            internal("log-3", topic_configs=[{"key": "no", "value": "no"}])])]),
        ("with a repartition", [source, sink]),
        ("with a repartition of partitions", [
            part(repartition_sink_topics=["r-3"]),
            part("1", source_topics=[], repartition_source_topics=[internal("r-3", 3)])]),
        ("with a repartition that nobody fills", [sink]),
        ("with a sink that nobody reads", [part(repartition_sink_topics=["nowhere"])]),
        ("with partitions together", [part(source_topics=["t", "u"],
            copartition_groups=[{"source_topics": [0, 1]}])]),
        ("with partitions together out of range", [part(
            copartition_groups=[{"source_topics": [0, 9]}])]),
        ("with partitions together below zero", [part(
            copartition_groups=[{"source_topics": [-1]}])]),
        ("with nothing together", [part(copartition_groups=[{}])]),
    ):  # fmt: skip
        group = f"topology {title}"
        fields = NEW | {"topology": {"epoch": 0, "subtopologies": parts}}
        beat(d, group, "m", 0, group, **fields)
        if group not in MAKES_TOPICS:  # Kafka makes them after its answer, in its own time
            beat(d, f"{group}, again", "m", 0, group, **fields)
    for epoch in (1, -1, 5):
        beat(d, f"topology of epoch {epoch}", "m", 0, f"epoch {epoch}",
             **NEW, topology=topology(epoch=epoch))  # fmt: skip


def _lives(d: Dialogue) -> None:
    mine = NEW | {"topology": topology()}
    epoch = beat(d, "m joins", "m", 0, **mine)
    epoch = beat(d, "m beats", "m", epoch)
    tasks = active(0, 1)["active_tasks"]
    own = {"active_tasks": tasks, "standby_tasks": [], "warmup_tasks": []}
    epoch = beat(d, "m owns", "m", epoch, **own)
    for title, fields in (
        ("with a rack", {"rack_id": "r"}),
        ("with another process", {"process_id": "q"}),
        ("with another rebalance timeout", {"rebalance_timeout_ms": 20_000}),
        ("with tasks only", {"active_tasks": tasks}),
        ("with an unknown task", own | active(0, of="9")),
        ("with a task out of range", own | active(9)),
        ("with a task below zero", own | active(-1)),
        ("with a task twice", own | active(0, 0)),
        ("with a part twice", own | {"active_tasks": tasks * 2}),
        ("with a task in two roles", own | {"standby_tasks": tasks}),
        ("with the topology again", {"topology": topology()}),
        ("with another topology", {"topology": topology(part(source_topics=["u"]))}),
        ("with a later topology", {"topology": topology(part(source_topics=["u"]), epoch=1)}),
        ("with an offset", {"task_offsets": [at("0", 0, 5)]}),
        ("with offsets of nothing", {"task_offsets": [at("9", -1, -5)]}),
        ("with an endpoint", {"user_endpoint": {"host": "h", "port": 1}}),
        ("with tags", {"client_tags": [{"key": "k", "value": "v"}]}),
        ("with an instance", {"instance_id": "i"}),
        ("with an endpoint epoch", {"endpoint_information_epoch": 99}),
        ("with no endpoint epoch", {"endpoint_information_epoch": -9}),
    ):
        answered = beat(d, f"m {title}", "m", epoch, **fields)
        epoch = answered or epoch
    beat(d, "m at an old epoch", "m", epoch - 1)
    beat(d, "m at an old epoch, with its tasks", "m", epoch - 1, **own)
    beat(d, "m at a new epoch", "m", epoch + 1)
    beat(d, "m at epoch -2", "m", -2)
    beat(d, "m at epoch -3", "m", -3)
    for title, fields in (
        ("of its task", {}),
        ("at an old epoch", {"generation_id_or_member_epoch": epoch - 1}),
        ("at a new epoch", {"generation_id_or_member_epoch": epoch + 1}),
        ("at epoch -1", {"generation_id_or_member_epoch": -1}),
        ("by nobody", {"member_id": "", "generation_id_or_member_epoch": -1}),
        ("by another", {"member_id": "who"}),
    ):
        who = {"member_id": "m", "generation_id_or_member_epoch": epoch} | fields
        commit(d, title, "s", **who)
    commit(d, "v8", "s", version=8, member_id="m", generation_id_or_member_epoch=epoch)
    rows = [{"name": "t", "partition_indexes": [0, 1]}]
    for title, fields in (
        ("by its member", {"member_id": "m", "member_epoch": epoch}),
        ("at an old epoch", {"member_id": "m", "member_epoch": epoch - 1}),
        ("by another", {"member_id": "who", "member_epoch": epoch}),
        ("by anybody", {}),
        ("by an empty name", {"member_id": "", "member_epoch": -1}),
    ):
        groups = [{"group_id": "s", "topics": rows} | fields]
        d.ask(f"committed, {title}", "OffsetFetch", 9, groups=groups)
    join(d, "as a classic member", "s")
    d.ask("as a consumer", "ConsumerGroupHeartbeat", 1, group_id="s", member_id="c",
          member_epoch=0, rebalance_timeout_ms=30_000, subscribed_topic_names=["t"],
          topic_partitions=[])  # fmt: skip
    d.ask("as a share consumer", "ShareGroupHeartbeat", 1, group_id="s", member_id="c",
          member_epoch=0, subscribed_topic_names=["t"])  # fmt: skip
    d.ask("forgets a topic that is read", "OffsetDelete", 0, group_id="s",
          topics=[{"name": "t", "partitions": [{"partition_index": 0}]}])  # fmt: skip
    d.ask("is deleted while it lives", "DeleteGroups", 2, groups_names=["s"])
    beat(d, "m shuts down the application", "m", epoch, shutdown_application=True)
    beat(d, "m hears of it", "m", epoch)
    beat(d, "m leaves", "m", -1)
    beat(d, "m leaves again", "m", -1)


def _is_static(d: Dialogue) -> None:
    mine = NEW | {"topology": topology(), "instance_id": "i", "group_id": "static"}
    first = beat(d, "static joins", "one", 0, **mine)
    beat(d, "static joins again", "one", 0, **mine)
    beat(d, "static beats without its instance", "one", first, "static")
    beat(d, "static beats with another instance", "one", first, "static", instance_id="j")
    beat(d, "static joins by another", "two", 0, **mine)
    beat(d, "static goes for a while", "one", -2, "static", instance_id="i")
    beat(d, "static goes for a while, again", "one", -2, "static", instance_id="i")
    second = beat(d, "static comes back as another", "two", 0, **mine)
    beat(d, "static beats as the one before", "one", first, "static", instance_id="i")
    beat(d, "static beats", "two", second, "static", instance_id="i")
    beat(d, "static leaves", "two", -1, "static", instance_id="i")


def _describes(d: Dialogue) -> None:
    for version in (0, 1):
        for title, groups in (
            ("with a member", ["topology with a topic in two parts"]),
            ("without members", ["s"]),
            ("with a part of the topics", ["topology with a topic that is not there"]),
            ("unknown", ["no"]),
            ("classic", ["classic"]),
            ("without name", [""]),
            ("several", ["s", "no"]),
            ("none", []),
        ):
            d.ask(f"described {title} v{version}", "StreamsGroupDescribe", version,
                  hidden=UNREADABLE, group_ids=groups)  # fmt: skip
    d.ask("described as classic", "DescribeGroups", 6, hidden=UNREADABLE, groups=["s"])
    d.ask("described as a consumer group", "ConsumerGroupDescribe", 1, group_ids=["s"])
    d.ask("described as a share group", "ShareGroupDescribe", 1, group_ids=["s"])
    for state in ("Empty", "empty", "Reconciling", "Assigning"):
        d.ask(f"listed in {state}", "ListGroups", 5, states_filter=[state],
              types_filter=["streams"])  # fmt: skip
    d.ask("deleted", "DeleteGroups", 2, groups_names=["s"])
    d.ask("described after that", "StreamsGroupDescribe", 0, group_ids=["s"])
