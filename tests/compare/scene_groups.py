"""Groups of the classic protocol: join, live, commit, describe and leave, and out of order."""

from __future__ import annotations

from typing import Any

from tests.compare.dialogue import Dialogue

ID_NOBODY_HAS = bytes(range(16))
SUBSCRIPTION = b"\0\1" + b"\0\0\0\1\0\1t" + b"\xff\xff\xff\xff" + b"\0\0\0\0"
PROTOCOLS = [{"name": "range", "metadata": SUBSCRIPTION}]


def play(d: Dialogue) -> None:
    for name in ("t", "u"):
        d.try_to_ask(
            "CreateTopics",
            7,
            topics=[{"name": name, "num_partitions": 2, "replication_factor": 1}],
            timeout_ms=10_000,
        )
    d.ask("find", "FindCoordinator", 6, key_type=0, coordinator_keys=["classic"])
    _joins(d)
    member = _lives(d)
    _commits(d)
    _fetches(d)
    _describes(d)
    _leaves(d, member)
    _static(d)
    _deletes(d)


def join(
    d: Dialogue, title: str, group: str, member: str = "", version: int = 9, **fields: Any
) -> Any:
    fields = {
        "group_id": group,
        "member_id": member,
        "session_timeout_ms": 30_000,
        "rebalance_timeout_ms": 30_000,
        "protocol_type": "consumer",
        "protocols": PROTOCOLS,
    } | fields
    if version == 0:
        fields.pop("rebalance_timeout_ms")
    return d.ask(f"join {title}", "JoinGroup", version, **fields)


def _joins(d: Dialogue) -> None:
    for version in range(4):
        join(d, f"v{version}", f"classic-{version}", version=version)
    for version in range(4, 10):
        join(d, f"v{version}", f"classic-{version}", version=version)
    join(d, "without group", "")
    join(d, "with an unknown member", "classic", "nobody")
    join(d, "without a protocol", "classic", protocols=[])
    join(d, "without a protocol type", "classic", protocol_type="")
    join(
        d,
        "with an empty protocol name v5",
        "quiet",
        version=3,
        protocols=[{"name": "", "metadata": b""}],
    )
    for timeout in (0, 5_999, 1_800_001, -1, 6_000):
        join(d, f"with session timeout {timeout}", "classic", session_timeout_ms=timeout)
    join(d, "with rebalance timeout -1", "patient", version=3, rebalance_timeout_ms=-1)
    join(d, "with an empty instance id", "picky", group_instance_id="")
    join(d, "with an overlong instance id", "picky", group_instance_id="x" * 250)
    join(d, "with a wrong instance id", "picky", group_instance_id="a b")


def _lives(d: Dialogue) -> str:
    first = join(d, "the first time", "classic")
    answer = join(d, "with the id given", "classic", first.member_id)
    member, generation = str(answer.member_id), int(answer.generation_id)
    join(
        d, "another protocol", "classic", protocols=[{"name": "other", "metadata": b""}], version=3
    )
    join(d, "another protocol type", "classic", protocol_type="connect", version=3)

    def sync(
        title: str,
        group: str = "classic",
        who: str = member,
        of: int = generation,
        version: int = 5,
        **fields: Any,
    ) -> None:
        fields = {"group_id": group, "member_id": who, "generation_id": of} | fields
        if version >= 5:
            fields = {"protocol_type": "consumer", "protocol_name": "range"} | fields
        d.ask(f"sync {title}", "SyncGroup", version, **fields)

    def beat(
        title: str,
        group: str = "classic",
        who: str = member,
        of: int = generation,
        version: int = 4,
        **fields: Any,
    ) -> None:
        fields = {"group_id": group, "member_id": who, "generation_id": of} | fields
        d.ask(f"beat {title}", "Heartbeat", version, **fields)

    beat("before the sync")
    sync("without group", "")
    sync("of an unknown group", "nobody")
    sync("of an unknown member", who="nobody")
    sync("of an older generation", of=generation - 1)
    sync("of a newer generation", of=generation + 1)
    sync("of another protocol", protocol_name="other")
    sync("of another protocol type", protocol_type="connect")
    sync("of no protocol", protocol_name=None)
    sync("of an unknown instance", group_instance_id="nobody")
    sync("rightly", assignments=[{"member_id": member, "assignment": b"mine"}])
    for version in range(6):
        sync(f"again v{version}", version=version)
    for version in range(5):
        beat(f"v{version}", version=version)
    beat("without group", "")
    beat("of an unknown group", "nobody")
    beat("of an unknown member", who="nobody")
    beat("of no member", who="")
    beat("of an older generation", of=generation - 1)
    beat("of a newer generation", of=generation + 1)
    beat("of an unknown instance", group_instance_id="nobody")
    d.member, d.generation = member, generation  # type: ignore[attr-defined]
    return member


