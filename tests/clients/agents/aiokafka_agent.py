"""The agent around aiokafka: one event loop in a thread serves all handles."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import (
    AIOKafkaAdminClient,
    NewPartitions,
    NewTopic,
    RecordsToDelete,
)
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import BrokerResponseError, MessageSizeTooLargeError
from tests.clients.agents.loop import HEARTBEAT_MS, POLL_MS, Json, Refused, decode, record, serve


def as_records(polled: dict[TopicPartition, list[Any]]) -> list[Json]:
    return [
        record(item.partition, item.offset, item.timestamp, item.key, item.value, item.headers)
        for items in polled.values()
        for item in items
    ]


def check(code: int, text: str | None = None) -> None:
    if code:
        raise Refused(code, text or "")


class Polled:
    """A subscribed consumer and the task that polls it."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self.consumer = consumer
        self.records: list[Json] = []
        self.task = asyncio.ensure_future(self._poll())

    async def _poll(self) -> None:
        while True:
            polled = await self.consumer.getmany(timeout_ms=POLL_MS)
            self.records += as_records(polled)

    def take(self) -> list[Json]:
        if self.task.done():
            self.task.result()
        taken, self.records = self.records, []
        return taken


class Commands:
    """The commands as coroutines, all on one event loop."""

    def __init__(self) -> None:
        self.producers: dict[str, AIOKafkaProducer] = {}
        self.consumers: dict[str, AIOKafkaConsumer] = {}
        self.members: dict[str, Polled] = {}
        self.admins: dict[str, AIOKafkaAdminClient] = {}

    # Producers

    async def producer_open(
        self,
        handle: str,
        bootstrap: str,
        compression: str = "none",
        acks: int = -1,
        idempotent: bool = False,
        batch_bytes: int = 16_384,
        transactional_id: str | None = None,
    ) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if compression == "none" else compression,
            acks=acks,
            enable_idempotence=idempotent or transactional_id is not None,
            max_batch_size=batch_bytes,
            linger_ms=5,
            max_request_size=2_000_000,
            transactional_id=transactional_id,
        )
        await producer.start()
        self.producers[handle] = producer

    async def producer_send(self, handle: str, topic: str, records: list[Json]) -> list[list[int]]:
        producer = self.producers[handle]
        futures = [
            await producer.send(
                topic,
                value=decode(item["value"]),
                key=decode(item["key"]),
                headers=[(name, decode(data)) for name, data in item["headers"]],
                partition=item["partition"],
                timestamp_ms=item["timestamp"],
            )
            for item in records
        ]
        sent = await asyncio.gather(*futures)
        return [[m.partition, m.offset] if m else [-1, -1] for m in sent]

    async def producer_begin(self, handle: str) -> None:
        await self.producers[handle].begin_transaction()

    async def producer_commit(self, handle: str) -> None:
        await self.producers[handle].commit_transaction()

    async def producer_abort(self, handle: str) -> None:
        await self.producers[handle].abort_transaction()

    async def producer_send_offsets(self, handle: str, member: str) -> None:
        consumer = self.consumers[member]
        offsets = {p: await consumer.position(p) for p in consumer.assignment()}
        await self.producers[handle].send_offsets_to_transaction(offsets, consumer._group_id)

    # Consumers

    async def consumer_open(
        self,
        handle: str,
        bootstrap: str,
        group: str | None = None,
        instance: str | None = None,
        session_timeout_ms: int = 10_000,
        reset: str = "earliest",
        isolation: str = "read_uncommitted",
    ) -> None:
        self.consumers[handle] = consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            group_instance_id=instance,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=HEARTBEAT_MS,
            auto_offset_reset=reset,
            isolation_level=isolation,
            enable_auto_commit=False,
        )
        await consumer.start()

    async def consumer_assign(self, handle: str, topic: str, positions: dict[str, Any]) -> None:
        consumer = self.consumers[handle]
        partitions = {TopicPartition(topic, int(p)): at for p, at in positions.items()}
        consumer.assign(list(partitions))
        for partition, at in partitions.items():
            if at == "earliest":
                await consumer.seek_to_beginning(partition)
            elif at == "latest":
                await consumer.seek_to_end(partition)
            else:
                consumer.seek(partition, at)

    async def consumer_seek(self, handle: str, topic: str, partition: int, offset: int) -> None:
        self.consumers[handle].seek(TopicPartition(topic, partition), offset)

    async def consumer_read(self, handle: str, count: int, timeout_ms: int) -> list[Json]:
        consumer, records = self.consumers[handle], []
        deadline = time.monotonic() + timeout_ms / 1000
        while len(records) < count and time.monotonic() < deadline:
            wanted = count - len(records)
            records += as_records(await consumer.getmany(timeout_ms=POLL_MS, max_records=wanted))
        return records

    async def consumer_subscribe(self, handle: str, topics: list[str]) -> None:
        self.consumers[handle].subscribe(topics)
        self.members[handle] = Polled(self.consumers[handle])

    async def member_state(self, handle: str) -> Json:
        assigned = self.consumers[handle].assignment()
        return {
            "assignment": [[p.topic, p.partition] for p in assigned],
            "records": self.members[handle].take(),
        }

    async def member_commit(self, handle: str) -> None:
        await self.consumers[handle].commit()

    async def close(self, handle: str) -> None:
        if handle in self.members:
            task = self.members.pop(handle).task
            task.cancel()
            await asyncio.wait([task])
        if handle in self.consumers:
            await self.consumers.pop(handle).stop()
        if handle in self.producers:
            await self.producers.pop(handle).stop()

    # Admin

    async def admin(self, bootstrap: str) -> AIOKafkaAdminClient:
        if bootstrap not in self.admins:
            self.admins[bootstrap] = admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
            await admin.start()
        return self.admins[bootstrap]

    async def offset(self, bootstrap: str, topic: str, partition: int, at: str | int) -> int | None:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
        await consumer.start()
        try:
            where = TopicPartition(topic, partition)
            if at == "earliest":
                return (await consumer.beginning_offsets([where]))[where]
            if at == "latest":
                return (await consumer.end_offsets([where]))[where]
            found = (await consumer.offsets_for_times({where: at}))[where]
            return None if found is None else found.offset
        finally:
            await consumer.stop()

    async def create_topic(
        self, bootstrap: str, topic: str, partitions: int = 1, configs: dict[str, str] | None = None
    ) -> None:
        new = NewTopic(topic, partitions, 1, topic_configs=configs or {})
        answer = await (await self.admin(bootstrap)).create_topics([new])
        for _, code, *text in answer.topic_errors:
            check(code, *text)

    async def delete_topic(self, bootstrap: str, topic: str) -> None:
        answer = await (await self.admin(bootstrap)).delete_topics([topic])
        for _, code in answer.topic_error_codes:
            check(code)

    async def partition_count(self, bootstrap: str, topic: str) -> int:
        (described,) = await (await self.admin(bootstrap)).describe_topics([topic])
        check(described["error_code"])
        return len(described["partitions"])

    async def create_partitions(self, bootstrap: str, topic: str, count: int) -> None:
        admin = await self.admin(bootstrap)
        answer = await admin.create_partitions({topic: NewPartitions(count)})
        for _, code, text in answer.topic_errors:
            check(code, text)

    async def delete_records(self, bootstrap: str, topic: str, partition: int, before: int) -> None:
        where = {TopicPartition(topic, partition): RecordsToDelete(before)}
        await (await self.admin(bootstrap)).delete_records(where)

    async def topic_configs(self, bootstrap: str, topic: str) -> dict[str, str]:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        (answer,) = await (await self.admin(bootstrap)).describe_configs([resource])
        ((code, text, _, _, entries),) = answer.resources
        check(code, text)
        return {entry[0]: entry[1] for entry in entries}

    async def set_topic_config(self, bootstrap: str, topic: str, name: str, value: str) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})
        (answer,) = await (await self.admin(bootstrap)).alter_configs([resource])
        for code, text, *_ in answer.resources:
            check(code, text)

    async def groups(self, bootstrap: str) -> list[str]:
        listed = await (await self.admin(bootstrap)).list_consumer_groups()
        return [group for group, *_ in listed]

    async def group(self, bootstrap: str, group: str) -> Json:
        (answer,) = await (await self.admin(bootstrap)).describe_consumer_groups([group])
        ((code, _, state, _, _, members, *_),) = answer.groups
        check(code)
        return {"state": state, "members": len(members)}

    async def committed(self, bootstrap: str, group: str, topic: str) -> dict[str, int]:
        offsets = await (await self.admin(bootstrap)).list_consumer_group_offsets(group)
        return {str(p.partition): at.offset for p, at in offsets.items() if p.topic == topic}


class AiokafkaAgent:
    """Runs each command on the event loop and waits for it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._commands = Commands()

    def __getattr__(self, op: str) -> Any:
        command = getattr(self._commands, op)
        return lambda **arguments: self._run(command(**arguments))

    def _run(self, command: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(command, self._loop).result()


def error_code(failure: BaseException) -> int | None:
    if isinstance(failure, BrokerResponseError | MessageSizeTooLargeError):
        return failure.errno
    return None


if __name__ == "__main__":
    serve(AiokafkaAgent(), error_code)
