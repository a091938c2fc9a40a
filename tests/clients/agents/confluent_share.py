"""The share commands of the agent around confluent-kafka."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import AcknowledgeType, KafkaException, Message, ShareConsumer

POLL_S = 0.2
TIMEOUT_S = 30.0


class ShareCommands:
    """Members of share groups by handle, polled by the commands themselves."""

    def __init__(self) -> None:
        self._sharers: dict[str, ShareConsumer] = {}
        self._held: dict[str, dict[int, Message]] = {}

    def share_open(
        self, handle: str, bootstrap: str, group: str, topic: str, mode: str = "implicit"
    ) -> None:
        consumer = ShareConsumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "share.acknowledgement.mode": mode,
            }
        )
        consumer.subscribe([topic])
        self._sharers[handle], self._held[handle] = consumer, {}

    def share_read(self, handle: str, count: int, timeout_ms: int) -> list[list[Any]]:
        found: list[list[Any]] = []
        deadline = time.monotonic() + timeout_ms / 1000
        while len(found) < count and time.monotonic() < deadline:
            for message in self._sharers[handle].poll(POLL_S):
                if message.error() is not None:
                    raise KafkaException(message.error())
                self._held[handle][message.offset()] = message
                value = message.value().decode()
                found.append([message.offset(), value, message.delivery_count()])
        return found

    def share_acknowledge(self, handle: str, types: dict[str, str]) -> None:
        for offset, name in types.items():
            message = self._held[handle][int(offset)]
            self._sharers[handle].acknowledge(message, AcknowledgeType[name])

    def share_commit(self, handle: str) -> list[str]:
        results = self._sharers[handle].commit_sync(TIMEOUT_S)
        return [f"{place}: {failure}" for place, failure in results.items() if failure]

    def share_close(self, handle: str) -> None:
        del self._held[handle]
        self._sharers.pop(handle).close()