def commit(
    d: Dialogue,
    title: str,
    group: str,
    version: int = 9,
    topic: str = "t",
    index: int = 0,
    offset: int = 5,
    metadata: str | None = "m",
    **fields: Any,
) -> None:
    row = {"partition_index": index, "committed_offset": offset, "committed_metadata": metadata}
    where = {"topic_id": fields.pop("topic_id")} if version >= 10 else {"name": topic}
    fields = {"group_id": group, "topics": [where | {"partitions": [row]}]} | fields
    d.ask(f"commit {title}", "OffsetCommit", version, **fields)


def _commits(d: Dialogue) -> None:
    mine = {"member_id": d.member, "generation_id_or_member_epoch": d.generation}  # type: ignore[attr-defined]
    topic_id = d.try_to_ask("Metadata", 12, topics=[{"name": "t"}]).topics[0].topic_id
    for version in range(2, 10):
        commit(d, f"v{version}", "classic", version, **mine)
        commit(d, f"by nobody to a new group v{version}", f"simple-{version}", version)
    commit(d, "v10", "classic", 10, topic_id=topic_id, **mine)
    commit(d, "to an unknown id", "classic", 10, topic_id=ID_NOBODY_HAS, **mine)
    commit(d, "to no id", "classic", 10, topic_id=bytes(16), **mine)
    for version in (8, 9):
        commit(d, f"by nobody v{version}", "classic", version)
        commit(
            d,
            f"by an unknown member v{version}",
            "classic",
            version,
            **mine | {"member_id": "nobody"},
        )
        commit(
            d,
            f"of a newer generation v{version}",
            "classic",
            version,
            **mine | {"generation_id_or_member_epoch": 99},
        )
        commit(
            d,
            f"of an older generation v{version}",
            "classic",
            version,
            **mine | {"generation_id_or_member_epoch": 0},
        )
        commit(
            d,
            f"of generation -2 v{version}",
            "classic",
            version,
            **mine | {"generation_id_or_member_epoch": -2},
        )
        commit(d, f"of a member in an unknown group v{version}", "nobody", version, **mine)
        commit(
            d,
            f"of a generation in an unknown group v{version}",
            "nobody",
            version,
            generation_id_or_member_epoch=1,
        )
        commit(d, f"without group v{version}", "", version)
        commit(
            d,
            f"by an unknown instance v{version}",
            "classic",
            version,
            **mine,
            group_instance_id="nobody",
        )
    commit(d, "of an unknown topic", "classic", topic="nobody", **mine)
    commit(d, "of an empty topic", "classic", topic="", **mine)
    commit(d, "of an unknown partition", "classic", index=9, **mine)
    commit(d, "of a negative partition", "classic", index=-1, **mine)
    commit(d, "of a negative offset", "classic", offset=-1, **mine)
    commit(d, "of offset -5", "classic", offset=-5, **mine)
    commit(d, "of a long text", "classic", metadata="x" * 4097, **mine)
    commit(d, "of a text just right", "classic", metadata="x" * 4096, **mine)
    commit(d, "of a text just right in bytes", "classic", metadata="ü" * 4096, **mine)
    commit(d, "of no text", "classic", metadata=None, **mine)
    commit(d, "of nothing", "classic", topics=[], **mine)
    commit(
        d,
        "of nothing by an unknown member",
        "classic",
        topics=[],
        member_id="nobody",
        generation_id_or_member_epoch=1,
    )
    row = {"partition_index": 0, "committed_offset": 7}
    twice = {"name": "t", "partitions": [row, row | {"committed_offset": 8}]}
    commit(d, "of a partition twice", "classic", topics=[twice], **mine)


