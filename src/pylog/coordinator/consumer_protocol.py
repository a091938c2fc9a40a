"""A consumer's own bytes inside the classic group protocol: subscriptions and assignments.

Both start with an int16, their version. Kafka's clients write up to version 3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from pylog.protocol.messages.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolAssignmentTopicPartition,
    ConsumerProtocolSubscription,
)
from pylog.protocol.wire import WireError, decode, encode

PROTOCOL_TYPE = "consumer"

_NEWEST = 3


def subscribed_topics(metadata: bytes) -> list[str] | None:
    """Topic names of a subscription of any version; None when the bytes are not one.

    Every version starts with the same fields, and clients are known to write others behind them.
    """
    try:
        version, count = struct.unpack_from(">hi", metadata)
        if version < 0 or count < 0:
            return None
        topics, position = [], 6
        for _ in range(count):
            (length,) = struct.unpack_from(">h", metadata, position)
            end = position + 2 + length
            if length < 0 or end > len(metadata):
                return None
            topics.append(metadata[position + 2 : end].decode())
            position = end
    except (struct.error, UnicodeDecodeError):
        return None
    return topics


def version_of(data: bytes) -> int:
    """WireError when there is none."""
    if len(data) < 2:
        raise WireError("no version")
    version: int = struct.unpack_from(">h", data)[0]
    return version


def decode_subscription(metadata: bytes) -> ConsumerProtocolSubscription:
    """WireError when it is malformed. A version that is newer is read as the newest known."""
    version = min(version_of(metadata), _NEWEST)
    return decode(ConsumerProtocolSubscription, metadata[2:], version)


def decode_assignment(data: bytes) -> dict[str, list[int]]:
    """Partitions by topic name; empty bytes are an empty assignment. WireError."""
    if not data:
        return {}
    version = min(version_of(data), _NEWEST)
    assignment = decode(ConsumerProtocolAssignment, data[2:], version)
    return {part.topic: part.partitions for part in assignment.assigned_partitions}


def encode_assignment(topics: Mapping[str, list[int]], version: int) -> bytes:
    """In the version that the member's subscription has."""
    version = max(0, min(version, _NEWEST))
    message = ConsumerProtocolAssignment(
        assigned_partitions=[
            ConsumerProtocolAssignmentTopicPartition(topic=topic, partitions=partitions)
            for topic, partitions in topics.items()
        ]
    )
    return struct.pack(">h", version) + encode(message, version)
