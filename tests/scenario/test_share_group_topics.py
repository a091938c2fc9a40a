"""Where a share group begins in a topic, and what it does when topics grow, go and come back."""

from __future__ import annotations

import time

import pytest
from tests.support.share import (
    ACCEPT,
    ShareMember,
    acquired,
    configure_group,
    new_topic,
    produce,
    produce_batch,
)
from tests.support.wait import wait_until
from tests.support.wire import Wire

from pylog.codec import Record, encode_batch
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from pylog.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pylog.protocol.messages.share_fetch import FetchPartition, FetchTopic

HOUR_MS = 3_600_000


def test_group_begins_at_the_end_unless_told_otherwise(bootstrap: str, unique: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, unique, [unique]) as anna:
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"old"])
        anna.beats()
        assert acquired(anna.fetches()) == []
        produce(wire, topic_id, [b"new"])
        assert acquired(anna.fetches(max_wait_ms=10_000)) == [(1, 1, 1)]


@pytest.mark.parametrize(("duration", "first"), [("PT90M", 1), ("P1D", 0), ("PT1S", 3)])
def test_group_begins_with_the_first_record_of_an_age(
    bootstrap: str, unique: str, duration: str, first: int
) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, unique, [unique]) as anna:
        configure_group(wire, unique, auto_offset_reset=f"by_duration:{duration}")
        topic_id = new_topic(wire, unique)
        now_ms = time.time_ns() // 1_000_000
        for hours in (2, 1, 0.5):
            record = Record(None, b"old", int(now_ms - hours * HOUR_MS))
            produce_batch(wire, topic_id, encode_batch([record]))
        anna.beats()
        got: list[int] = []
        take(anna, got)  # decides where the group begins
        record = Record(None, b"new", now_ms + HOUR_MS)
        produce_batch(wire, topic_id, encode_batch([record]))
        wait_until(lambda: take(anna, got) == 3, 30)
        assert got == list(range(first, 4))


def take(member: ShareMember, got: list[int]) -> int:
    """Add the offsets that the member gets; the last of all."""
    for first, last, _ in acquired(member.fetches(max_wait_ms=500)):
        got += range(first, last + 1)
    return got[-1] if got else -1


def test_partitions_that_are_added_are_read_too(bootstrap: str, unique: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, unique, [unique]) as anna:
        configure_group(wire, unique, auto_offset_reset="earliest")
        topic_id = new_topic(wire, unique)
        anna.beats()
        assert anna.assigned == [(topic_id, 0)]
        anna.fetches()
        grown = CreatePartitionsTopic(name=unique, count=2, assignments=None)
        wire.ask(CreatePartitionsRequest(topics=[grown], timeout_ms=10_000))
        produce(wire, topic_id, [b"a"], partition=1)
        wait_until(lambda: anna.beats() and len(anna.assigned) == 2, 30)
        added = FetchTopic(topic_id=topic_id, partitions=[FetchPartition(partition_index=1)])
        assert acquired(anna.fetches(topics=[added], max_wait_ms=10_000)) == [(0, 0, 1)]


def test_topic_that_is_deleted_and_made_again_begins_anew(bootstrap: str, unique: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, unique, [unique]) as anna:
        configure_group(wire, unique, auto_offset_reset="earliest")
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"a", b"b"])
        anna.beats()
        assert acquired(anna.fetches(max_wait_ms=10_000)) == [(0, 1, 1)]
        anna.acknowledges((0, 1, ACCEPT))
        wire.ask(DeleteTopicsRequest(topics=[DeleteTopicState(name=unique)], timeout_ms=10_000))
        [topic] = anna.fetches().responses
        assert topic.partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID
        again = new_topic(wire, unique)
        produce(wire, again, [b"c"])
        wait_until(lambda: anna.beats() and anna.assigned == [(again, 0)], 30)
        anna.session_epoch = 0
        assert acquired(anna.fetches(max_wait_ms=10_000)) == [(0, 0, 1)]
