"""The agent around kafka-python."""

from __future__ import annotations

import re
import time
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import BrokerResponseError, KafkaError, for_code
from kafka.structs import OffsetAndMetadata
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


def as_records(polled: dict[TopicPartition, list[Any]]) -> list[Json]:
    return [
        record(item.partition, item.offset, item.timestamp, item.key, item.value, item.headers)
        for items in polled.values()
        for item in items
    ]


class KafkaPythonAgent:
    def __init__(self) -> None:
        self.producers: dict[str, KafkaProducer] = {}
        self.consumers: dict[str, KafkaConsumer] = {}
        self.members: dict[str, Member] = {}
        self.admins: dict[str, KafkaAdminClient] = {}

    # Producers

    def producer_open(
        self,
        handle: str,
        bootstrap: str,
        compression: str = "none",
        acks: int = -1,
        idempotent: bool = False,
        batch_bytes: int = 16_384,
        transactional_id: str | None = None,
    ) -> None:
        self.producers[handle] = producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if compression == "none" else compression,
            acks=acks,
            enable_idempotence=idempotent or transactional_id is not None,
            batch_size=batch_bytes,
            linger_ms=5,
            max_request_size=2_000_000,
            transactional_id=transactional_id,
        )
        if transactional_id is not None:
            producer.init_transactions()

    def producer_send(self, handle: str, topic: str, records: list[Json]) -> list[list[int]]:
        producer = self.producers[handle]
        futures = [
            producer.send(
                topic,
                value=decode(item["value"]),
                key=decode(item["key"]),
                headers=[(name, decode(data)) for name, data in item["headers"]],
                partition=item["partition"],
                timestamp_ms=item["timestamp"],
            )
            for item in records
        ]
        producer.flush(TIMEOUT_S)
        sent = [future.get(TIMEOUT_S) for future in futures]
        return [[metadata.partition, metadata.offset] for metadata in sent]

    def producer_begin(self, handle: str) -> None:
        self.producers[handle].begin_transaction()

    def producer_commit(self, handle: str) -> None:
        self.producers[handle].commit_transaction()

    def producer_abort(self, handle: str) -> None:
        self.producers[handle].abort_transaction()

    def producer_send_offsets(self, handle: str, member: str) -> None:
        consumer = self.consumers[member]

        def positions() -> dict[TopicPartition, OffsetAndMetadata]:
            assigned = sorted(consumer.assignment())
            return {p: OffsetAndMetadata(consumer.position(p), "", -1) for p in assigned}

        offsets = self.members[member].run(positions)
        metadata = self.members[member].run(consumer.group_metadata)
        self.producers[handle].send_offsets_to_transaction(offsets, metadata)

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
    ) -> None:
        self.consumers[handle] = KafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            group_instance_id=instance,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=HEARTBEAT_MS,
            auto_offset_reset=reset,
            isolation_level=isolation,
            enable_auto_commit=False,
        )

    def consumer_assign(self, handle: str, topic: str, positions: dict[str, Any]) -> None:
        consumer = self.consumers[handle]
        partitions = {TopicPartition(topic, int(p)): at for p, at in positions.items()}
        consumer.assign(list(partitions))
        for partition, at in partitions.items():
            if at == "earliest":
                consumer.seek_to_beginning(partition)
            elif at == "latest":
                consumer.seek_to_end(partition)
                consumer.position(partition)
            else:
                consumer.seek(partition, at)

    def consumer_seek(self, handle: str, topic: str, partition: int, offset: int) -> None:
        self.consumers[handle].seek(TopicPartition(topic, partition), offset)

    def consumer_read(self, handle: str, count: int, timeout_ms: int) -> list[Json]:
        consumer, records = self.consumers[handle], []
        deadline = time.monotonic() + timeout_ms / 1000
        while len(records) < count and time.monotonic() < deadline:
            records += as_records(consumer.poll(POLL_MS, max_records=count - len(records)))
        return records

    def consumer_subscribe(self, handle: str, topics: list[str]) -> None:
        """The topics are looked up before the group is joined.

        kafka-python 3.0.12 joins a second time when a leader learns of a topic after its first
        join, and where a poll ends while that join waits for SyncGroup, its assignment is lost
        for good (`need_rejoin` is false by then). Apache Kafka's members get stuck as well.
        """
        consumer = self.consumers[handle]
        consumer.subscribe(topics)
        consumer.topics()
        self.members[handle] = Member(lambda: as_records(consumer.poll(POLL_MS)))

    def member_state(self, handle: str) -> Json:
        return self.members[handle].state(self.consumers[handle].assignment)

    def member_commit(self, handle: str) -> None:
        self.members[handle].run(self.consumers[handle].commit)

    def close(self, handle: str) -> None:
        if handle in self.members:
            self.members.pop(handle).stop()
        if handle in self.consumers:
            self.consumers.pop(handle).close(autocommit=False)
        if handle in self.producers:
            self.producers.pop(handle).close(TIMEOUT_S)

    # Admin

    def admin(self, bootstrap: str) -> KafkaAdminClient:
        if bootstrap not in self.admins:
            self.admins[bootstrap] = KafkaAdminClient(bootstrap_servers=bootstrap)
        return self.admins[bootstrap]

    def offset(self, bootstrap: str, topic: str, partition: int, at: str | int) -> int | None:
        named = {"earliest": OffsetSpec.EARLIEST, "latest": OffsetSpec.LATEST}
        spec = named[at] if isinstance(at, str) else at
        where = TopicPartition(topic, partition)
        found = self.admin(bootstrap).list_partition_offsets({where: spec})[where]
        return None if found is None or found.offset < 0 else int(found.offset)

    def create_topic(
        self, bootstrap: str, topic: str, partitions: int = 1, configs: dict[str, str] | None = None
    ) -> None:
        options = {"num_partitions": partitions, "replication_factor": 1, "configs": configs or {}}
        self.admin(bootstrap).create_topics({topic: options})

    def delete_topic(self, bootstrap: str, topic: str) -> None:
        self.admin(bootstrap).delete_topics([topic])

    def partition_count(self, bootstrap: str, topic: str) -> int:
        (described,) = self.admin(bootstrap).describe_topics([topic])
        if described["error_code"]:
            raise Refused(described["error_code"], topic)
        return len(described["partitions"])

    def create_partitions(self, bootstrap: str, topic: str, count: int) -> None:
        self.admin(bootstrap).create_partitions({topic: count})

    def delete_records(self, bootstrap: str, topic: str, partition: int, before: int) -> None:
        self.admin(bootstrap).delete_records({TopicPartition(topic, partition): before})

    def topic_configs(self, bootstrap: str, topic: str) -> dict[str, str]:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        found = self.admin(bootstrap).describe_configs([resource], config_filter="all")
        return {name: entry["value"] for name, entry in found["topic"][topic].items()}

    def set_topic_config(self, bootstrap: str, topic: str, name: str, value: str) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})
        result = self.admin(bootstrap).alter_configs([resource])["topic"][topic]
        if refused := re.match(r"\[Error (\d+)\]", result):
            raise Refused(int(refused[1]), result)

    def groups(self, bootstrap: str) -> list[str]:
        return [group["group_id"] for group in self.admin(bootstrap).list_groups()]

    def group(self, bootstrap: str, group: str) -> Json:
        described = self.admin(bootstrap).describe_groups([group])[group]
        return {"state": described["group_state"], "members": len(described["members"])}

    def delete_group(self, bootstrap: str, group: str) -> None:
        result = self.admin(bootstrap).delete_groups([group])[group]
        if result != "OK":
            raise named_error(result)

    def committed(self, bootstrap: str, group: str, topic: str) -> dict[str, int]:
        offsets = self.admin(bootstrap).list_group_offsets(group)[group]
        return {str(p.partition): at.offset for p, at in offsets.items() if p.topic == topic}

    def set_committed(
        self, bootstrap: str, group: str, topic: str, offsets: dict[str, int]
    ) -> None:
        wanted = {
            TopicPartition(topic, int(p)): OffsetAndMetadata(offset, "", -1)
            for p, offset in offsets.items()
        }
        for result in self.admin(bootstrap).alter_group_offsets(group, wanted).values():
            if result.errno:
                raise result()


def named_error(name: str) -> KafkaError:
    """The error whose class the admin client gave by name."""
    known = {for_code(code).__name__: for_code(code) for code in range(1, 130)}
    return known[name]()


def error_code(failure: BaseException) -> int | None:
    return failure.errno if isinstance(failure, BrokerResponseError) else None


if __name__ == "__main__":
    serve(KafkaPythonAgent(), error_code)
