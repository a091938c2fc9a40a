"""The coordinators of one broker: what the handlers of their API keys talk to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pylog.config import Source
from pylog.coordinator.group import GroupShard, Surroundings
from pylog.coordinator.group_base import GroupSettings
from pylog.coordinator.group_consumer import ConsumerSettings
from pylog.coordinator.markers import MarkerWriter
from pylog.coordinator.producer_ids import ProducerIds
from pylog.coordinator.runtime import Partition
from pylog.coordinator.shards import Shards
from pylog.coordinator.share_pruning import StatePruner
from pylog.coordinator.share_service import ShareGroupService
from pylog.coordinator.share_state import ShareStateShard
from pylog.coordinator.streams_service import StreamsGroupService
from pylog.coordinator.topics_view import TopicInfo, TopicsView
from pylog.coordinator.txn import TransactionShard, TxnSettings
from pylog.coordinator.txn_state import WriteMarkers
from pylog.coordinator.verifier import Verifier
from pylog.options import GROUP as GROUP_OPTIONS
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records.types import GROUP, SHARE_STATE, TRANSACTION

if TYPE_CHECKING:
    from pylog.cluster.image import Image, TopicImage
    from pylog.config import BrokerConfig
    from pylog.server.broker import Broker

GROUP_TOPIC = "__consumer_offsets"
TRANSACTION_TOPIC = "__transaction_state"
SHARE_STATE_TOPIC = "__share_group_state"
_MINUTE_MS = 60_000


class Coordinators:
    """Groups, transactions and producer ids, from ``start`` (logs are open) to ``stop``.

    While a shard loads its requests are refused as loading. While its log is offline nobody is the
    coordinator.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._seen_topics: Mapping[str, TopicImage] = {}
        self._view = TopicsView()
        around = Surroundings(
            settings=_group_settings(broker.config),
            topics=self._topics,
            consumer_settings=self._consumer_settings,
            share_settings=lambda group_id: self.share_groups.settings(group_id),
            streams_settings=lambda group_id: self.streams_groups.settings(group_id),
        )
        txn_settings = _txn_settings(broker.config)
        here = (
            broker.config.integer("node.id"),
            self._usable_log,
            broker.topics.ensure_internal,
        )
        self.groups = Shards(GROUP_TOPIC, GROUP, lambda: GroupShard(around), *here)
        self.transactions = Shards(
            TRANSACTION_TOPIC,
            TRANSACTION,
            lambda: TransactionShard(txn_settings),
            *here,
            self._carry_out,
        )
        updates = broker.config.integer("share.coordinator.snapshot.update.records.per.snapshot")
        self.share_states = Shards(
            SHARE_STATE_TOPIC, SHARE_STATE, lambda: ShareStateShard(updates), *here
        )
        self._pruner = StatePruner(
            self.share_states,
            broker.config.integer("share.coordinator.state.topic.prune.interval.ms"),
        )
        self.share_groups = ShareGroupService(broker, self.groups, self.share_states)
        self.streams_groups = StreamsGroupService(broker, self.groups)
        self.producer_ids = ProducerIds(broker.store)
        self.markers = MarkerWriter(broker, self.groups, self.transactions)
        self.verifier = Verifier(broker, self.transactions)
        self._by_key_type: dict[int, tuple[int, Shards[Any]]] = {
            0: (0, self.groups),
            1: (1, self.transactions),
            2: (6, self.share_states),
        }

    def _topics(self) -> TopicsView:
        """The topics of the image; made anew when they have changed only."""
        topics = self._broker.metadata.image.topics
        if topics is not self._seen_topics:
            self._seen_topics = topics
            self._view = TopicsView.of(
                self._view.revision + 1,
                ((t.name, TopicInfo(t.topic_id, len(t.partitions))) for t in topics.values()),
            )
        return self._view

    def _consumer_settings(self, group_id: str) -> ConsumerSettings:
        config, own = self._broker.config, self._broker.metadata.image.config("group", group_id)

        def number(name: str) -> int:
            value = config.resource_value(GROUP_OPTIONS[name], own, Source.GROUP)
            assert isinstance(value, int)
            return value

        return ConsumerSettings(
            session_timeout_ms=number("consumer.session.timeout.ms"),
            heartbeat_interval_ms=number("consumer.heartbeat.interval.ms"),
            max_size=config.integer("group.consumer.max.size"),
        )

    def _carry_out(self, order: WriteMarkers) -> None:
        self.markers.carry_out(order)

    def shards_of(self, key_type: int, version: int) -> Shards[Any]:
        """Who coordinates the keys that a FindCoordinator request of this version means."""
        since, shards = self._by_key_type.get(key_type, (0, None))
        if shards is None or version < since:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"no coordinator of type {key_type}")
        return shards

    def _usable_log(self, topic: str, index: int) -> Partition | None:
        """None while it is being opened; ApiError while it can't be used."""
        if self._broker.partitions.is_offline(topic, index):
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR)
        return self._broker.partitions.get(topic, index)

    def start(self) -> None:
        self.groups.follow(self._broker.metadata.image)
        self.transactions.follow(self._broker.metadata.image)
        self.share_states.follow(self._broker.metadata.image)
        self._pruner.start()
        self._broker.metadata.listen(self._on_metadata)

    async def stop(self) -> None:
        """What was appended is finished; members that wait are refused."""
        await self.streams_groups.stop()
        await self._pruner.stop()
        await self.share_groups.stop()
        await self.share_states.stop()
        await self.verifier.stop()
        await self.markers.stop()
        await self.transactions.stop()
        await self.groups.stop()

    def _on_metadata(self, before: Image, after: Image) -> None:
        if before.topics is after.topics:
            return
        self.groups.follow(after)
        self.transactions.follow(after)
        self.share_states.follow(after)
        gone = {
            name
            for name, topic in before.topics.items()
            if name not in after.topics or after.topics[name].topic_id != topic.topic_id
        }
        if gone:
            self.groups.start_all(lambda shard, promise, _: shard.delete_topics(gone, promise))
            ids = {before.topics[name].topic_id for name in gone}
            self.share_states.start_all(lambda shard, promise, _: shard.delete_topics(ids, promise))
            self.groups.start_all(lambda shard, promise, _: shard.forget_deleted(ids, promise))


def _group_settings(config: BrokerConfig) -> GroupSettings:
    number = config.integer
    return GroupSettings(
        min_session_timeout_ms=number("group.min.session.timeout.ms"),
        max_session_timeout_ms=number("group.max.session.timeout.ms"),
        initial_rebalance_delay_ms=number("group.initial.rebalance.delay.ms"),
        max_size=number("group.max.size"),
        offset_metadata_max_bytes=number("offset.metadata.max.bytes"),
        offsets_retention_ms=number("offsets.retention.minutes") * _MINUTE_MS,
        offsets_retention_check_interval_ms=number("offsets.retention.check.interval.ms"),
    )


def _txn_settings(config: BrokerConfig) -> TxnSettings:
    number = config.integer
    return TxnSettings(
        max_timeout_ms=number("transaction.max.timeout.ms"),
        id_expiration_ms=number("transactional.id.expiration.ms"),
        expiry_interval_ms=number("transaction.remove.expired.transaction.cleanup.interval.ms"),
    )
