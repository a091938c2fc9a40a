"""Groups of the consumer protocol, and members of both protocols in one group."""

from __future__ import annotations

from typing import Any

from tests.compare.dialogue import Dialogue
from tests.compare.scene_groups import commit, join

ID_NOBODY_HAS = bytes(range(16))
STRANGE = [{"topic_id": ID_NOBODY_HAS, "partitions": [0]}]
NEW = {"rebalance_timeout_ms": 30_000, "subscribed_topic_names": ["t"], "topic_partitions": []}


def play(d: Dialogue) -> None:
    for name in ("t", "u"):
        d.try_to_ask(
            "CreateTopics",
            7,
            topics=[{"name": name, "num_partitions": 2, "replication_factor": 1}],
            timeout_ms=10_000,
        )
    d.ask("find", "FindCoordinator", 6, key_type=0, coordinator_keys=["c"])
    join(d, "a classic group that is empty", "classic")
    _joins(d)
    _lives(d)
    _commits_late(d)
    _is_static(d)
    _migrates(d)
    _replaces(d)


def beat(d: Dialogue, title: str, member: str, epoch: int, group: str = "c", **fields: Any) -> Any:
    """A heartbeat; the epoch that the coordinator answers with is returned."""
    fields = {"group_id": group, "member_id": member, "member_epoch": epoch} | fields
    version = fields.pop("version", 1)
    return d.ask(title, "ConsumerGroupHeartbeat", version, **fields).member_epoch


def describe(d: Dialogue, title: str, *groups: str, version: int = 1, **fields: Any) -> None:
    fields = {"hidden": ("client_host",), "group_ids": list(groups)} | fields
    d.ask(f"{title}, described", "ConsumerGroupDescribe", version, **fields)
    d.ask(
        f"{title}, described as classic",
        "DescribeGroups",
        6,
        hidden=("client_host",),
        groups=list(groups),
    )


def _joins(d: Dialogue) -> None:
    beat(d, "joins v0", "", 0, "v0", version=0, **NEW)
    some = {key: value for key, value in NEW.items() if key != "subscribed_topic_names"}
    for title, member, fields in (
        ("without id", "", NEW),
        ("without group", "m", NEW | {"group_id": ""}),
        ("without subscription", "m", some),
        ("without partitions", "m", NEW | {"topic_partitions": None}),
        ("with partitions", "m", NEW | {"topic_partitions": STRANGE}),
        ("without rebalance timeout", "m", NEW | {"rebalance_timeout_ms": -1}),
        ("with rebalance timeout 0", "m", NEW | {"rebalance_timeout_ms": 0}),
        ("with an empty instance", "m", NEW | {"instance_id": ""}),
        ("with an empty rack", "m", NEW | {"rack_id": ""}),
        ("with an unknown assignor", "m", NEW | {"server_assignor": "nobody"}),
        ("with an empty assignor", "m", NEW | {"server_assignor": ""}),
        ("with a wrong regex", "m", NEW | {"subscribed_topic_regex": "("}),
        ("with an overlong id", "x" * 300, NEW),
        ("with a regex out of its syntax", "m", some | {"subscribed_topic_regex": "t(?=x)"}),
        ("a classic group", "m", NEW | {"group_id": "classic"}),
    ):
        group = str(fields.get("group_id", title.replace(" ", "-")))
        beat(d, f"joins {title}", member, 0, group, **{**fields, "group_id": group})
    beat(d, "lives in an unknown group", "m", 1, "nobody")
    beat(d, "leaves an unknown group", "m", -1, "nobody")
    beat(d, "with epoch -3", "m", -3)
    beat(
        d, "by regex", "r", 0, "regex", hidden=("assignment",), **some, subscribed_topic_regex="t.*"
    )


def _lives(d: Dialogue) -> None:
    epoch = beat(d, "joins", "m", 0, **NEW)
    beat(d, "lives", "m", epoch)
    beat(d, "lives without change", "m", epoch, topic_partitions=[])
    beat(d, "of epoch 99", "m", 99)
    beat(d, "of an unknown member", "n", epoch)
    beat(d, "of no member", "", epoch)
    beat(d, "of no member v0", "", epoch, version=0)
    beat(d, "with an unknown assignor", "m", epoch, server_assignor="nobody")
    beat(d, "with partitions not its own", "m", epoch, topic_partitions=STRANGE)
    beat(d, "with a negative rebalance timeout", "m", epoch, rebalance_timeout_ms=-5)
    beat(d, "with an instance", "m", epoch, instance_id="i")
    beat(d, "leaves as an instance it isn't", "m", -2)
    epoch = beat(d, "joins again", "m", 0, **NEW)
    epoch = beat(d, "subscribes to nothing", "m", epoch, subscribed_topic_names=[])
    epoch = beat(d, "gives all up", "m", epoch, topic_partitions=[])
    names = ["nobody", "t", "t", ""]
    epoch = beat(d, "subscribes to the unknown", "m", epoch, subscribed_topic_names=names)
    _offsets(d, epoch)
    describe(d, "some", "c", "classic", "nobody", "")
    describe(d, "v0", "c", version=0, include_authorized_operations=True)
    classic = {"group_id": "c", "member_id": "m", "generation_id": epoch}
    protocol = {"protocol_type": "consumer", "protocol_name": "range"}
    d.ask("a classic sync", "SyncGroup", 5, **classic, **protocol)
    d.ask("a classic beat", "Heartbeat", 4, **classic)
    members = [{"member_id": "m"}, {"member_id": "n"}]
    d.ask("removed by an admin", "LeaveGroup", 5, group_id="c", members=members)
    beat(d, "lives after it", "m", epoch)
    beat(d, "joins after it", "m", 0, **NEW)
    beat(d, "leaves", "m", -1)
    beat(d, "leaves again", "m", -1)


