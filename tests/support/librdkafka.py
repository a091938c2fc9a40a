"""Settings of librdkafka for tests that restart the broker."""

from __future__ import annotations


def lasting(address: str) -> dict[str, str | int]:
    """librdkafka forgets its only broker while it is away, unless it is told not to."""
    return {
        "bootstrap.servers": address,
        "metadata.recovery.strategy": "none",
        "reconnect.backoff.max.ms": 500,
        "log_level": 0,
    }
