"""The C of the fast lane reads and writes the bytes that Kafka's classes were proved to share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.wire.fast_lane import FastLane
from tests.wire.samples import Sampler, versions

from pylog.protocol.messages.fetch import FetchRequest, FetchResponse
from pylog.protocol.messages.produce import ProduceRequest, ProduceResponse
from pylog.protocol.wire import WireError, decode, encode

SEEDS = range(60)


@pytest.fixture(scope="session")
def fast_lane(tmp_path_factory: pytest.TempPathFactory) -> FastLane:
    folder: Path = tmp_path_factory.mktemp("fast_lane")
    return FastLane(folder)


@pytest.mark.parametrize("cls", [ProduceRequest, FetchRequest])
def test_c_reads_every_field_of_a_request(cls: Any, fast_lane: FastLane) -> None:
    for version in versions(cls):
        for seed in SEEDS:
            message = Sampler(seed).message(cls, version)
            assert fast_lane.read(cls, encode(message, version), version) == message


@pytest.mark.parametrize("cls", [ProduceResponse, FetchResponse])
def test_c_writes_every_field_of_a_response(cls: Any, fast_lane: FastLane) -> None:
    for version in versions(cls):
        for seed in SEEDS:
            message = Sampler(seed).message(cls, version)
            assert fast_lane.write(message, version) == encode(message, version)


@pytest.mark.parametrize("cls", [ProduceRequest, FetchRequest])
def test_c_and_python_refuse_the_same_damaged_requests(cls: Any, fast_lane: FastLane) -> None:
    for version in versions(cls):
        whole = encode(Sampler(version).message(cls, version), version)
        for at in range(len(whole)):
            for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :]):
                read_by_c = outcome(fast_lane.read, cls, damaged, version)
                assert read_by_c == outcome(decode, cls, damaged, version)


def outcome(read: Callable[..., Any], *arguments: Any) -> str:
    """Whether the bytes are a request; text that is no UTF-8 is text for both."""
    try:
        read(*arguments)
    except UnicodeDecodeError:
        return "read"
    except WireError:
        return "refused"
    return "read"


@pytest.mark.parametrize("version", [0, 1, 2])
def test_c_reads_produce_requests_of_the_versions_that_are_only_advertised(
    version: int, fast_lane: FastLane
) -> None:
    body = (
        b"\0\1" + b"\0\0\0\x1e" + b"\0\0\0\1" + b"\0\1t" + b"\0\0\0\1" + b"\0\0\0\7\xff\xff\xff\xff"
    )
    request = fast_lane.read(ProduceRequest, body, version)
    assert (request.acks, request.timeout_ms, request.transactional_id) == (1, 30, None)
    assert [topic.name for topic in request.topic_data] == ["t"]
    assert [part.index for part in request.topic_data[0].partition_data] == [7]