def _fetches(d: Dialogue) -> None:
    topics = [
        {"name": "t", "partition_indexes": [0, 1, 9]},
        {"name": "nobody", "partition_indexes": [0]},
    ]
    for version in range(1, 8):
        d.ask(f"fetch v{version}", "OffsetFetch", version, group_id="classic", topics=topics)
        if version >= 2:
            d.ask(f"fetch all v{version}", "OffsetFetch", version, group_id="classic", topics=None)
        d.ask(
            f"fetch of an unknown group v{version}",
            "OffsetFetch",
            version,
            group_id="nobody",
            topics=topics,
        )
        d.ask(f"fetch without group v{version}", "OffsetFetch", version, group_id="", topics=topics)

    def fetch(title: str, *groups: dict[str, Any], version: int = 9, **fields: Any) -> None:
        d.ask(f"fetch {title}", "OffsetFetch", version, groups=list(groups), **fields)

    topic_id = d.try_to_ask("Metadata", 12, topics=[{"name": "t"}]).topics[0].topic_id
    for version in (8, 9):
        fetch(f"v{version}", {"group_id": "classic", "topics": topics}, version=version)
        fetch(f"all v{version}", {"group_id": "classic", "topics": None}, version=version)
    ids = [
        {"topic_id": topic_id, "partition_indexes": [0]},
        {"topic_id": ID_NOBODY_HAS, "partition_indexes": [0]},
        {"topic_id": bytes(16), "partition_indexes": [0]},
    ]
    fetch("v10", {"group_id": "classic", "topics": ids}, version=10)
    fetch("all v10", {"group_id": "classic", "topics": None}, version=10)
    fetch(
        "several",
        {"group_id": "classic", "topics": None},
        {"group_id": "", "topics": None},
        {"group_id": "nobody", "topics": None},
    )
    fetch(
        "one twice", {"group_id": "classic", "topics": []}, {"group_id": "classic", "topics": None}
    )
    fetch("none")
    fetch("no topics", {"group_id": "classic", "topics": []})
    fetch("stable", {"group_id": "classic", "topics": topics}, require_stable=True)
    for member, epoch in (
        ("nobody", 1),
        ("nobody", -1),
        (None, 0),
        (d.member, d.generation),
        (d.member, 99),
    ):  # type: ignore[attr-defined]
        title = "mine" if member == d.member else member  # type: ignore[attr-defined]
        fetch(
            f"by {title} at {epoch}",
            {"group_id": "classic", "topics": topics, "member_id": member, "member_epoch": epoch},
        )
    fetch(
        "by a member of an unknown group",
        {"group_id": "nobody", "topics": topics, "member_id": "a", "member_epoch": 1},
    )
    row = {"name": "t", "partition_indexes": [0, 0, -1]}
    fetch("a partition twice", {"group_id": "classic", "topics": [row, row]})


def _describes(d: Dialogue) -> None:
    hidden = ("client_host",)
    for version in range(7):
        d.ask(
            f"describe v{version}",
            "DescribeGroups",
            version,
            hidden=hidden,
            groups=["classic", "nobody", ""],
        )
    d.ask("describe none", "DescribeGroups", 6, groups=[])
    d.ask("describe twice", "DescribeGroups", 6, hidden=hidden, groups=["classic", "classic"])
    d.ask(
        "describe a classic group as consumers",
        "ConsumerGroupDescribe",
        1,
        group_ids=["classic", "nobody", ""],
    )
    d.ask(
        "describe a classic group as sharing",
        "ShareGroupDescribe",
        1,
        group_ids=["classic", "nobody", ""],
    )
    d.ask(
        "operations",
        "DescribeGroups",
        6,
        hidden=hidden,
        groups=["classic"],
        include_authorized_operations=True,
    )


def _lists(d: Dialogue, title: str) -> None:
    for version in range(6):
        d.ask(f"{title} listed v{version}", "ListGroups", version)
    for states, types in (
        (["Stable"], []),
        (["stable", "EMPTY"], []),
        (["Nothing"], []),
        ([""], []),
        ([], ["classic"]),
        ([], ["Consumer"]),
        ([], ["nothing"]),
        ([], [""]),
        (["Empty"], ["classic", "consumer"]),
    ):
        d.ask(
            f"{title} listed {states} {types}",
            "ListGroups",
            5,
            states_filter=states,
            types_filter=types,
        )


