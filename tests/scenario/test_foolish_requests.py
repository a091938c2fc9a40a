"""Well-formed requests with foolish values: each is answered, and the coordinators live on."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.raw_client import RawClient

from pylog.protocol.api_keys import SERVED, ApiKey, request_class
from pylog.protocol.message import Struct
from pylog.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pylog.protocol.messages.find_coordinator import FindCoordinatorRequest
from pylog.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pylog.testing import Broker

JOIN_GROUP = 11  # one in order is answered when others have joined
ROUNDS = 25
TEXTS = ["", "a", "orders", "events", "grüße-😀", "x" * 300, "(", "range", "consumer", "\0"]
NUMBERS = [0, 1, -1, -2, 2, 5, 100, 45_000]
SIZES = {"int8": 8, "int16": 16, "uint16": 16, "int32": 32, "int64": 64}


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as broker, RawClient(broker.bootstrap) as client:
        for key_type in (0, 1):
            client.call(FindCoordinatorRequest(key="orders", key_type=key_type), 1)
        yield broker


class Fool:
    """Fills messages from their field tables."""

    def __init__(self, seed: str, version: int) -> None:
        self._random = random.Random(seed)
        self._version = version

    def fill(self, message: Struct) -> Any:
        for name, kind, versions, nullable, _, _, _, cls in message.FIELDS:
            if _has(versions, self._version):
                null = _has(nullable, self._version) and self._random.random() < 0.2
                setattr(message, name, None if null else self._value(kind, cls))
        return message

    def _value(self, kind: str, cls: Any) -> Any:
        if kind.startswith("[]"):
            count = self._random.choice([0, 1, 1, 2, 5])
            return [self._value(kind[2:], cls) for _ in range(count)]
        if kind == "struct":
            return self.fill(cls())
        if kind == "bool":
            return self._random.random() < 0.5
        if kind == "string":
            return self._random.choice(TEXTS)
        if kind == "float64":
            return self._random.choice([0.0, 0.5, -1.0, 1e300, float("inf"), float("nan")])
        if kind in ("bytes", "records"):
            return self._random.randbytes(self._random.choice([0, 1, 6, 40]))
        if kind == "uuid":
            return self._random.choice([bytes(16), self._random.randbytes(16)])
        return self._number(SIZES[kind], signed=not kind.startswith("u"))

    def _number(self, bits: int, signed: bool) -> int:
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        value = self._random.choice([*NUMBERS, low, high])
        return min(max(value, low), high)


def _has(versions: str, version: int) -> bool:
    first, dash, last = versions.rstrip("+").partition("-")
    if not first:
        return False
    end = 999 if versions.endswith("+") else int(last if dash else first)
    return int(first) <= version <= end


def commits(client: RawClient) -> bool:
    wanted = CreatableTopic(name="events", num_partitions=2, replication_factor=1)
    client.call(CreateTopicsRequest(topics=[wanted], timeout_ms=10_000), 2)
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    topic = OffsetCommitRequestTopic(name="events", partitions=[partition])
    answer = client.call(OffsetCommitRequest(group_id="sensible", topics=[topic]), 8)
    return bool(answer.topics[0].partitions[0].error_code == 0)


def is_answered(api: ApiKey, message: Any) -> bool:
    return api.key != JOIN_GROUP and getattr(message, "acks", 1) != 0


@pytest.mark.parametrize("api", SERVED, ids=lambda api: f"{api.key}-{api.name}")
def test_every_value_of_every_field_is_answered(
    broker: Broker, api: ApiKey, caplog: pytest.LogCaptureFixture
) -> None:
    oldest = max(api.min_version, request_class(api.key).VERSIONS[0])  # Produce: of its messages
    for version in range(oldest, api.max_version + 1):
        for number in range(ROUNDS):
            seed = f"{api.key}-{version}-{number}"
            message = Fool(seed, version).fill(request_class(api.key)())
            if hasattr(message, "max_wait_ms"):
                message.max_wait_ms = min(message.max_wait_ms, 10)
            with RawClient(broker.bootstrap) as client:
                client.send(message, version)
                if is_answered(api, message):
                    client.receive()
    with RawClient(broker.bootstrap) as client:
        assert commits(client)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == []
