"""What a topic's settings mean to the engine."""

from __future__ import annotations

import sys

import pytest

from pylog.config import BrokerConfig
from pylog.engine.values import CleanerSettings, Durability, LogConfig, TimestampType
from pylog.log.settings import cleaner_settings, log_config, spread_rolls
from pylog.options import BROKER

DEFAULTS = BrokerConfig(BROKER, {})


def test_the_defaults_of_the_table_are_those_of_the_engine() -> None:
    expected = LogConfig(timestamp_before_max_ms=2**63 - 1)
    assert log_config(DEFAULTS, {}) == expected


def test_the_cleaner_has_the_defaults_of_the_table() -> None:
    expected = CleanerSettings(bytes_per_second=sys.float_info.max)
    assert cleaner_settings(DEFAULTS) == expected
    disabled = BrokerConfig(BROKER, {"log.cleaner.enable": "false"})
    assert cleaner_settings(disabled) == expected._replace(threads=0)


@pytest.mark.parametrize(
    ("overrides", "field", "expected"),
    [
        ({"segment.bytes": "1048576"}, "segment_bytes", 1 << 20),
        ({"retention.ms": "-1"}, "retention_ms", -1),
        ({"cleanup.policy": "compact"}, "compact_policy", True),
        ({"cleanup.policy": "compact"}, "delete_policy", False),
        ({"cleanup.policy": "compact,delete"}, "delete_policy", True),
        ({"cleanup.policy": ""}, "delete_policy", False),
        (
            {"message.timestamp.type": "LogAppendTime"},
            "timestamp_type",
            TimestampType.LOG_APPEND_TIME,
        ),
        ({"compression.type": "uncompressed"}, "compression", 0),
        ({"compression.type": "zstd"}, "compression", 4),
        ({"compression.type": "zstd", "compression.zstd.level": "7"}, "compression_level", 7),
        ({"compression.type": "zstd"}, "compression_level_set", True),
        ({"compression.type": "gzip"}, "compression_level_set", False),
        ({"compression.type": "lz4"}, "compression_level_set", False),
        ({"compression.type": "lz4", "compression.lz4.level": "9"}, "compression_level_set", False),
        ({"compression.type": "lz4", "compression.lz4.level": "3"}, "compression_level", 3),
        ({"compression.type": "gzip", "compression.gzip.level": "2"}, "compression_level", 2),
        ({"compression.type": "producer"}, "compression_level_set", False),
    ],
)
def test_an_override_reaches_the_engine(
    overrides: dict[str, str], field: str, expected: object
) -> None:
    assert getattr(log_config(DEFAULTS, overrides), field) == expected


def test_durability_is_the_brokers() -> None:
    config = BrokerConfig(BROKER, {"log.durability": "os", "log.segment.bytes": "1048576"})
    settings = log_config(config, {})
    assert settings.durability is Durability.OS
    assert settings.segment_bytes == 1 << 20


def test_jitter_spreads_the_rolls_of_partitions_and_is_fixed_for_each() -> None:
    settings = LogConfig(segment_ms=1000)
    rolls = [spread_rolls(settings, 100, "t", index).segment_ms for index in range(50)]
    assert rolls == [spread_rolls(settings, 100, "t", index).segment_ms for index in range(50)]
    assert all(900 <= roll <= 1000 for roll in rolls)
    assert len(set(rolls)) > 20


def test_jitter_never_leaves_less_than_a_millisecond() -> None:
    assert spread_rolls(LogConfig(segment_ms=1), 100, "t", 0).segment_ms == 1
    assert spread_rolls(LogConfig(segment_ms=5), 0, "t", 0).segment_ms == 5
    short = [spread_rolls(LogConfig(segment_ms=5), 10**9, "t", i).segment_ms for i in range(50)]
    assert min(short) >= 1