def _leaves(d: Dialogue, member: str) -> None:
    _lists(d, "groups")

    def leave(title: str, group: str, *members: dict[str, Any], version: int = 5) -> None:
        d.ask(f"leave {title}", "LeaveGroup", version, group_id=group, members=list(members))

    for version in range(3):
        d.ask(f"leave v{version}", "LeaveGroup", version, group_id="classic", member_id="nobody")
        d.ask(
            f"leave an unknown group v{version}",
            "LeaveGroup",
            version,
            group_id="nobody",
            member_id="a",
        )
        d.ask(f"leave no group v{version}", "LeaveGroup", version, group_id="", member_id="a")
    leave("no group", "", {"member_id": member})
    leave("an unknown group", "nobody", {"member_id": member})
    leave("an unknown member", "classic", {"member_id": "nobody"})
    leave("no member", "classic")
    leave("an empty member", "classic", {"member_id": ""})
    leave("an unknown instance", "classic", {"member_id": "", "group_instance_id": "nobody"})
    leave(
        "member and unknown instance",
        "classic",
        {"member_id": member, "group_instance_id": "nobody"},
    )
    leave("twice", "classic", {"member_id": member}, {"member_id": member})
    leave("again", "classic", {"member_id": member})
    _lists(d, "groups then")
    d.ask("describe what is left", "DescribeGroups", 6, groups=["classic"])


def _static(d: Dialogue) -> None:
    answer = join(d, "static", "static", group_instance_id="i")
    first = str(answer.member_id)
    again = join(d, "static again", "static", group_instance_id="i")
    second = str(again.member_id)
    join(d, "static by the old id", "static", first, group_instance_id="i")
    fields = {"group_id": "static", "generation_id": again.generation_id, "group_instance_id": "i"}
    d.ask("static beat by the old id", "Heartbeat", 4, member_id=first, **fields)
    d.ask("static beat by an unknown id", "Heartbeat", 4, member_id="nobody", **fields)
    d.ask("static beat", "Heartbeat", 4, member_id=second, **fields)
    fields |= {"protocol_type": "consumer", "protocol_name": "range"}
    d.ask("static sync by the old id", "SyncGroup", 5, member_id=first, **fields)
    d.ask(
        "static sync",
        "SyncGroup",
        5,
        member_id=second,
        assignments=[{"member_id": second, "assignment": b"x"}],
        **fields,
    )
    again = join(d, "static after the sync", "static", group_instance_id="i")
    mine = {"generation_id_or_member_epoch": again.generation_id, "group_instance_id": "i"}
    commit(d, "static by the old id", "static", member_id=second, **mine)
    commit(d, "static", "static", member_id=again.member_id, **mine)
    d.ask(
        "static leave by the old id",
        "LeaveGroup",
        5,
        group_id="static",
        members=[{"member_id": first, "group_instance_id": "i"}],
    )
    d.ask(
        "static leave",
        "LeaveGroup",
        5,
        group_id="static",
        members=[{"member_id": "", "group_instance_id": "i"}],
    )


def _deletes(d: Dialogue) -> None:
    def forget(title: str, group: str, topic: str = "t", *indexes: int) -> None:
        topics = [{"name": topic, "partitions": [{"partition_index": i} for i in indexes]}]
        d.ask(f"forget {title}", "OffsetDelete", 0, group_id=group, topics=topics)

    forget("one", "simple-8", "t", 0, 1)
    forget("one again", "simple-8", "t", 0)
    forget("an unknown topic", "simple-9", "nobody", 0)
    forget("an unknown partition", "simple-9", "t", 9)
    forget("of an unknown group", "nobody", "t", 0)
    forget("of no group", "", "t", 0)
    forget("of a topic in use", "classic-3", "t", 0)
    forget("nothing", "simple-9", "t")
    for version in range(4):
        d.ask(
            f"delete v{version}",
            "DeleteGroups",
            version,
            groups_names=[f"simple-{version + 2}", "nobody", ""],
        )
    d.ask("delete one in use", "DeleteGroups", 3, groups_names=["classic-3"])
    d.ask("delete twice", "DeleteGroups", 3, groups_names=["simple-6", "simple-6"])
    d.ask("delete none", "DeleteGroups", 3)
    d.ask("deleted, described", "DescribeGroups", 6, groups=["simple-6"])
