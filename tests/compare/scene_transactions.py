"""Transactions of both versions of the protocol, in order and out of it."""

from __future__ import annotations

from typing import Any

from tests.compare.dialogue import Dialogue
from tests.compare.scene_partitions import batch

PREPARED_VERSION = 6


def init(d: Dialogue, title: str, name: str | None, version: int = 5, **fields: Any) -> Any:
    fields = {"transactional_id": name, "transaction_timeout_ms": 60_000} | fields
    return d.ask(f"init {title}", "InitProducerId", version, **fields)


def who(answer: Any, epoch: int = 0) -> dict[str, int]:
    return {"producer_id": answer.producer_id, "producer_epoch": answer.producer_epoch + epoch}


def find(d: Dialogue, title: str, version: int, kind: int, *keys: str) -> None:
    fields: dict[str, Any] = {"key_type": kind} if version else {}
    fields |= {"coordinator_keys": list(keys)} if version >= 4 else {"key": keys[0]}
    d.ask(f"find {title}", "FindCoordinator", version, **fields)


def add(
    d: Dialogue,
    title: str,
    name: str,
    producer: dict[str, int],
    *topics: tuple[str, list[int]],
    version: int = 3,
) -> None:
    rows = [{"name": topic, "partitions": indexes} for topic, indexes in topics]
    fields = {f"v3_and_below_{k}": v for k, v in producer.items()}
    d.ask(
        f"add {title}",
        "AddPartitionsToTxn",
        version,
        v3_and_below_transactional_id=name,
        v3_and_below_topics=rows,
        **fields,
    )


def end(
    d: Dialogue, title: str, name: str, producer: dict[str, int], commit: bool, version: int = 4
) -> Any:
    return d.ask(
        f"end {title}", "EndTxn", version, transactional_id=name, committed=commit, **producer
    )


def send(
    d: Dialogue,
    title: str,
    name: str,
    producer: dict[str, int],
    sequence: int = 0,
    version: int = 11,
    topic: str = "t",
) -> None:
    records = batch(base_sequence=sequence, transactional=True, **producer)
    data = {"name": topic, "partition_data": [{"index": 0, "records": records}]}
    d.ask(
        f"produce {title}",
        "Produce",
        version,
        hidden=("base_offset",),
        transactional_id=name,
        acks=-1,
        timeout_ms=10_000,
        topic_data=[data],
    )


def play(d: Dialogue) -> None:
    for name in ("t", "u"):
        d.try_to_ask(
            "CreateTopics",
            7,
            topics=[{"name": name, "num_partitions": 2, "replication_factor": 1}],
            timeout_ms=10_000,
        )
    _find(d)
    _init(d)
    _first_version(d)
    _second_version(d)
    _offsets(d)
    _markers(d)
    _describe(d)


def _find(d: Dialogue) -> None:
    for kind in (0, 1):
        for version in range(kind, 7):
            find(d, f"type {kind} v{version}", version, kind, "one")
    for version in (3, 6):
        for kind in (-1, 2, 3, 9):
            find(d, f"unknown type {kind} v{version}", version, kind, "one")
        find(d, f"empty group v{version}", version, 0, "")
        find(d, f"empty transactional id v{version}", version, 1, "")
    for key in (
        "g:x:0",
        "g",
        f"g:{'A' * 22}:0",
        "",
        "g:AAAAAAAAAAAAAAAAAAAAAA:x",
        "a:g:AAAAAAAAAAAAAAAAAAAAAA:1",
    ):
        find(d, f"share partition {key!r}", 6, 2, key)
    find(d, "share partition v5", 5, 2, f"g:{'A' * 22}:0")
    find(d, "several", 6, 0, "one", "two", "one")
    find(d, "none", 6, 0)


def _init(d: Dialogue) -> None:
    for version in range(6):
        init(d, f"v{version}", "x", version)
    init(d, "idempotent", None)
    init(d, "an empty id", "")
    for timeout in (0, -1, 900_000, 900_001, 2**31 - 1):
        init(d, f"timeout {timeout}", "timed", transaction_timeout_ms=timeout)
        init(d, f"timeout {timeout} idempotent", None, transaction_timeout_ms=timeout)
    last = d.try_to_ask("InitProducerId", 5, transactional_id="x", transaction_timeout_ms=60_000)
    init(d, "with its id and epoch", "x", **who(last))
    init(d, "with its id and last epoch", "x", **who(last))
    init(d, "with an older epoch", "x", **who(last, -1))
    init(d, "with a newer epoch", "x", **who(last, 5))
    init(d, "with another id", "x", producer_id=99_999, producer_epoch=0)
    init(d, "with an id only", "x", producer_id=last.producer_id)
    init(d, "with an epoch only", "x", producer_epoch=0)
    init(d, "with an unknown id of a new name", "new", producer_id=99_999, producer_epoch=3)
    init(d, "with id and epoch, idempotent", None, producer_id=5, producer_epoch=0)
    init(d, "with id -2", "x", producer_id=-2, producer_epoch=0)
    init(d, "with epoch -2", "x", producer_id=5, producer_epoch=-2)


