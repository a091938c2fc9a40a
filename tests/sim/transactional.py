"""Transactional producers who talk to a :class:`World` of the transaction coordinator."""

from __future__ import annotations

import itertools

from tests.sim.world import Waiting, World

from pylog.coordinator.effects import Producer
from pylog.coordinator.txn import Ending, TransactionShard, TxnSettings
from pylog.coordinator.txn_state import TopicPartition, TxnVersion, WriteMarkers

NAME = "payments"
EVENTS: TopicPartition = ("events", 0)
TOTALS: TopicPartition = ("totals", 1)


class TxnWorld(World[TransactionShard]):
    """``markers`` is what every partition got: (partition, producer id, epoch, commit)."""

    def __init__(self, settings: TxnSettings | None = None) -> None:
        super().__init__(lambda: TransactionShard(settings or TxnSettings()))
        self.ids = itertools.count(1_000)
        self.markers: list[tuple[TopicPartition, int, int, bool]] = []

    def take_id(self) -> int:
        return next(self.ids)

    def write_markers(self) -> None:
        """Carry out the orders that are open, and those that come of it."""
        while self.orders:
            order = self.orders.pop(0)
            assert isinstance(order, WriteMarkers)
            for partition in sorted(order.partitions):
                self.markers.append((partition, order.producer_id, order.epoch, order.commit))
            producer = Producer(order.producer_id, order.epoch)
            self.ask(
                lambda shard, p, now, o=order, w=producer: shard.complete(
                    o.transactional_id, w, p, now
                )
            )


class Writer:
    """A producer; ``version`` 2 is a client of KIP-890."""

    def __init__(
        self,
        world: TxnWorld,
        name: str = NAME,
        version: TxnVersion = TxnVersion.V2,
        timeout_ms: int = 60_000,
    ) -> None:
        self.world = world
        self.name = name
        self.version = version
        self.timeout_ms = timeout_ms
        self.producer = Producer(-1, -1)

    def starts(self) -> None:
        """InitProducerId, again and again as long as the coordinator is busy ending another."""
        for _ in range(3):
            waiting = self.asks_to_init()
            if waiting.error is None:
                self.producer = waiting.heard()
                return
            self.world.write_markers()
        waiting.heard()

    def asks_to_init(self, expected: Producer | None = None) -> Waiting:
        return self.world.ask(
            lambda shard, p, now: shard.init(
                self.name, self.timeout_ms, expected, self.world.take_id, p, now
            )
        )

    def adds(self, *partitions: TopicPartition) -> Waiting:
        return self.world.ask(
            lambda shard, p, now: shard.add_partitions(
                self.name, self.producer, partitions, self.version, p, now
            )
        )

    def ends(self, commit: bool) -> Waiting:
        ending = Ending(self.name, self.producer, commit, self.version)
        return self.world.ask(lambda shard, p, now: shard.end(ending, self.world.take_id, p, now))

    def commits(self) -> None:
        """EndTxn, its markers, and the epoch to go on with."""
        waiting = self.ends(True)
        self.world.write_markers()
        self.producer = waiting.heard()
