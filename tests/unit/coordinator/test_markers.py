"""Markers and verifications: what is asked of partitions, and of the transaction coordinator."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.coordinator.fake_partition import Appended, AppendError, FakePartition

from pylog.cluster.image import Image, PartitionImage, TopicImage
from pylog.codec import decode_batches
from pylog.coordinator.effects import Marker, Producer
from pylog.coordinator.group import GroupShard, Surroundings
from pylog.coordinator.markers import MarkerWriter
from pylog.coordinator.shards import Shards
from pylog.coordinator.txn import Ending, TransactionShard, TxnSettings
from pylog.coordinator.txn_state import TxnState, TxnVersion
from pylog.coordinator.verifier import Verifier
from pylog.engine.values import EngineError, Unverified, Verification
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records.types import GROUP, TRANSACTION

NAME = "payments"
OFFSETS, STATE = "__consumer_offsets", "__transaction_state"


class Partition(FakePartition):
    """Fails as the engine does; ``asked`` is set once somebody appends."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def append(self, batch: bytes) -> Appended:
        self.asked.set()
        try:
            return await super().append(batch)
        except AppendError as error:
            raise EngineError(error.code, "append") from error


class Rig:
    """A broker's coordinators on partitions in memory; ``answers`` is what the engine was told."""

    def __init__(self) -> None:
        names = (OFFSETS, STATE, "events")
        self.partitions = {name: Partition() for name in names}
        led = PartitionImage((1,), (1,), 1)
        topics = {n: TopicImage(n, n.encode()[:16].ljust(16, b"."), (led,)) for n in names}
        self.image = Image(topics=topics)
        self.answers: asyncio.Queue[list[int]] = asyncio.Queue()
        self.broker: Any = SimpleNamespace(
            node_id=1,
            metadata=SimpleNamespace(image=self.image),
            engine=SimpleNamespace(verified=lambda _, codes: self.answers.put_nowait(codes)),
            partitions=SimpleNamespace(
                get=lambda topic, index: self.partitions.get(topic),
                by_handle=lambda handle: SimpleNamespace(topic="events", partition=handle),
            ),
        )
        self.groups = Shards(
            OFFSETS, GROUP, lambda: GroupShard(Surroundings()), 1, self.find, self.create
        )
        self.transactions = Shards(
            STATE,
            TRANSACTION,
            lambda: TransactionShard(TxnSettings()),
            1,
            self.find,
            self.create,
            lambda order: self.markers.carry_out(order),
        )
        self.markers = MarkerWriter(self.broker, self.groups, self.transactions)
        self.verifier = Verifier(self.broker, self.transactions)

    def find(self, topic: str, index: int) -> Partition | None:
        return self.partitions.get(topic)

    async def create(self, topic: str) -> None:
        raise AssertionError("it is there")

    async def start(self) -> None:
        self.groups.follow(self.image)
        self.transactions.follow(self.image)
        await self.groups.prepare(NAME)
        await self.transactions.prepare(NAME)

    async def stop(self) -> None:
        await self.verifier.stop()
        await self.markers.stop()
        await self.transactions.stop()
        await self.groups.stop()

    async def init(self) -> Producer:
        producer: Producer = await self.transactions.run(
            NAME, lambda shard, p, now: shard.init(NAME, 60_000, None, lambda: 7, p, now)
        )
        return producer

    async def add(self, producer: Producer, *topics: str) -> None:
        partitions = [(topic, 0) for topic in topics]
        await self.transactions.run(
            NAME,
            lambda shard, p, now: shard.add_partitions(
                NAME, producer, partitions, TxnVersion.V2, p, now
            ),
        )

    def end(self, producer: Producer) -> asyncio.Future[Any]:
        ending = Ending(NAME, producer, True, TxnVersion.V2)
        return self.transactions.host_of(NAME).run(
            lambda shard, p, now: shard.end(ending, lambda: 8, p, now)
        )

    def state(self) -> TxnState:
        state: TxnState = self.transactions.host_of(NAME).look(
            lambda shard: shard.transactions[NAME].state
        )
        return state


@pytest.fixture
async def rig() -> Any:
    rig = Rig()
    await rig.start()
    yield rig
    for partition in rig.partitions.values():
        partition.gate.set()
    await rig.stop()


