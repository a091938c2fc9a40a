"""Members of a consumer group (KIP-848) who talk to a :class:`World`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from tests.sim.world import Waiting, World

from pylog.coordinator.consumer_state import ConsumerGroup
from pylog.coordinator.group import GroupShard, Surroundings
from pylog.coordinator.group_base import Client
from pylog.coordinator.group_consumer import ConsumerSettings
from pylog.coordinator.topics_view import TopicInfo, TopicsView
from pylog.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    RequestTopicPartitions,
)

GROUP = "orders"


class ConsumerWorld(World[GroupShard]):
    """``topics`` may be changed by the test: name to number of partitions."""

    def __init__(self, settings: ConsumerSettings | None = None, **topics: int) -> None:
        self.ids: dict[str, bytes] = {}
        self.view = TopicsView()
        self.set_topics(**topics)
        numbers = itertools.count(1)
        around = Surroundings(
            new_id=lambda: str(next(numbers)),
            topics=lambda: self.view,
            consumer_settings=lambda group_id: settings or ConsumerSettings(),
        )
        super().__init__(lambda: GroupShard(around))

    def set_topics(self, **topics: int) -> None:
        for name in topics:
            self.ids.setdefault(name, name.encode().ljust(16, b"."))
        infos = ((name, TopicInfo(self.ids[name], count)) for name, count in topics.items())
        self.view = TopicsView.of(self.view.revision + 1, infos)

    @property
    def group(self) -> ConsumerGroup:
        group = self.shard.groups[GROUP]
        assert isinstance(group, ConsumerGroup)
        return group


class Consumer:
    """A client of the group: it gives up and takes partitions as it is told."""

    def __init__(
        self,
        world: ConsumerWorld,
        name: str,
        *,
        topics: Iterable[str] | None = ("events",),
        regex: str | None = None,
        instance: str | None = None,
        assignor: str | None = None,
        rebalance_timeout_ms: int = 60_000,
    ) -> None:
        self.world = world
        self.name = name
        self.topics = None if topics is None else list(topics)
        self.regex = regex
        self.instance = instance
        self.assignor = assignor
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.epoch = 0
        self.owned: set[tuple[str, int]] = set()
        self.assigned: set[tuple[str, int]] = set()

    def asks(self, **fields: object) -> Waiting:
        """A heartbeat of just these fields, and who it is."""
        request = ConsumerGroupHeartbeatRequest(
            group_id=GROUP,
            member_id=self.name,
            member_epoch=self.epoch,
            instance_id=self.instance,
        )
        for field, value in fields.items():
            setattr(request, field, value)
        client = Client(self.name, "/10.0.0.1", 1)
        return self.world.ask(
            lambda shard, p, now: shard.consumer_heartbeat(request, client, p, now)
        )

    def asks_to_join(self) -> Waiting:
        self.epoch = 0
        return self.asks(
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            subscribed_topic_names=self.topics,
            subscribed_topic_regex=self.regex,
            server_assignor=self.assignor,
            topic_partitions=[],
        )

    def joins(self) -> Consumer:
        self.owned, self.assigned = set(), set()
        self.hears(self.asks_to_join())
        return self

    def beats(self) -> Waiting:
        """Report what it owns, hear, and take what is assigned; revocation takes no time."""
        self.owned = set(self.assigned)
        waiting = self.asks(topic_partitions=self._partitions())
        self.hears(waiting)
        return waiting

    def hears(self, waiting: Waiting) -> None:
        answer = waiting.heard()
        self.epoch = answer.member_epoch
        if answer.assignment is not None:
            self.assigned = {
                (self.world.view.names[part.topic_id], index)
                for part in answer.assignment.topic_partitions
                for index in part.partitions
            }

    def leaves(self, epoch: int = -1) -> Waiting:
        self.epoch = epoch
        self.owned, self.assigned = set(), set()
        return self.asks()

    def _partitions(self) -> list[RequestTopicPartitions]:
        topics: dict[str, list[int]] = {}
        for topic, index in sorted(self.owned):
            topics.setdefault(topic, []).append(index)
        return [
            RequestTopicPartitions(topic_id=self.world.ids[topic], partitions=indexes)
            for topic, indexes in topics.items()
        ]


def settle(*consumers: Consumer) -> None:
    """Heartbeats until nothing changes any more."""
    for _ in range(2 * len(consumers) + 4):
        for consumer in consumers:
            consumer.beats()
