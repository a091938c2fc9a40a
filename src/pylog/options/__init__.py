"""The tables of settings: names, types, defaults and limits are Kafka's where Kafka has them."""

from __future__ import annotations

from pylog.options.broker import BROKER
from pylog.options.client_metrics import CLIENT_METRICS
from pylog.options.group import GROUP, reset_age_ms
from pylog.options.topic import TOPIC

__all__ = ["BROKER", "CLIENT_METRICS", "GROUP", "TOPIC", "reset_age_ms"]