def _offsets(d: Dialogue, epoch: int) -> None:
    for title, member, of in (
        ("rightly", "m", epoch),
        ("of epoch 0", "m", 0),
        ("of a newer epoch", "m", epoch + 1),
        ("by an unknown member", "n", epoch),
        ("by nobody", "", -1),
        ("by no member", "", epoch),
        ("of epoch -1", "m", -1),
    ):
        mine = {"member_id": member, "generation_id_or_member_epoch": of}
        for version in (8, 9):
            commit(d, f"{title} v{version}", "c", version, **mine)
        row = {"group_id": "c", "topics": None, "member_id": member or None, "member_epoch": of}
        d.ask(f"fetch {title}", "OffsetFetch", 9, groups=[row])


def _commits_late(d: Dialogue) -> None:
    """Of two members one keeps a partition while the epoch grows (KIP-1251)."""
    group = "late"
    first = beat(d, "anna joins", "anna", 0, group, **NEW)
    beat(d, "bob joins", "bob", 0, group, **NEW)
    topic_id = d.try_to_ask("Metadata", 12, topics=[{"name": "t"}]).topics[0].topic_id
    both = [{"topic_id": topic_id, "partitions": [0, 1]}]
    answer = d.try_to_ask(
        "ConsumerGroupHeartbeat",
        1,
        group_id=group,
        member_id="anna",
        member_epoch=first,
        topic_partitions=both,
    )
    kept = answer.assignment.topic_partitions[0].partitions[0]
    one = [{"topic_id": topic_id, "partitions": [kept]}]
    now = beat(d, "anna gives one up", "anna", first, group, topic_partitions=one)
    for title, index, epoch in (
        ("what she has, now", kept, now),
        ("what she has, at her first epoch", kept, first),
        ("what she has, before it", kept, 0),
        ("what she has, at the next epoch", kept, now + 1),
        ("what she had, now", 1 - kept, now),
        ("what she had, at her first epoch", 1 - kept, first),
    ):
        mine = {"member_id": "anna", "generation_id_or_member_epoch": epoch}
        commit(d, f"of {title}", group, 9, index=index, **mine)
        row = {"group_id": group, "topics": None, "member_id": "anna", "member_epoch": epoch}
        d.ask(f"fetch after {title}", "OffsetFetch", 9, groups=[row])


def _is_static(d: Dialogue) -> None:
    mine = {"group": "s", "instance_id": "i"}
    epoch = beat(d, "static joins", "m", 0, **mine, **NEW)
    beat(d, "static joins as another", "n", 0, **mine, **NEW)
    beat(d, "static lives as another", "n", epoch, **mine)
    beat(d, "static goes", "m", -2, **mine)
    beat(d, "static lives after going", "m", epoch, **mine)
    epoch = beat(d, "static comes back", "n", 0, **mine, **NEW)
    beat(d, "static by the old id", "m", epoch, **mine)
    beat(d, "static by an unknown instance", "n", epoch, "s", instance_id="j")
    beat(d, "static goes by an unknown instance", "n", -2, "s", instance_id="j")
    beat(d, "static leaves", "n", -1, **mine)


def _migrates(d: Dialogue) -> None:
    """A classic group becomes one of the consumer protocol, and back."""
    group = "moved"
    first = join(d, "to be moved", group, version=3)
    mine = {"group_id": group, "member_id": first.member_id, "generation_id": first.generation_id}
    data = b"\0\1" + b"\0\0\0\1\0\1t\0\0\0\2\0\0\0\0\0\0\0\1" + b"\xff\xff\xff\xff"
    assignments = [{"member_id": first.member_id, "assignment": data}]
    d.ask("sync to be moved", "SyncGroup", 3, **mine, assignments=assignments)
    beat(d, "moves it", "new", 0, group, **NEW)
    describe(d, "moved", group)
    d.ask("moved, a classic beat", "Heartbeat", 4, **mine)
    beat(d, "leaves the moved", "new", -1, group)
    describe(d, "moved back", group)
    d.ask("moved back, a beat", "Heartbeat", 4, **mine)


def _replaces(d: Dialogue) -> None:
    """A classic member takes the place of the last static one of the consumer protocol."""
    mine = {"group": "replaced", "instance_id": "i"}
    beat(d, "static to be replaced", "m", 0, **mine, **NEW)
    beat(d, "static gone for a while", "m", -2, **mine)
    answer = join(
        d, "in its place", "replaced", version=5, group_instance_id="i", hidden=("generation_id",)
    )
    describe(d, "replaced", "replaced")
    d.ask(
        "replaced, a beat",
        "Heartbeat",
        4,
        group_id="replaced",
        member_id=answer.member_id,
        generation_id=answer.generation_id,
        group_instance_id="i",
    )
