"""What a client is asked to push: the settings of resources of type CLIENT_METRICS (KIP-714)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pylog.config import split_list
from pylog.protocol.errors import ApiError, ErrorCode

METRICS: Final = "metrics"
INTERVAL_MS: Final = "interval.ms"
MATCH: Final = "match"
DEFAULT_INTERVAL_MS: Final = 300_000
EVERYTHING: Final = "*"

_INTERVAL_RANGE_MS: Final = (100, 3_600_000)


class ClientIdentity(NamedTuple):
    """What a subscription may ask of a client, under the names of its ``match`` setting."""

    client_instance_id: str
    client_id: str
    client_software_name: str
    client_software_version: str
    client_source_address: str
    client_source_port: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """Prefixes of metrics ("*": all), from all clients that match every pattern as a whole."""

    metrics: Sequence[str]
    interval_ms: int
    match: Mapping[str, re.Pattern[str]]

    def applies_to(self, client: ClientIdentity) -> bool:
        """Whether a client is asked."""
        return all(pattern.fullmatch(getattr(client, name)) for name, pattern in self.match.items())


def subscription_of(texts: Mapping[str, str]) -> Subscription:
    """A subscription from its settings. INVALID_REQUEST, INVALID_CONFIG, as in Kafka."""
    for name in texts:
        if name not in (METRICS, INTERVAL_MS, MATCH):
            raise ApiError(
                ErrorCode.INVALID_REQUEST, f"Unknown client metrics configuration: {name}"
            )
    interval_ms = _interval(texts.get(INTERVAL_MS, str(DEFAULT_INTERVAL_MS)))
    match = dict(_pattern(item) for item in split_list(texts.get(MATCH, "")))
    return Subscription(split_list(texts.get(METRICS, "")), interval_ms, match)


def _interval(text: str) -> int:
    try:
        interval_ms = int(text)
    except ValueError:
        raise ApiError(
            ErrorCode.INVALID_CONFIG, f"Invalid value {text} for {INTERVAL_MS}: not a whole number"
        ) from None
    low, high = _INTERVAL_RANGE_MS
    if not low <= interval_ms <= high:
        raise ApiError(
            ErrorCode.INVALID_REQUEST,
            f"Invalid value {text} for {INTERVAL_MS}: must be from {low} to {high}",
        )
    return interval_ms


def _pattern(item: str) -> tuple[str, re.Pattern[str]]:
    name, separator, text = (part.strip() for part in item.partition("="))
    try:
        if not separator or not text or "=" in text or name not in ClientIdentity._fields:
            raise ValueError
        return name, re.compile(text)
    except (ValueError, re.error):
        raise ApiError(
            ErrorCode.INVALID_CONFIG, f"Illegal client matching pattern: {item}"
        ) from None