def last_marker(partition: FakePartition) -> tuple[int, int, bool]:
    [batch] = decode_batches(partition.appends[-1])
    assert batch.transaction_marker is not None
    return batch.producer_id, batch.producer_epoch, batch.transaction_marker.commit


async def test_every_partition_gets_its_marker_before_the_producer_is_told(rig: Rig) -> None:
    producer = await rig.init()
    await rig.add(producer, "events", OFFSETS)
    rig.partitions["events"].gate.clear()
    ended = rig.end(producer)
    await rig.partitions["events"].asked.wait()
    assert not ended.done()
    rig.partitions["events"].gate.set()
    assert await ended == Producer(7, 1)
    assert last_marker(rig.partitions["events"]) == (7, 1, True)
    assert last_marker(rig.partitions[OFFSETS]) == (7, 1, True)
    assert rig.state() == TxnState.COMPLETE_COMMIT


async def test_marker_that_fails_is_tried_again(rig: Rig) -> None:
    producer = await rig.init()
    await rig.add(producer, "events")
    rig.partitions["events"].failing = ErrorCode.NOT_ENOUGH_REPLICAS
    assert await rig.end(producer) == Producer(7, 1)
    assert len(rig.partitions["events"].appends) == 1


async def test_topic_that_was_deleted_needs_no_marker(rig: Rig) -> None:
    producer = await rig.init()
    await rig.add(producer, "events", "gone")
    assert await rig.end(producer) == Producer(7, 1)


async def test_decided_transaction_is_ended_after_a_restart(rig: Rig) -> None:
    producer = await rig.init()
    await rig.add(producer, "events")
    rig.partitions["events"].gate.clear()
    ended = rig.end(producer)
    await rig.partitions["events"].asked.wait()
    await rig.stop()
    with pytest.raises(ApiError):
        await ended
    again = Rig()
    again.partitions.update(rig.partitions)
    rig.partitions["events"].gate.set()
    await again.start()
    await asyncio.gather(*again.markers._tasks)
    assert again.state() == TxnState.COMPLETE_COMMIT
    assert last_marker(rig.partitions["events"]) == (7, 1, True)
    assert await again.end(producer) == Producer(7, 1)
    await again.stop()


async def test_marker_for_an_unknown_partition_is_refused(rig: Rig) -> None:
    marker = Marker(7, 1, 0, commit=True)
    assert await rig.markers.write(("gone", 0), marker) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert await rig.markers.write(("events", 9), marker) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def verify(rig: Rig, version: int, producer: Producer) -> list[int]:
    item = Verification(0, producer.producer_id, producer.epoch)
    rig.verifier.on_verify(Unverified(1, version, NAME, [item]))
    return await rig.answers.get()


async def test_first_batch_of_a_new_producer_adds_its_partition(rig: Rig) -> None:
    producer = await rig.init()
    assert await verify(rig, 12, producer) == [ErrorCode.NONE]
    assert rig.state() == TxnState.ONGOING


@pytest.mark.parametrize(
    ("version", "code"),
    [(9, ErrorCode.INVALID_TXN_STATE), (11, ErrorCode.TRANSACTION_ABORTABLE)],
)
async def test_first_batch_of_an_older_producer_must_have_been_announced(
    rig: Rig, version: int, code: ErrorCode
) -> None:
    producer = await rig.init()
    assert await verify(rig, version, producer) == [code]
    await rig.add(producer, "events")
    assert await verify(rig, version, producer) == [ErrorCode.NONE]


async def test_fenced_and_unknown_producers_are_told_what_they_understand(rig: Rig) -> None:
    producer = await rig.init()
    zombie = Producer(producer.producer_id, producer.epoch - 1)
    assert await verify(rig, 12, zombie) == [ErrorCode.INVALID_PRODUCER_EPOCH]
    assert await verify(rig, 12, Producer(99, 0)) == [ErrorCode.INVALID_PRODUCER_ID_MAPPING]


async def test_coordinator_that_is_not_ready_makes_the_producer_try_again(rig: Rig) -> None:
    producer = await rig.init()
    await rig.transactions.stop()
    assert await verify(rig, 9, producer) == [ErrorCode.NOT_ENOUGH_REPLICAS]
