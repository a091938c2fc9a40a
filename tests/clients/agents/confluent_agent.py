"""The agent around confluent-kafka (librdkafka)."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from tests.clients.agents.confluent_share import ShareCommands
from tests.clients.agents.loop import (
    HEARTBEAT_MS,
    POLL_MS,
    Json,
    Member,
    Refused,
    decode,
    record,
    serve,
)

TIMEOUT_S = 30


def as_record(message: Message) -> Json:
    if message.error():
        raise KafkaException(message.error())
    return record(
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or [],
    )


def only(futures: dict[Any, Any]) -> Any:
    (future,) = futures.values()
    return future.result(TIMEOUT_S)


class ConfluentAgent(ShareCommands):
    def __init__(self) -> None:
        super().__init__()
        self.producers: dict[str, Producer] = {}
        self.consumers: dict[str, Consumer] = {}
        self.members: dict[str, Member] = {}
        self.admins: dict[str, AdminClient] = {}

    # Producers

    def producer_open(
        self,
        handle: str,
        bootstrap: str,
        compression: str = "none",
        acks: int = -1,
        idempotent: bool = False,
        batch_bytes: int = 1_000_000,
        transactional_id: str | None = None,
    ) -> None:
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "compression.type": compression,
            "acks": acks,
            "enable.idempotence": idempotent or transactional_id is not None,
            "batch.size": batch_bytes,
            "linger.ms": 5,
        }
        if transactional_id is not None:
            config["transactional.id"] = transactional_id
        producer = self.producers[handle] = Producer(config)
        if transactional_id is not None:
            producer.init_transactions(TIMEOUT_S)

    def producer_send(self, handle: str, topic: str, records: list[Json]) -> list[list[int]]:
        producer = self.producers[handle]
        done: list[Any] = [None] * len(records)
        for index, item in enumerate(records):

            def delivered(error: Any, message: Message, index: int = index) -> None:
                done[index] = error or [message.partition(), message.offset()]

            arguments = {name: item[name] for name in ("partition", "timestamp") if name in item}
            producer.produce(
                topic,
                decode(item["value"]),
                decode(item["key"]),
                headers=[(name, decode(data)) for name, data in item["headers"]],
                on_delivery=delivered,
                **{name: value for name, value in arguments.items() if value is not None},
            )
            producer.poll(0)
        if producer.flush(TIMEOUT_S):
            raise TimeoutError("records not delivered")
        for result in done:
            if not isinstance(result, list):
                raise KafkaException(result)
        return [[partition, -1 if offset is None else offset] for partition, offset in done]

    def producer_begin(self, handle: str) -> None:
        self.producers[handle].begin_transaction()

    def producer_commit(self, handle: str) -> None:
        self.producers[handle].commit_transaction(TIMEOUT_S)

    def producer_abort(self, handle: str) -> None:
        self.producers[handle].abort_transaction(TIMEOUT_S)

    def producer_send_offsets(self, handle: str, member: str) -> None:
        consumer = self.consumers[member]

        def positions() -> list[TopicPartition]:
            return [p for p in consumer.position(consumer.assignment()) if p.offset >= 0]

        offsets = self.members[member].run(positions)
        metadata = self.members[member].run(consumer.consumer_group_metadata)
        self.producers[handle].send_offsets_to_transaction(offsets, metadata, TIMEOUT_S)

    # Consumers

    def consumer_open(
        self,
        handle: str,
        bootstrap: str,
        group: str | None = None,
        instance: str | None = None,
        session_timeout_ms: int = 10_000,
        reset: str = "earliest",
        isolation: str = "read_uncommitted",
        protocol: str = "classic",
    ) -> None:
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "group.id": group or f"none-{handle}",
            "auto.offset.reset": reset,
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "group.protocol": protocol,
        }
        if protocol == "classic":
            config["session.timeout.ms"] = session_timeout_ms
            config["heartbeat.interval.ms"] = HEARTBEAT_MS
        if instance is not None:
            config["group.instance.id"] = instance
        self.consumers[handle] = Consumer(config)

    def consumer_assign(self, handle: str, topic: str, positions: dict[str, Any]) -> None:
        consumer = self.consumers[handle]
        partitions = []
        for name, at in positions.items():
            partition = TopicPartition(topic, int(name))
            if at == "latest":  # OFFSET_END would be resolved some time later
                at = consumer.get_watermark_offsets(partition, TIMEOUT_S)[1]
            partition.offset = OFFSET_BEGINNING if at == "earliest" else at
            partitions.append(partition)
        consumer.assign(partitions)

    def consumer_seek(self, handle: str, topic: str, partition: int, offset: int) -> None:
        self.consumers[handle].seek(TopicPartition(topic, partition, offset))

    def consumer_read(self, handle: str, count: int, timeout_ms: int) -> list[Json]:
        consumer, records = self.consumers[handle], []
        deadline = time.monotonic() + timeout_ms / 1000
        while len(records) < count and time.monotonic() < deadline:
            records += [
                as_record(m) for m in consumer.consume(count - len(records), POLL_MS / 1000)
            ]
        return records

    def consumer_subscribe(self, handle: str, topics: list[str]) -> None:
        consumer = self.consumers[handle]
        consumer.subscribe(topics)
        self.members[handle] = Member(
            lambda: [as_record(message) for message in consumer.consume(500, POLL_MS / 1000)]
        )

    def member_state(self, handle: str) -> Json:
        return self.members[handle].state(self.consumers[handle].assignment)

    def member_commit(self, handle: str) -> None:
        self.members[handle].run(lambda: self.consumers[handle].commit(asynchronous=False))

    def close(self, handle: str) -> None:
        if handle in self.members:
            self.members.pop(handle).stop()
        if handle in self.consumers:
            self.consumers.pop(handle).close()
        self.producers.pop(handle, None)

    # Admin

    def admin(self, bootstrap: str) -> AdminClient:
        if bootstrap not in self.admins:
            self.admins[bootstrap] = AdminClient({"bootstrap.servers": bootstrap})
        return self.admins[bootstrap]

    def offset(self, bootstrap: str, topic: str, partition: int, at: str | int) -> int | None:
        named = {"earliest": OffsetSpec.earliest(), "latest": OffsetSpec.latest()}
        spec = named[at] if isinstance(at, str) else OffsetSpec.for_timestamp(at)
        found = only(self.admin(bootstrap).list_offsets({TopicPartition(topic, partition): spec}))
        return None if found.offset < 0 else found.offset

    def create_topic(
        self, bootstrap: str, topic: str, partitions: int = 1, configs: dict[str, str] | None = None
    ) -> None:
        new = NewTopic(topic, partitions, 1, config=configs or {})
        only(self.admin(bootstrap).create_topics([new]))

    def delete_topic(self, bootstrap: str, topic: str) -> None:
        only(self.admin(bootstrap).delete_topics([topic]))

    def partition_count(self, bootstrap: str, topic: str) -> int:
        described = only(self.admin(bootstrap).describe_topics(TopicCollection([topic])))
        return len(described.partitions)

    def create_partitions(self, bootstrap: str, topic: str, count: int) -> None:
        only(self.admin(bootstrap).create_partitions([NewPartitions(topic, count)]))

    def delete_records(self, bootstrap: str, topic: str, partition: int, before: int) -> None:
        only(self.admin(bootstrap).delete_records([TopicPartition(topic, partition, before)]))

    def topic_configs(self, bootstrap: str, topic: str) -> dict[str, str]:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        entries = only(self.admin(bootstrap).describe_configs([resource]))
        return {name: entry.value for name, entry in entries.items()}

    def set_topic_config(self, bootstrap: str, topic: str, name: str, value: str) -> None:
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        only(self.admin(bootstrap).incremental_alter_configs([resource]))

    def groups(self, bootstrap: str) -> list[str]:
        listed = self.admin(bootstrap).list_consumer_groups().result(TIMEOUT_S)
        return [group.group_id for group in listed.valid]

    def group(self, bootstrap: str, group: str) -> Json:
        described = only(self.admin(bootstrap).describe_consumer_groups([group]))
        return {"state": described.state.name, "members": len(described.members)}

    def delete_group(self, bootstrap: str, group: str) -> None:
        only(self.admin(bootstrap).delete_consumer_groups([group]))

    def committed(self, bootstrap: str, group: str, topic: str) -> dict[str, int]:
        request = ConsumerGroupTopicPartitions(group)
        answer = only(self.admin(bootstrap).list_consumer_group_offsets([request]))
        return {str(p.partition): p.offset for p in answer.topic_partitions if p.topic == topic}

    def set_committed(
        self, bootstrap: str, group: str, topic: str, offsets: dict[str, int]
    ) -> None:
        wanted = [TopicPartition(topic, int(p), offset) for p, offset in offsets.items()]
        request = ConsumerGroupTopicPartitions(group, wanted)
        answer = only(self.admin(bootstrap).alter_consumer_group_offsets([request]))
        for partition in answer.topic_partitions:
            if partition.error:
                raise KafkaException(partition.error)


def error_code(failure: BaseException) -> int | None:
    if isinstance(failure, Refused):
        return failure.code
    if isinstance(failure, KafkaException) and failure.args[0].code() >= 0:
        return int(failure.args[0].code())
    return None


if __name__ == "__main__":
    serve(ConfluentAgent(), error_code)
