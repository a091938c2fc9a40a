"""Share groups: members, sessions, what is acquired and acknowledged, offsets, stored states."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tests.compare.dialogue import Dialogue

from pylog.codec import Record, encode_batch
from pylog.coordinator.share_state import SharePartitionKey

ID_NOBODY_HAS = bytes(range(16))
GAP, ACCEPT, RELEASE, REJECT, RENEW = range(5)
GROUP = 32
ROOMY = {"max_wait_ms": 3_000, "min_bytes": 1, "max_bytes": 1 << 20}
NOTHING = {"max_wait_ms": 0, "min_bytes": 0, "max_bytes": 0, "max_records": 0, "batch_size": 0}
Ack = tuple[int, int, Sequence[int]]


def play(d: Dialogue) -> None:
    d.ask("find", "FindCoordinator", 6, key_type=0, coordinator_keys=["g"])
    _beats(d)
    _configures(d)
    _fetches(d)
    _acknowledges(d)
    _acquires(d)
    _renews(d)
    _has_sessions(d)
    _administers(d)
    _keeps_states(d)


# ---- what they do ----


class Reader:
    """A member of a group of its own name, which reads partition 0 of a topic of that name."""

    def __init__(self, d: Dialogue, name: str, batches: Sequence[int]) -> None:
        self._d = d
        self.name = name
        self.epoch = 0
        topic = {"name": name, "num_partitions": 1, "replication_factor": 1}
        d.try_to_ask("CreateTopics", 7, topics=[topic], timeout_ms=10_000)
        for records in batches:
            produce(d, name, records)
        configure(d, name, "share.auto.offset.reset", "earliest")
        self.topic_id = self._join()

    def _join(self) -> bytes:
        epoch, assigned = 0, None
        while not assigned:
            answer = self._d.try_to_ask(
                "ShareGroupHeartbeat",
                1,
                by=self.name,
                group_id=self.name,
                member_id=self.name,
                member_epoch=epoch,
                subscribed_topic_names=[self.name] if epoch == 0 else None,
            )
            epoch = answer.member_epoch
            assigned = answer.assignment and answer.assignment.topic_partitions
            time.sleep(0 if assigned else 0.1)
        return bytes(assigned[0].topic_id)

    def fetch(self, title: str, acks: Sequence[Ack] = (), **fields: Any) -> Any:
        fields = {"max_records": 100, "batch_size": 100} | ROOMY | fields
        return self._ask(title, "ShareFetch", acks, fields)

    def acknowledge(self, title: str, *acks: Ack, **fields: Any) -> Any:
        return self._ask(title, "ShareAcknowledge", acks, fields)

    def leave(self) -> None:
        self._d.try_to_ask(
            "ShareAcknowledge",
            2,
            by=self.name,
            group_id=self.name,
            member_id=self.name,
            share_session_epoch=-1,
        )
        self._d.try_to_ask(
            "ShareGroupHeartbeat",
            1,
            by=self.name,
            group_id=self.name,
            member_id=self.name,
            member_epoch=-1,
        )

    def _ask(self, title: str, api: str, acks: Sequence[Ack], fields: dict[str, Any]) -> Any:
        """Adds the partition to the session at first, and with acknowledgements."""
        topics = []
        if acks or self.epoch == 0:
            partition = {
                "partition_index": fields.pop("partition", 0),
                "acknowledgement_batches": [
                    {"first_offset": first, "last_offset": last, "acknowledge_types": list(types)}
                    for first, last, types in acks
                ],
            }
            topics = [
                {"topic_id": fields.pop("topic_id", self.topic_id), "partitions": [partition]}
            ]
        asked = {"group_id": self.name, "member_id": self.name, "topics": topics}
        asked |= {"share_session_epoch": self.epoch} | fields
        answer = self._d.ask(
            f"{self.name}: {title}", api, 2, by=self.name, hidden=("records",), **asked
        )
        if answer is None:
            return None
        if answer.error_code == 0 and asked["share_session_epoch"] == self.epoch:
            self.epoch += 1
        return answer


def produce(d: Dialogue, topic: str, records: int) -> None:
    batch = encode_batch([Record(None, b"value") for _ in range(records)])
    partition = {"index": 0, "records": batch}
    topic_data = [{"name": topic, "partition_data": [partition]}]
    d.try_to_ask("Produce", 9, acks=-1, timeout_ms=10_000, topic_data=topic_data)


def configure(d: Dialogue, group: str, name: str, value: str) -> Any:
    configs = [{"name": name, "config_operation": 0, "value": value}]
    resource = {"resource_type": GROUP, "resource_name": group, "configs": configs}
    return d.try_to_ask("IncrementalAlterConfigs", 1, resources=[resource])


# ---- members ----


def _beats(d: Dialogue) -> None:
    def beat(title: str, member: str, epoch: int, group: str = "g", **fields: Any) -> None:
        fields = {"group_id": group, "member_id": member, "member_epoch": epoch} | fields
        d.ask(f"beat: {title}", "ShareGroupHeartbeat", 1, **fields)

    names = {"subscribed_topic_names": ["nowhere"]}
    beat("no group", "m", 0, "", **names)
    beat("blank group", "m", 0, "  ", **names)
    beat("no member", "", 0, **names)
    beat("overlong member", "m" * 37, 0, **names)
    beat("no subscription", "m", 0)
    beat("empty subscription", "m", 0, subscribed_topic_names=[])
    beat("empty rack", "m", 0, rack_id="", **names)
    beat("epoch -2", "m", -2, **names)
    beat("leaves an unknown group", "m", -1, "unknown")
    beat("lives in an unknown group", "m", 5, "unknown")
    beat("joins", "m", 0, **names)
    beat("joins again", "m", 0, **names)
    beat("epoch 99", "m", 99)
    beat("another leaves", "n", -1)
    beat("another lives", "n", 1)
    beat("leaves", "m", -1)
    beat("leaves again", "m", -1)
    strange = {"rebalance_timeout_ms": 10_000, "topic_partitions": []} | names
    fields = {"group_id": "of-consumers", "member_id": "m", "member_epoch": 0} | strange
    d.try_to_ask("FindCoordinator", 6, key_type=0, coordinator_keys=["of-consumers"])
    d.try_to_ask("ConsumerGroupHeartbeat", 1, **fields)
    beat("joins consumers", "m", 0, "of-consumers", **names)
    fields = {"group_id": "g", "member_id": "m", "member_epoch": 0} | strange
    d.ask("a consumer joins", "ConsumerGroupHeartbeat", 1, **fields)
    asked = ["g", "of-consumers", "nobody", ""]
    d.ask("describe", "ShareGroupDescribe", 1, group_ids=asked, hidden=("client_host",))


def _configures(d: Dialogue) -> None:
    tried = {
        "share.auto.offset.reset": ["none", "EARLIEST", "by_duration:PT1H", "by_duration:-PT1H"],
        "share.isolation.level": ["read_committed", "READ_COMMITTED"],
        "share.record.lock.duration.ms": ["14999", "15000", "60000", "60001", "soon"],
        "share.delivery.count.limit": ["1", "2", "10", "11"],
        "share.partition.max.record.locks": ["99", "100", "4000", "4001"],
        "share.heartbeat.interval.ms": ["4999", "5000", "15000", "15001"],
        "share.session.timeout.ms": ["44999", "45000", "60000", "60001"],
        "share.assignment.interval.ms": ["-1", "0", "15000", "15001"],
        "share.renew.acknowledge.enable": ["false", "no"],
        "errors.deadletterqueue.topic.name": ["dlq.x", "other", "__internal", ""],
        "errors.deadletterqueue.copy.record.enable": ["true", "no"],
        "share.unknown": ["1"],
    }
    for name, values in tried.items():
        for value in values:
            configs = [{"name": name, "config_operation": 0, "value": value}]
            resource = {"resource_type": GROUP, "resource_name": "c", "configs": configs}
            title = f"configure {name} = {value}"
            d.ask(title, "IncrementalAlterConfigs", 1, resources=[resource])


# ---- fetching and acknowledging ----


def _fetches(d: Dialogue) -> None:
    reader = Reader(d, "fetching", [3])
    reader.fetch("no session", share_session_epoch=3)
    reader.fetch("no session to end", share_session_epoch=-1)
    reader.fetch("epoch -2", share_session_epoch=-2)
    reader.fetch("without group", group_id=None)
    reader.fetch("without member", member_id=None)
    reader.fetch("acknowledges at once", [(0, 0, [ACCEPT])])
    reader.fetch("an unknown topic", topic_id=ID_NOBODY_HAS)
    reader.epoch = 0
    reader.fetch("an unknown partition", partition=7)
    reader.epoch = 0
    reader.fetch("a negative partition", partition=-1)
    reader.epoch = 0
    reader.fetch("everything")
    reader.fetch("accepts one", [(0, 0, [ACCEPT])], max_wait_ms=0)
    reader.fetch("an epoch again", share_session_epoch=1)
    reader.fetch("a later epoch", share_session_epoch=9)
    reader.fetch("accepts it again, and the next", [(0, 1, [ACCEPT])], max_wait_ms=0)
    reader.fetch("accepts what is beyond the end", [(3, 3, [ACCEPT])], max_wait_ms=0)
    reader.fetch("gets again what it releases", [(2, 2, [RELEASE])])
    reader.fetch("ends", share_session_epoch=-1)
    reader.fetch("ends again", share_session_epoch=-1)
    reader.epoch = 0
    reader.fetch("gets what the end released")


def _acknowledges(d: Dialogue) -> None:
    reader = Reader(d, "acknowledging", [1] * 6)
    for title, epoch in (("in no session", 1), ("at epoch 0", 0), ("to end no session", -1)):
        reader.acknowledge(title, (0, 0, [ACCEPT]), share_session_epoch=epoch)
    reader.fetch("gets all")
    for title, acks in (
        ("beyond the end", [(6, 7, [ACCEPT])]),
        ("partly beyond the end", [(5, 7, [ACCEPT])]),
        ("no type", [(0, 0, [])]),
        ("too few types", [(0, 2, [ACCEPT, ACCEPT])]),
        ("too many types", [(0, 0, [ACCEPT, ACCEPT])]),
        ("an end before the beginning", [(2, 1, [ACCEPT])]),
        ("out of order", [(2, 2, [ACCEPT]), (0, 0, [ACCEPT])]),
        ("type 9", [(0, 0, [9])]),
        ("type -1", [(0, 0, [-1])]),
        ("a renewal that is not announced", [(0, 0, [RENEW])]),
        ("one", [(0, 0, [ACCEPT])]),
        ("the same again", [(0, 0, [ACCEPT])]),
        ("of each type", [(1, 4, [ACCEPT, RELEASE, REJECT, GAP])]),
        ("what was released", [(2, 2, [ACCEPT])]),
        ("what was rejected", [(3, 3, [ACCEPT])]),
        ("what was not there", [(4, 4, [ACCEPT])]),
        ("one that is held and one that is not", [(5, 5, [ACCEPT]), (6, 6, [ACCEPT])]),
    ):
        reader.acknowledge(title, *acks)
    last = (5, 5, [ACCEPT])
    reader.acknowledge("an unknown topic", last, topic_id=ID_NOBODY_HAS)
    reader.acknowledge("an unknown partition", last, partition=9)
    reader.acknowledge("without group", last, group_id=None)
    reader.acknowledge("without member", last, member_id=None)
    reader.acknowledge("of another", last, member_id="somebody")
    reader.acknowledge("a later epoch", last, share_session_epoch=reader.epoch + 3)
    reader.fetch("gets what was released")
    reader.acknowledge("ends", last, share_session_epoch=-1)
    reader.acknowledge("ends again", last, share_session_epoch=-1)


def _acquires(d: Dialogue) -> None:
    tens = [10] * 5
    for size in (1, 10, 15, 100):
        Reader(d, f"batch-size-{size}", tens).fetch("gets", batch_size=size)
    reader = Reader(d, "max-records", tens)
    reader.fetch("4", max_records=4)
    reader.fetch("15", max_records=15)
    reader = Reader(d, "record-limit", tens)
    reader.fetch("3", max_records=3, share_acquire_mode=1)
    reader.fetch("3 more", max_records=3, share_acquire_mode=1)
    limit = Reader(d, "deliveries", [4])
    for number in range(3):
        limit.fetch(f"delivery {number + 1}")
        limit.acknowledge(f"release {number + 1}", (0, 3, [RELEASE]))
    limit.fetch("half of them")
    limit.acknowledge("release half", (0, 1, [RELEASE]))
    limit.fetch("one alone")


def _renews(d: Dialogue) -> None:
    reader = Reader(d, "renewing", [5])
    reader.fetch("gets all")
    renewal, bare = [(0, 0, [RENEW])], {"is_renew_ack": True} | NOTHING
    reader.acknowledge("not announced", *renewal)
    reader.acknowledge("announced", *renewal, is_renew_ack=True)
    reader.acknowledge("announced, accepted", (1, 1, [ACCEPT]), is_renew_ack=True)
    reader.fetch("while it fetches", renewal, is_renew_ack=True)
    reader.fetch("without fetching", renewal, **bare)
    reader.fetch("with one that is accepted", [*renewal, (2, 2, [ACCEPT])], **bare)
    configure(d, "renewing", "share.renew.acknowledge.enable", "false")
    reader.acknowledge("forbidden", *renewal, is_renew_ack=True)


def _has_sessions(d: Dialogue) -> None:
    reader = Reader(d, "sessions", [2])
    reader.fetch("opens")
    reader.epoch = 0
    reader.fetch("opens anew, and keeps what it has", max_wait_ms=0)
    forgotten = [{"topic_id": reader.topic_id, "partitions": [0]}]
    produce(d, "sessions", 1)
    reader.fetch("forgets", forgotten_topics_data=forgotten, max_wait_ms=0)
    reader.fetch("has nothing to read", max_wait_ms=0)
    reader.acknowledge("what it has forgotten", (0, 1, [ACCEPT]))


# ---- offsets and states ----


def _administers(d: Dialogue) -> None:
    reader = Reader(d, "offsets", [1] * 5)

    def describe(title: str, group: str = "offsets", topics: Any = None) -> None:
        groups = [{"group_id": group, "topics": topics}]
        hidden = ("start_offset",) if "read" in title else ()
        d.ask(f"offsets {title}", "DescribeShareGroupOffsets", 1, hidden=hidden, groups=groups)

    def alter(title: str, partitions: dict[int, int], group: str = "offsets", **of: str) -> None:
        parts = [{"partition_index": i, "start_offset": o} for i, o in partitions.items()]
        topics = [{"topic_name": of.get("topic", "offsets"), "partitions": parts}]
        d.ask(f"alter {title}", "AlterShareGroupOffsets", 0, group_id=group, topics=topics)

    def delete(title: str, *topics: str, group: str = "offsets") -> None:
        names = [{"topic_name": topic} for topic in topics]
        d.ask(f"delete {title}", "DeleteShareGroupOffsets", 0, group_id=group, topics=names)

    reader.fetch("gets all")
    reader.acknowledge("two and one behind", (0, 1, [ACCEPT]), (3, 3, [ACCEPT]))
    describe("that were read")
    describe("of no topic", topics=[])
    describe("of an unknown topic", topics=[{"topic_name": "nowhere", "partitions": [0]}])
    describe("of an unknown group", "nobody")
    alter("with members", {0: 3})
    delete("with members", "offsets")
    reader.leave()
    alter("of a new group", {0: 3}, "new")
    describe("of a new group", "new")
    alter("of no group", {0: 3}, "")
    alter("partition 0", {0: 3})
    alter("partition 9", {9: 3})
    alter("an unknown topic", {0: 3}, topic="nowhere")
    describe("that were altered")
    delete("of an unknown group", "offsets", group="nobody")
    delete("of no group", "offsets", group="")
    delete("nothing")
    delete("an unknown topic", "nowhere")
    delete("all", "offsets")
    describe("after that")
    delete("all again", "offsets")
    d.ask("delete the group", "DeleteGroups", 2, groups_names=["offsets"])


def _keeps_states(d: Dialogue) -> None:
    reader = Reader(d, "states", [1])
    key = SharePartitionKey("s", reader.topic_id, 0).text()
    d.try_to_ask("FindCoordinator", 6, key_type=2, coordinator_keys=[key])

    def ask(title: str, api: str, topic_id: bytes = reader.topic_id, **fields: Any) -> None:
        topics = [{"topic_id": topic_id, "partitions": [{"partition": 0} | fields]}]
        version = 1 if api in ("WriteShareGroupState", "ReadShareGroupStateSummary") else 0
        d.ask(f"state: {title}", api, version, group_id="s", topics=topics)

    def write(title: str, state: int, leader: int, start: int, *batches: Sequence[int]) -> None:
        names = ("first_offset", "last_offset", "delivery_state", "delivery_count")
        told = [dict(zip(names, batch, strict=True)) for batch in batches]
        epochs = {"state_epoch": state, "leader_epoch": leader, "start_offset": start}
        ask(title, "WriteShareGroupState", **epochs, state_batches=told)

    begin, read = "InitializeShareGroupState", "ReadShareGroupState"
    ask("read nothing", read, leader_epoch=0)
    ask("sum up nothing", "ReadShareGroupStateSummary", leader_epoch=0)
    write("write nothing", 0, 0, 0)
    ask("delete nothing", "DeleteShareGroupState")
    ask("begin an unknown topic", begin, ID_NOBODY_HAS, state_epoch=0, start_offset=0)
    ask("begin partition -1", begin, partition=-1, state_epoch=0, start_offset=0)
    ask("begin epoch -1", begin, state_epoch=-1, start_offset=0)
    ask("begin", begin, state_epoch=1, start_offset=10)
    ask("begin again", begin, state_epoch=1, start_offset=10)
    ask("begin an earlier epoch", begin, state_epoch=0, start_offset=10)
    ask("read", read, leader_epoch=2)
    ask("read by an earlier leader", read, leader_epoch=1)
    ask("read by leader -1", read, leader_epoch=-1)
    write("write", 1, 2, 12, (12, 15, 2, 1), (16, 20, 0, 2))
    write("write over it", 1, 2, -1, (14, 18, 4, 3))
    ask("read what was written", read, leader_epoch=2)
    write("write of an earlier state", 0, 2, 13)
    write("write by an earlier leader", 1, 1, 13)
    write("move the start", 1, 2, 17)
    ask("read what is left", read, leader_epoch=2)
    ask("begin anew", begin, state_epoch=3, start_offset=-1)
    ask("read what is new", read, leader_epoch=2)
    ask("delete", "DeleteShareGroupState")
    ask("delete again", "DeleteShareGroupState")
    ask("read what was deleted", read, leader_epoch=2)
