"""Members of a share group that speak bare messages, and a producer for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from tests.support.wire import Wire

from pylog import codec
from pylog.protocol.api_keys import decode_response
from pylog.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pylog.protocol.messages.find_coordinator import FindCoordinatorRequest
from pylog.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from pylog.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pylog.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from pylog.protocol.messages.share_acknowledge import (
    AcknowledgementBatch as AcknowledgedAlone,
)
from pylog.protocol.messages.share_acknowledge import (
    AcknowledgePartition,
    AcknowledgeTopic,
    ShareAcknowledgeRequest,
)
from pylog.protocol.messages.share_fetch import (
    AcknowledgementBatch,
    FetchPartition,
    FetchTopic,
    ShareFetchRequest,
)
from pylog.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest

GROUP_RESOURCE = 32
_FETCH_VERSION = 2
GAP, ACCEPT, RELEASE, REJECT, RENEW = range(5)
Ack = tuple[int, int, int]  # first and last offset, type


def new_topic(wire: Wire, name: str, partitions: int = 1) -> bytes:
    """Create a topic; its id."""
    topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
    [made] = wire.ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000)).topics
    assert made.error_code == 0, made
    asked = MetadataRequest(topics=[MetadataRequestTopic(topic_id=made.topic_id, name=None)])
    [told] = wire.ask(asked).topics
    return bytes(told.topic_id)


def produce(wire: Wire, topic_id: bytes, values: Sequence[bytes], partition: int = 0) -> int:
    """One batch; its first offset."""
    batch = codec.encode_batch([codec.Record(None, value) for value in values])
    return produce_batch(wire, topic_id, batch, partition)


def produce_batch(wire: Wire, topic_id: bytes, batch: bytes, partition: int = 0) -> int:
    data = PartitionProduceData(index=partition, records=batch)
    topic = TopicProduceData(topic_id=topic_id, partition_data=[data])
    answer = wire.ask(ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[topic]))
    [answered] = answer.responses[0].partition_responses
    assert answered.error_code == 0, answered
    return int(answered.base_offset)


def configure_group(wire: Wire, group: str, prefix: str = "share.", **settings: str) -> None:
    """Set settings of a share group; ``_`` stands for a dot, and the prefix comes before."""
    configs = [
        AlterableConfig(name=prefix + name.replace("_", "."), config_operation=0, value=value)
        for name, value in settings.items()
    ]
    resource = AlterConfigsResource(
        resource_type=GROUP_RESOURCE, resource_name=group, configs=configs
    )
    [answer] = wire.ask(IncrementalAlterConfigsRequest(resources=[resource])).responses
    assert answer.error_code == 0, answer


def find_coordinator(wire: Wire, group: str) -> None:
    """As every client does first: the coordinator's topic is there then."""
    [found] = wire.ask(FindCoordinatorRequest(coordinator_keys=[group])).coordinators
    assert found.error_code == 0, found