def _first_version(d: Dialogue) -> None:
    one = who(init(d, "one", "one"))
    name = "one"
    for version in range(4):
        add(d, f"v{version}", name, one, ("t", [0]), version=version)
    add(d, "again", name, one, ("t", [0]))
    add(d, "more", name, one, ("t", [1]), ("u", [0]))
    add(d, "an unknown topic", name, one, ("nobody", [0]), ("t", [0]))
    add(d, "an unknown partition", name, one, ("t", [0, 9]))
    add(d, "none", name, one)
    add(d, "a topic without partitions", name, one, ("t", []))
    add(d, "to an unknown id", "nobody", one, ("t", [0]))
    add(d, "to an empty id", "", one, ("t", [0]))
    for version in (1, 3):
        old = one | {"producer_epoch": one["producer_epoch"] - 1}
        new = one | {"producer_epoch": one["producer_epoch"] + 1}
        add(d, f"by an older epoch v{version}", name, old, ("t", [0]), version=version)
        add(d, f"by a newer epoch v{version}", name, new, ("t", [0]), version=version)
        add(
            d,
            f"by another producer v{version}",
            name,
            one | {"producer_id": 9},
            ("t", [0]),
            version=version,
        )
    send(d, "in it", name, one)
    send(d, "in it, elsewhere", name, one, topic="u")
    for version in range(5):
        end(d, f"v{version}", name, one, True, version)
    end(d, "again, aborting", name, one, False)
    add(d, "another", name, one, ("t", [0]))
    end(d, "by an older epoch", name, one | {"producer_epoch": one["producer_epoch"] - 1}, True)
    end(d, "by a newer epoch", name, one | {"producer_epoch": one["producer_epoch"] + 1}, True)
    end(d, "by another producer", name, one | {"producer_id": 9}, True)
    end(d, "of an unknown id", "nobody", one, True)
    end(d, "of an empty id", "", one, True)
    end(d, "aborting", name, one, False)
    end(d, "aborting again", name, one, False)
    end(d, "again, committing", name, one, True)
    two = who(init(d, "two", "two"))
    end(d, "of nothing, committing", "two", two, True)
    end(d, "of nothing, aborting", "two", two, False)
    send(d, "without adding v11", "two", two)
    send(d, "without adding v9", "two", two, version=9)
    add(d, "to two", "two", two, ("t", [0]))
    init(d, "two again, while it is open", "two")
    init(d, "two once more", "two")
    _several(d)


def _several(d: Dialogue) -> None:
    three = who(init(d, "three", "three"))
    for version in (4, 5):
        for verify in (True, False):
            rows = [
                {
                    "transactional_id": name,
                    "verify_only": verify,
                    "topics": [{"name": "t", "partitions": [1]}],
                }
                | three
                for name in ("three", "nobody")
            ]
            d.ask(f"several v{version}, {verify}", "AddPartitionsToTxn", version, transactions=rows)


def _second_version(d: Dialogue) -> None:
    four = init(d, "four", "four")
    name, first = "four", who(four)
    send(d, "by the second version", name, first, version=12)
    answer = end(d, "by the second version", name, first, True, 5)
    second = who(answer)
    end(d, "by the second version again", name, first, True, 5)
    end(d, "by the second version again, aborting", name, first, False, 5)
    send(d, "with the epoch before", name, first, 1, version=12)
    send(d, "with the next epoch", name, second, version=12)
    answer = end(d, "aborting by the second version", name, second, False, 5)
    third = who(answer)
    end(d, "aborting again by the second version", name, second, False, 5)
    answer = end(d, "nothing, aborting, by the second version", name, third, False, 5)
    fourth = who(answer)
    end(d, "nothing, aborting, again", name, third, False, 5)
    end(d, "nothing, committing, by the second version", name, fourth, True, 5)
    end(d, "a newer epoch, by the second version", name, fourth | {"producer_epoch": 99}, False, 5)
    end(d, "an older epoch, by the second version", name, first, False, 5)
    five = who(init(d, "five", "five"))
    end(d, "nothing yet, aborting, by the second version", "five", five, False, 5)


