"""Many members, and many groups: a rebalance ends, and nobody else waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.support.broker import BrokerProcess
from tests.support.raw_client import RawClient

from pylog.codec import Record, encode_batch
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    RequestTopicPartitions,
)
from pylog.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pylog.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pylog.protocol.messages.find_coordinator import FindCoordinatorRequest
from pylog.protocol.messages.heartbeat import HeartbeatRequest
from pylog.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pylog.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pylog.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from pylog.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

MEMBERS = 1_000
GROUPS = 2_000
REBALANCE_TIMEOUT_MS = 60_000


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    settings = {"log.durability": "os", "group.initial.rebalance.delay.ms": "500"}
    broker = BrokerProcess(tmp_path / "data", settings)
    broker.start()
    yield broker
    broker.stop_if_running()


class Member:
    """A classic member on a connection of its own; requests and answers may be apart."""

    def __init__(self, client: RawClient, group: str) -> None:
        self.client = client
        self.group = group
        self.id = ""
        self.generation = -1

    def asks_to_join(self) -> None:
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=60_000,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            member_id=self.id,
            protocol_type="test",
            protocols=[JoinGroupRequestProtocol(name="any", metadata=b"x" * 50)],
        )
        self.client.send(request, 3)

    def hears_of_join(self) -> list[str]:
        """The member ids, when it leads."""
        answer = self.client.receive()
        assert answer.error_code == 0, ErrorCode(answer.error_code)
        self.id, self.generation = answer.member_id, answer.generation_id
        return [member.member_id for member in answer.members]

    def asks_to_sync(self, members: Sequence[str]) -> None:
        request = SyncGroupRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.id,
            assignments=[
                SyncGroupRequestAssignment(member_id=member, assignment=member.encode())
                for member in members
            ],
        )
        self.client.send(request, 3)

    def hears_of_sync(self) -> bytes:
        answer = self.client.receive()
        assert answer.error_code == 0, ErrorCode(answer.error_code)
        assignment: bytes = answer.assignment
        return assignment

    def beats(self) -> int:
        request = HeartbeatRequest(
            group_id=self.group, generation_id=self.generation, member_id=self.id
        )
        code: int = self.client.call(request, 3).error_code
        return code


def rebalance(members: Sequence[Member]) -> None:
    """All join and sync; everybody gets its own assignment, of one generation."""
    for member in members:
        member.asks_to_join()
    told = [member.hears_of_join() for member in members]
    for member, known in zip(members, told, strict=True):
        member.asks_to_sync(known)
    for member in members:
        assert member.hears_of_sync() == member.id.encode()
    assert len({member.generation for member in members}) == 1


def find(client: RawClient, group: str) -> None:
    assert client.call(FindCoordinatorRequest(key=group), 1).error_code == 0


def produce(client: RawClient) -> int:
    records = encode_batch([Record(b"k", b"v", 1_700_000_000_000)])
    partition = PartitionProduceData(index=0, records=records)
    request = ProduceRequest(
        acks=-1,
        timeout_ms=10_000,
        topic_data=[TopicProduceData(name="events", partition_data=[partition])],
    )
    answer = client.call(request, 9)
    code: int = answer.responses[0].partition_responses[0].error_code
    return code


def fetch(client: RawClient) -> bytes:
    partition = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    request = FetchRequest(
        max_wait_ms=500,
        max_bytes=1 << 20,
        topics=[FetchTopic(topic="events", partitions=[partition])],
    )
    return bytes(client.call(request, 11).responses[0].partitions[0].records)


def test_thousand_members_rebalance_in_time_and_others_are_served(
    broker: BrokerProcess,
) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(broker.address)) for _ in range(MEMBERS + 2)]
        producer, other = clients.pop(), clients.pop()
        topic = CreatableTopic(name="events", num_partitions=1, replication_factor=1)
        producer.call(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 2)
        find(producer, "big")
        find(producer, "small")
        small = Member(other, "small")
        rebalance([small])
        members = [Member(client, "big") for client in clients]
        rebalance(members)
        begin = time.monotonic()
        for member in members[:-1]:
            member.asks_to_join()
        assert small.beats() == 0, "another group is answered meanwhile"
        assert members[-1].beats() == ErrorCode.REBALANCE_IN_PROGRESS
        assert produce(producer) == 0
        assert fetch(producer)
        members[-1].asks_to_join()
        told = [member.hears_of_join() for member in members]
        for member, known in zip(members, told, strict=True):
            member.asks_to_sync(known)
        for member in members:
            assert member.hears_of_sync() == member.id.encode()
        assert (time.monotonic() - begin) * 1_000 < REBALANCE_TIMEOUT_MS
        broker.kill()
        broker.start()
    with RawClient(broker.address) as client:
        members[7].client = client
        assert members[7].beats() == 0, "members and their generation survive"


def test_two_thousand_groups_commit_and_a_hundred_trios_form(broker: BrokerProcess) -> None:
    with RawClient(broker.address) as client:
        topic = CreatableTopic(name="events", num_partitions=1, replication_factor=1)
        client.call(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 2)
        find(client, "first")
        for number in range(GROUPS):
            partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=number)
            request = OffsetCommitRequest(
                group_id=f"group-{number}",
                topics=[OffsetCommitRequestTopic(name="events", partitions=[partition])],
            )
            client.send(request, 8)
        for _ in range(GROUPS):
            answer = client.receive()
            assert answer.topics[0].partitions[0].error_code == 0
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(broker.address)) for _ in range(300)]
        groups = [Member(c, f"trio-{n // 3}") for n, c in enumerate(clients)]
        for member in groups:
            member.asks_to_join()
        told = [member.hears_of_join() for member in groups]
        for member, known in zip(groups, told, strict=True):
            member.asks_to_sync(known)
        assert all(m.hears_of_sync() == m.id.encode() for m in groups)
        assert all(member.beats() == 0 for member in groups)


def beat(group: str, seat: int, epoch: int, **fields: Any) -> ConsumerGroupHeartbeatRequest:
    return ConsumerGroupHeartbeatRequest(
        group_id=group, member_id=f"member-{seat}", member_epoch=epoch, **fields
    )


def test_two_thousand_groups_of_three_share_out_a_topic(broker: BrokerProcess) -> None:
    """Members of the consumer protocol, so that one connection serves those of many groups."""
    names = [f"group-{number}" for number in range(GROUPS)]
    seats = [(name, seat) for seat in range(3) for name in names]
    epochs: dict[tuple[str, int], int] = {}
    held: dict[tuple[str, int], list[RequestTopicPartitions]] = {}

    def all_ask(client: RawClient, **fields: Any) -> None:
        for seat in seats:
            parts = {"topic_partitions": held.get(seat, [])}
            client.send(beat(*seat, epochs.get(seat, 0), **parts, **fields), 1)
        for seat in seats:
            answer = client.receive()
            assert answer.error_code == 0, answer.error_message
            epochs[seat] = answer.member_epoch
            if answer.assignment is not None:
                held[seat] = [
                    RequestTopicPartitions(topic_id=part.topic_id, partitions=part.partitions)
                    for part in answer.assignment.topic_partitions
                ]

    with RawClient(broker.address) as client, RawClient(broker.address) as other:
        topic = CreatableTopic(name="events", num_partitions=3, replication_factor=1)
        client.call(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 2)
        find(client, names[0])
        all_ask(client, rebalance_timeout_ms=60_000, subscribed_topic_names=["events"])
        assert produce(other) == 0
        for _ in range(3):
            all_ask(client)
    for name in names:
        mine = [index for seat in range(3) for p in held[name, seat] for index in p.partitions]
        assert sorted(mine) == [0, 1, 2], "each partition has one owner"