class ShareMember:
    """One member on one connection; it remembers epochs, and what it holds by partition."""

    def __init__(
        self, bootstrap: str, group: str, topics: Iterable[str], client_id: str = "wire"
    ) -> None:
        self.wire = Wire(bootstrap, client_id)
        self.group = group
        self.id = str(uuid.uuid4())
        self.topics = list(topics)
        self.member_epoch = 0
        self.session_epoch = 0
        self.assigned: list[tuple[bytes, int]] = []

    def __enter__(self) -> ShareMember:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def beats(self) -> Any:
        """A heartbeat; the first one joins."""
        first = self.member_epoch == 0
        if first:
            find_coordinator(self.wire, self.group)
        answer = self.wire.ask(
            ShareGroupHeartbeatRequest(
                group_id=self.group,
                member_id=self.id,
                member_epoch=self.member_epoch,
                subscribed_topic_names=self.topics if first else None,
            )
        )
        if answer.error_code == 0:
            self.member_epoch = answer.member_epoch
            if answer.assignment is not None:
                self.assigned = [
                    (topic.topic_id, index)
                    for topic in answer.assignment.topic_partitions
                    for index in topic.partitions
                ]
        return answer

    def leaves(self) -> Any:
        return self.wire.ask(
            ShareGroupHeartbeatRequest(group_id=self.group, member_id=self.id, member_epoch=-1)
        )

    def fetches(
        self,
        acks: Sequence[Ack] = (),
        *,
        partition: tuple[bytes, int] | None = None,
        max_wait_ms: int = 0,
        **wishes: Any,
    ) -> Any:
        """A ShareFetch of the assigned partitions; acknowledgements are of ``partition``, or of
        the only one that is assigned."""
        self.asks_to_fetch(acks, partition=partition, max_wait_ms=max_wait_ms, **wishes)
        return self.hears_of_fetch()

    def asks_to_fetch(
        self,
        acks: Sequence[Ack] = (),
        *,
        partition: tuple[bytes, int] | None = None,
        max_wait_ms: int = 0,
        **wishes: Any,
    ) -> None:
        topics = self._first_topics() if self.session_epoch == 0 else []
        if acks:
            topic_id, index = partition or self.assigned[0]
            batches = [
                AcknowledgementBatch(first_offset=first, last_offset=last, acknowledge_types=[kind])
                for first, last, kind in acks
            ]
            acknowledged = FetchPartition(partition_index=index, acknowledgement_batches=batches)
            topics = [FetchTopic(topic_id=topic_id, partitions=[acknowledged])]
        wanted: dict[str, Any] = {"topics": topics, "min_bytes": 1, "max_bytes": 1 << 20}
        wanted |= {"max_records": 500, "batch_size": 500} | wishes
        request = ShareFetchRequest(
            group_id=self.group,
            member_id=self.id,
            share_session_epoch=self.session_epoch,
            max_wait_ms=max_wait_ms,
            **wanted,
        )
        self.wire.send(request, _FETCH_VERSION)

    def hears_of_fetch(self) -> Any:
        key = ShareFetchRequest.API_KEY
        _, answer = decode_response(key, _FETCH_VERSION, self.wire.receive())
        if answer.error_code == 0:
            self.session_epoch += 1
        return answer

    def _first_topics(self) -> list[FetchTopic]:
        by_topic: dict[bytes, list[FetchPartition]] = {}
        for topic_id, index in self.assigned:
            by_topic.setdefault(topic_id, []).append(FetchPartition(partition_index=index))
        return [FetchTopic(topic_id=t, partitions=p) for t, p in by_topic.items()]

    def acknowledges(self, *acks: Ack, last: bool = False, renews: bool = False) -> Any:
        """A ShareAcknowledge for the only partition; ``last`` ends the session."""
        topic_id, index = self.assigned[0]
        batches = [
            AcknowledgedAlone(first_offset=first, last_offset=last_, acknowledge_types=[kind])
            for first, last_, kind in acks
        ]
        partition = AcknowledgePartition(partition_index=index, acknowledgement_batches=batches)
        topic = AcknowledgeTopic(topic_id=topic_id, partitions=[partition])
        answer = self.wire.ask(
            ShareAcknowledgeRequest(
                group_id=self.group,
                member_id=self.id,
                share_session_epoch=-1 if last else self.session_epoch,
                is_renew_ack=renews,
                topics=[topic] if acks else [],
            )
        )
        if answer.error_code == 0:
            self.session_epoch = 0 if last else self.session_epoch + 1
        return answer


def acquired(answer: Any) -> list[tuple[int, int, int]]:
    """(first offset, last offset, delivery count) of everything in a ShareFetch answer."""
    assert answer.error_code == 0, answer
    found = []
    for topic in answer.responses:
        for partition in topic.partitions:
            assert partition.error_code == 0, partition
            found += [
                (a.first_offset, a.last_offset, a.delivery_count)
                for a in partition.acquired_records
            ]
    return found


def values(answer: Any) -> list[bytes]:
    """The values of the acquired records."""
    found = []
    for topic in answer.responses:
        for partition in topic.partitions:
            ranges = [(a.first_offset, a.last_offset) for a in partition.acquired_records]
            for batch in codec.decode_batches(partition.records or b""):
                if batch.transaction_marker is not None:
                    continue
                for number, record in enumerate(batch):
                    offset = batch.base_offset + number
                    if any(first <= offset <= last for first, last in ranges):
                        found.append(record.value or b"")
    return found


def refusals(answer: Any) -> list[int]:
    """The error codes of the acknowledgements in an answer."""
    if hasattr(answer.responses[0].partitions[0], "acknowledge_error_code"):
        return [p.acknowledge_error_code for t in answer.responses for p in t.partitions]
    return [p.error_code for t in answer.responses for p in t.partitions]