def _offsets(d: Dialogue) -> None:
    six = who(init(d, "six", "six"))
    for version in range(5):
        d.ask(
            f"offsets of a group v{version}",
            "AddOffsetsToTxn",
            version,
            transactional_id="six",
            group_id="g",
            **six,
        )
    for title, fields in (
        ("an empty group", {"group_id": ""}),
        ("an unknown id", {"transactional_id": "nobody"}),
        ("an empty id", {"transactional_id": ""}),
        ("an older epoch", {"producer_epoch": six["producer_epoch"] - 1}),
        ("a newer epoch", {"producer_epoch": six["producer_epoch"] + 1}),
        ("another producer", {"producer_id": 9}),
    ):
        fields = {"transactional_id": "six", "group_id": "g"} | six | fields
        d.ask(f"offsets of {title}", "AddOffsetsToTxn", 3, **fields)

    def commit(
        title: str,
        version: int = 4,
        topic: str = "t",
        index: int = 0,
        offset: int = 5,
        metadata: str | None = "m",
        **fields: Any,
    ) -> None:
        row = {"partition_index": index, "committed_offset": offset, "committed_metadata": metadata}
        rows = [
            {"partitions": [row]}
            | ({"name": topic} if version < 6 else {"topic_id": fields.pop("topic_id")})
        ]
        fields = {"transactional_id": "six", "group_id": "g", "topics": rows} | six | fields
        d.ask(f"commit in it {title}", "TxnOffsetCommit", version, **fields)

    for version in range(5):
        commit(f"v{version}", version)
    for version in (2, 3, 4, 5):
        commit(f"by an older epoch v{version}", version, producer_epoch=six["producer_epoch"] - 1)
        commit(f"by a newer epoch v{version}", version, producer_epoch=six["producer_epoch"] + 1)
        commit(f"by another producer v{version}", version, producer_id=9)
        commit(f"of another group v{version}", version, group_id="another")
        commit(f"of an empty group v{version}", version, group_id="")
    commit("of an unknown topic", topic="nobody")
    commit("of an empty topic", topic="")
    commit("of an unknown partition", index=9)
    commit("of a negative partition", index=-1)
    commit("of a negative offset", offset=-5)
    commit("of a long text", metadata="x" * 5000)
    commit("of no text", metadata=None)
    commit("by an unknown member", member_id="nobody", generation_id_or_member_epoch=1)
    commit("by a member without generation", member_id="nobody")
    commit(
        "by an unknown instance",
        group_instance_id="nobody",
        member_id="a",
        generation_id_or_member_epoch=1,
    )
    commit("of a generation", generation_id_or_member_epoch=1)
    commit("of nothing", topics=[])
    end(d, "with offsets", "six", six, True)
    seven = who(init(d, "seven", "seven"))
    commit("by the second version", 5, transactional_id="seven", group_id="h", **seven)
    end(d, "with offsets, by the second version", "seven", seven, True, 5)
    groups = [{"group_id": group, "topics": None} for group in ("g", "h")]
    d.ask("offsets committed", "OffsetFetch", 9, groups=groups)


def _markers(d: Dialogue) -> None:
    def write(title: str, topic: str, indexes: list[int], version: int = 1, **fields: Any) -> None:
        topics = [{"name": topic, "partition_indexes": indexes}]
        row = {
            "producer_id": 77_777,
            "producer_epoch": 1,
            "transaction_result": True,
            "topics": topics,
        }
        d.ask(f"markers {title}", "WriteTxnMarkers", version, markers=[row | fields])

    for version in (1, 2):
        write(f"v{version}", "u", [1], version)
    write("of an older coordinator", "u", [1], coordinator_epoch=-1)
    write("of an older epoch", "u", [1], producer_epoch=0)
    write("of an unknown topic", "nobody", [0])
    write("of an unknown partition", "u", [0, 9])
    write("of no topics", "u", [1], topics=[])
    d.ask("markers none", "WriteTxnMarkers", 1)


def _describe(d: Dialogue) -> None:
    eight = who(init(d, "eight", "eight"))
    add(d, "to eight", "eight", eight, ("t", [0, 1]), ("u", [0]))
    d.ask(
        "transactions: some",
        "DescribeTransactions",
        0,
        transactional_ids=["eight", "one", "nobody", ""],
    )
    d.ask(
        "transactions: one twice", "DescribeTransactions", 0, transactional_ids=["eight", "eight"]
    )
    d.ask("transactions: none", "DescribeTransactions", 0)
    for version in range(3):
        d.ask(f"transactions listed v{version}", "ListTransactions", version)
    for title, fields in (
        ("ongoing", {"state_filters": ["Ongoing"]}),
        ("ongoing in small letters", {"state_filters": ["ongoing"]}),
        ("of an unknown state", {"state_filters": ["Nothing"]}),
        ("of an unknown state and one known", {"state_filters": ["Nothing", "Ongoing", ""]}),
        ("of a producer", {"producer_id_filters": [eight["producer_id"]]}),
        ("of an unknown producer", {"producer_id_filters": [-1]}),
        ("of a long time", {"duration_filter": 10**12}),
        ("of any time", {"duration_filter": 0}),
        ("of a negative time", {"duration_filter": -5}),
        ("of a pattern", {"transactional_id_pattern": "ei.*"}),
        ("of part of a pattern", {"transactional_id_pattern": "eigh"}),
        ("of an empty pattern", {"transactional_id_pattern": ""}),
        ("of a wrong pattern", {"transactional_id_pattern": "("}),
        ("of a possessive pattern", {"transactional_id_pattern": "ei[a-z&&[^x]]*+"}),
    ):
        d.ask(f"transactions listed {title}", "ListTransactions", 2, **fields)
