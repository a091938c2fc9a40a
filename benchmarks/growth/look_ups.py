"""Look-ups at places all over a log, one at a time over a plain connection."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Sequence

from pylog.bench.load import cpu_s
from pylog.bench.suite import Target
from pylog.protocol.api_keys import decode_response, encode_request
from pylog.protocol.message import Message
from pylog.protocol.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from pylog.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)

FETCH, LIST_OFFSETS = (1, 11), (2, 5)  # key and version
LATEST = -1
NO_EPOCH = -1


class LookUps:
    """A connection to a broker, for partition 0 of one topic."""

    def __init__(self, target: Target, topic: str) -> None:
        self._pid = target.pid
        self._topic = topic
        self._socket = socket.create_connection((target.host, target.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def end_offset(self) -> int:
        """One more than the last record's."""
        payload = self._ask(_frame(LIST_OFFSETS, self._list_offsets(LATEST)))
        return _found_offset(payload)

    def by_offset(self, offsets: Sequence[int]) -> tuple[float, float]:
        """Microseconds of the median fetch of the batch that holds an offset, and of CPU each."""
        frames = [_frame(FETCH, self._fetch(offset)) for offset in offsets]
        answers, median_us, cpu_us = self._timed(frames)
        for payload in answers:
            _, response = decode_response(*FETCH, payload)
            assert isinstance(response, FetchResponse)
            partition = response.responses[0].partitions[0]
            assert partition.error_code == 0, partition
            assert partition.records
        return median_us, cpu_us

    def by_time(self, times_ms: Sequence[int]) -> tuple[float, float]:
        """The same of the first record at or after a time."""
        frames = [_frame(LIST_OFFSETS, self._list_offsets(time_ms)) for time_ms in times_ms]
        answers, median_us, cpu_us = self._timed(frames)
        assert all(_found_offset(payload) >= 0 for payload in answers)
        return median_us, cpu_us

    def _timed(self, frames: Sequence[bytes]) -> tuple[list[bytes], float, float]:
        answers, taken = [], []
        before = cpu_s(self._pid)
        for frame in frames:
            started = time.perf_counter()
            answers.append(self._ask(frame))
            taken.append(time.perf_counter() - started)
        cpu = cpu_s(self._pid) - before
        return answers, sorted(taken)[len(taken) // 2] * 1e6, cpu / len(frames) * 1e6

    def _ask(self, frame: bytes) -> bytes:
        self._socket.sendall(frame)
        (length,) = struct.unpack(">i", self._stream.read(4))
        return self._stream.read(length)

    def _fetch(self, offset: int) -> FetchRequest:
        partition = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1)
        topics = [FetchTopic(topic=self._topic, partitions=[partition])]
        return FetchRequest(
            max_wait_ms=0, min_bytes=1, max_bytes=1, session_epoch=-1, topics=topics
        )

    def _list_offsets(self, time_ms: int) -> ListOffsetsRequest:
        partition = ListOffsetsPartition(current_leader_epoch=NO_EPOCH, timestamp=time_ms)
        topics = [ListOffsetsTopic(name=self._topic, partitions=[partition])]
        return ListOffsetsRequest(replica_id=-1, topics=topics)


def _frame(api: tuple[int, int], request: Message) -> bytes:
    key, version = api
    payload = encode_request(key, version, 1, "growth", request)
    return struct.pack(">i", len(payload)) + payload


def _found_offset(payload: bytes) -> int:
    _, response = decode_response(*LIST_OFFSETS, payload)
    assert isinstance(response, ListOffsetsResponse)
    partition = response.topics[0].partitions[0]
    assert partition.error_code == 0, partition
    return int(partition.offset)


def places(low: int, high: int, count: int) -> list[int]:
    """So many numbers of low … high - 1, the same in every run."""
    return [random.Random(index).randrange(low, high) for index in range(count)]
